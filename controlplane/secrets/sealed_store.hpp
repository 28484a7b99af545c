// Secrets that outlive the process: named records, sealed on disk, each changed in one step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret_bytes.hpp"

namespace balancer::controlplane {

// What a record is. Its name on disk, in metrics and for people: "oauth_account", "provider_key", "config_text".
enum class SealedKind {
    kOAuthAccount,  // by account name: its tokens
    kProviderKey,   // by reference: what `sealed:NAME` in the configuration stands for; made and erased, never changed
    kConfigText,    // by SHA-256: the text of a revision, which may hold literal secrets
};
inline constexpr std::size_t kSealedKinds = 3;

std::string_view name_of(SealedKind kind);

// Why a record cannot be had or written. The Error's `detail` says it for people, with what to do; never a secret.
enum class SealedErrc {
    kLocked = 1,  // the key that it is sealed with is not there: it can be read again once that key is back
    kTampered,    // it is not what was written under this name; the record is of no use
    kConflict,    // another generation is stored than the one that was to be replaced
    kRefused,     // the name or the content is too long, or another process has the store by now
    kIo,          // the disk; nothing has changed, or (rarely, at the end of a commit) it cannot be said
};

bool is(const Error& error, SealedErrc code);
Error sealed_error(SealedErrc code, std::string detail);

struct SealedRecord {
    SecretBytes content;
    std::uint64_t generation = 0;
};

// A record as it can be shown: nothing of the content.
struct SealedEntry {
    std::string name;
    std::uint64_t generation = 0;  // in clear, and authenticated once the record has been opened
    std::string key_id;            // of the key that it is sealed with, 16 hex digits; empty: it is in memory only
    bool locked = false;           // that key is not there
};

// Lives on the control plane's loop. A change that returns success is on disk and survives a power cut; see kIo for the
// other case. Blocks for a few milliseconds.
//
// Generations are of the whole store and grow with each put, so that none comes twice under a name, not even after an
// erase. Compare-and-swap: who writes says which generation he replaces.
class SealedStore {
  public:
    static constexpr std::size_t kNameBytesMax = 256;
    static constexpr std::size_t kContentBytesMax = 8 << 20;

    virtual ~SealedStore() = default;

    // None: there is no such record. Errors: kLocked, kTampered, kIo.
    virtual Result<std::optional<SealedRecord>> get(SealedKind kind, std::string_view name) const = 0;

    // By name, locked ones too: one bad record hides no other. Opens nothing. Errors: kIo.
    virtual Result<std::vector<SealedEntry>> list(SealedKind kind) const = 0;

    // Replaces the record of that generation; 0: there must be none yet. Returns the new generation. A record that is
    // locked or tampered with may be replaced like any other. Errors: kConflict, kRefused, kIo.
    virtual Result<std::uint64_t> put(
        SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
    ) = 0;

    // Errors: kConflict (also when there is none any more), kRefused, kIo.
    virtual Result<void> erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) = 0;
};

}  // namespace balancer::controlplane
