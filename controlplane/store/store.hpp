// What the control plane must remember over a restart; secrets in it are sealed. SQLite today (sqlite_store.hpp); etcd
// for a cluster later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "controlplane/health/account_hold.hpp"
#include "controlplane/secrets/key_custody.hpp"
#include "controlplane/secrets/sealed_store.hpp"

namespace balancer::controlplane {

// Who this store is. Versions are ordered inside one store_uuid by (epoch, seq).
struct StoreIdentity {
    std::string store_uuid;   // made once, with the store
    std::uint64_t epoch = 0;  // grows by one at each opening
};

// `balancerctl providers enable|disable|drain`, kept until the file's own `enabled` of that
// provider changes.
struct Override {
    std::string provider;
    bool enabled = true;
    bool enabled_in_file = true;  // what the file said when the override was made
    std::string reason;
    std::string actor;
    UnixMs at = 0;
    bool drain = false;  // disabled to be emptied: what runs there is waited for

    friend bool operator==(const Override&, const Override&) = default;
};

// Where a revision came from.
enum class RevisionSource { kStart, kFile, kCli, kRollback };

// "start", "file", "cli", "rollback".
std::string_view name_of(RevisionSource source);

// One state of the configuration, as it was made; never changed after. Numbers grow by one.
struct Revision {
    std::uint64_t number = 0;
    std::uint64_t parent = 0;  // the one that was in force before; 0: none
    UnixMs at = 0;
    std::string actor;  // USER@HOST; empty: the control plane itself
    RevisionSource source = RevisionSource::kStart;
    std::string reason;
    std::string summary;              // what changed, without secrets
    std::string yaml;                 // as the operator wrote it, literal secrets included
    std::string text_problem;         // not empty: `yaml` cannot be opened, and why
    std::string yaml_sha256;          // lower-case hex
    std::string file_sha256;          // of the file's text that this content started from
    std::vector<Override> overrides;  // by provider name
    bool may_be_empty = false;        // an operator has said that no enabled provider is what is wanted
};

// Lives on the control plane's loop, but for keep_holds(). A change that returns success is on disk and survives a power
// cut; one that does not has left no trace.
class Store {
  public:
    // Revisions that are kept; older ones are forgotten, oldest first.
    static constexpr std::uint64_t kRevisionsKept = 200;

    virtual ~Store() = default;

    virtual const StoreIdentity& identity() const = 0;

    // The newest revision; none in a new store. Number 0: what a store of an older release held,
    // which is overrides and no text.
    virtual Result<std::optional<Revision>> head() const = 0;

    // Here and in revision(): a text that is locked or damaged is told by `text_problem`, not as an error.
    // None: never made, or forgotten.
    virtual Result<std::optional<Revision>> revision(std::uint64_t number) const = 0;

    // Newest first, at most `count`; without yaml and overrides.
    virtual Result<std::vector<Revision>> history(std::size_t count) const = 0;

    // The text with that digest, if a kept revision has it or started from it. Errors: kLocked and kTampered, too.
    virtual Result<std::optional<std::string>> text(std::string_view yaml_sha256) const = 0;

    // In one transaction: `next` under the number that follows its parent's, as the new head.
    // Refused when next.parent is not the head, or when another process has opened the store since.
    virtual Result<std::uint64_t> append(const Revision& next) = 0;

    // The head's text has been written to the file: from now on the head starts from that.
    virtual Result<void> set_head_file(std::string_view file_sha256) = 0;

    // What providers have said of their accounts and still stands; these take the place of all that
    // were kept before. From any one thread: it may wait for a disk, and holds up nobody else.
    virtual Result<void> keep_holds(const std::vector<AccountHold>& holds) = 0;
    virtual Result<std::vector<AccountHold>> holds() const = 0;

    // Both live as long as the store. The texts of revisions are sealed records, too.
    virtual SealedStore& sealed() = 0;
    virtual KeyCustody& keys() = 0;
};

}  // namespace balancer::controlplane
