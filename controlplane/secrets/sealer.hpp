// Seals and opens the records of one store with its ring of keys.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/secrets/envelope.hpp"
#include "controlplane/secrets/key_ring.hpp"

namespace balancer::controlplane {

// A record with where it stands, as a store keeps it.
struct SealedRow {
    SealedKind kind = SealedKind::kOAuthAccount;
    std::string name;
    std::uint64_t generation = 0;
    std::string record;  // or its first kSealedFrontBytes
};

// As many bytes tell which key a record is sealed with.
inline constexpr std::size_t kSealedFrontBytes = 4 + AeadKey::kIdBytes;

// Lives with its store; on one thread.
class Sealer {
  public:
    explicit Sealer(KeyRing ring) : ring_(std::move(ring)) {}

    // Before anything is sealed: which store it is.
    void set_store(std::string store_uuid) { store_uuid_ = std::move(store_uuid); }

    // Fills the row's record.
    void seal(SealedRow& row, std::string_view content) const;

    // Errors: kLocked, kTampered.
    Result<SecretBytes> open(const SealedRow& row) const;

    // Errors: kLocked, kTampered.
    Result<void> rewrap(SealedRow& row) const;

    // Raw id; empty: it is no record of ours. The front is enough.
    static std::string_view key_id(std::string_view record);

    KeyRing& ring() { return ring_; }
    const KeyRing& ring() const { return ring_; }

  private:
    SealedPlace place(const SealedRow& row) const;
    Result<const SealingKey*> key_of(const SealedRow& row, std::string_view id) const;

    KeyRing ring_;
    std::string store_uuid_;
};

}  // namespace balancer::controlplane
