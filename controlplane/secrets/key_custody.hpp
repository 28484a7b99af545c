// The keys of the sealed store, as an operator deals with them.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "controlplane/secrets/key_ring.hpp"
#include "controlplane/secrets/sealed_store.hpp"

namespace balancer::controlplane {

// One key, and how many records are sealed with it.
struct KeyUse {
    std::string id;                   // 16 hex digits
    std::optional<KeySource> source;  // none: it is not there, and its records are locked
    bool active = false;
    UnixMs active_since = 0;  // of the active one
    std::array<std::uint64_t, kSealedKinds> records{};  // by SealedKind

    std::uint64_t total() const { return std::accumulate(records.begin(), records.end(), std::uint64_t{0}); }
};

// A record that is not sealed with the active key and could not be made so, or cannot be opened at all.
struct SealedProblem {
    SealedKind kind = SealedKind::kProviderKey;
    std::string name;
    SealedErrc code = SealedErrc::kLocked;
    std::string why;  // for people
};

struct Rewrapped {
    std::uint64_t records = 0;        // now sealed with the active key, and were not before
    std::vector<SealedProblem> left;  // under other keys still
};

// Lives on the control plane's loop, with the store. Blocks on the disk.
class KeyCustody {
  public:
    virtual ~KeyCustody() = default;

    // The active one first, those that are not there last.
    virtual Result<std::vector<KeyUse>> keys() const = 0;

    // Opens every record, and names each that does not open.
    virtual Result<std::vector<SealedProblem>> problems() const = 0;

    // Brings every record that opens under the active key, all in one transaction. Only data keys are wrapped anew:
    // contents and generations stay. Does nothing when nothing is to be done. The start does it, so a rotation that was
    // cut short ends there.
    virtual Result<Rewrapped> rewrap() = 0;

    // A new active key, then rewrap(). The key before stays until it is retired. Refused when the keys are not ours to
    // change.
    virtual Result<Rewrapped> rotate() = 0;

    // Takes a key away. Refused: the active one, one that a record needs, one that is not in the file.
    virtual Result<void> retire(std::string_view id) = 0;
};

}  // namespace balancer::controlplane
