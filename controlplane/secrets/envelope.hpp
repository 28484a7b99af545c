// A sealed record as bytes: a data key of its own, wrapped by a key of the ring. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/aead.hpp"
#include "base/result.hpp"
#include "controlplane/secrets/sealed_store.hpp"

namespace balancer::controlplane {

// Where a record stands. It is additional data of both ciphers, so that a record which was moved to another name, kind
// or store, or under another generation, does not open.
struct SealedPlace {
    std::string_view store_uuid;
    SealedKind kind = SealedKind::kOAuthAccount;
    std::string_view name;
    std::uint64_t generation = 0;
};

// A key of the ring: its id is what a sealed record names.
class SealingKey : public AeadKey {
  public:
    explicit SealingKey(std::string_view raw) : AeadKey(raw, "balancer sealing key:") {}
};

// Format 1, numbers little-endian:
//   "BSR" 1 | key id 8 | wrap nonce 12 | wrapped data key 32 + tag 16 | nonce 12 | size 4 | content | tag 16
// Each call takes a new random data key and new random nonces, so no key ever sees a nonce twice: a data key seals one
// content, and a key of the ring wraps data keys only.
std::string seal_record(const SealedPlace& place, std::string_view content, const SealingKey& key);

// The parts of a record, as views into its bytes. Nothing in it has been authenticated yet.
struct SealedParts {
    std::string_view key_id;  // AeadKey::kIdBytes
    std::string_view wrap_nonce;
    std::string_view wrapped_key;
    std::string_view nonce;
    std::string_view content;  // with its tag
};

// Errors, all kTampered: no record, another format, cut short, or something behind its end.
Result<SealedParts> parse_sealed(std::string_view record);

// Errors: kTampered. `key` must be the one that the record names; that it is asked for with another one is a kTampered,
// too.
Result<SecretBytes> open_record(const SealedPlace& place, const SealedParts& parts, const SealingKey& key);

// The same record with its data key wrapped by another key of the ring; the content's bytes stay as they are. It was
// opened before: what is damaged is never made to look new. Errors: kTampered.
Result<std::string> rewrap_record(
    const SealedPlace& place, std::string_view record, const SealingKey& from, const SealingKey& to
);

}  // namespace balancer::controlplane
