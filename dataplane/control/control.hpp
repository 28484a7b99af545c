// The data plane's side of the sync protocol: what the workers know of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "dataplane/telemetry/request_ring.hpp"
#include "model/failure.hpp"
#include "model/health.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

struct ControlOptions {
    std::vector<std::string> addresses;  // HOST:PORT of control planes, tried in turn
    std::string token;                   // of the DataPlane service
    std::filesystem::path state_dir;     // of the last known good state; empty: none is kept
    std::string id;                      // the replica's name
};

// Cumulative since the process started.
struct ProviderTotals {
    std::string provider;
    std::uint64_t attempts = 0;
    std::uint64_t successes = 0;
    std::uint64_t failures[kFailureClasses] = {};
    std::uint64_t ttfb_ms_sum = 0;
    std::uint64_t ttfb_count = 0;
};

// All called on the control thread; none may block.
struct ControlCallbacks {
    std::function<void(std::shared_ptr<const Snapshot>)> on_snapshot;
    std::function<void(std::shared_ptr<const HealthView>)> on_health;
    std::function<std::vector<ProviderTotals>()> collect_totals;
    std::function<std::uint32_t()> in_flight;
    // By provider, those with none left out; may be empty: not told then.
    std::function<std::vector<std::pair<std::string, std::uint32_t>>()> in_flight_at;
    std::function<bool()> ready;
    // It ends when those that it serves are served; may be empty: it does not.
    std::function<bool()> draining;
    // An operator wants it to drain and end; may be empty.
    std::function<void(std::string reason)> on_drain;
    // What is known of a request, by its own id or the provider's. `done` runs on any thread, once, or never when the
    // workers have ended. May be empty: nothing is known.
    std::function<void(std::string id, std::function<void(RequestsFound)> done)> find_request;
    // The same for all that are under way, without what a list has no room for.
    std::function<void(std::function<void(RequestsFound)> done)> list_requests;
};

struct ManageAnswer {
    unsigned status = 0;  // 0: the control plane cannot be reached; `body` says why
    std::string content_type;
    std::string body;
    std::string allow = {};     // the `allow` header of a 405
    std::string location = {};  // the `location` header of a redirect
};

struct ManageCall {
    std::string method;
    std::string path;
    std::string query;
    std::string body;
    std::string client_key_name;
    std::string remote;
    std::string host;
    std::string accept;
    std::string origin = {};
    std::string fetch_site = {};
};

// Where the snapshot in force comes from.
enum class SnapshotSource { kNone, kMemory, kDisk };

// For metrics and pages.
struct ControlStatus {
    bool connected = false;
    SnapshotVersion applied;     // seq 0: none yet
    std::uint64_t head_seq = 0;  // the newest that the control plane has told of
    UnixMs applied_at = 0;
    UnixMs last_heard = 0;  // from the control plane
    std::uint64_t updates_applied = 0;
    std::uint64_t updates_refused = 0;
    std::uint64_t reconnects = 0;
    std::uint64_t signals_sent = 0;
    std::uint64_t signals_dropped = 0;
    std::string stand_aside;  // why this data plane may be unready, by the control plane's leave; empty: it may not
    SnapshotSource source = SnapshotSource::kNone;
    UnixMs restored_from = 0;  // when the state from disk was written; 0: not from there
    UnixMs kept_at = 0;  // the last time the state was written to disk
    std::uint64_t kept = 0;
    std::uint64_t keep_failures = 0;
    std::uint64_t kept_refused = 0;  // files that were of no use at the start
};

// Owns one thread with its own io_context: subscriber, reporter and the local breaker live there.
// Keeps serving on the last snapshot when the control plane is away, and reconnects with full
// jitter. At a start without a control plane the last known good state is taken from the disk.
class Control {
  public:
    Control(ControlOptions options, ControlCallbacks callbacks, Log& log);
    ~Control();  // stops
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    void start();

    // Thread-safe. Says at once that ready() or draining() is another than before.
    void tell_state();

    // Thread-safe. Another process is to take our place, with our name and on our folder (yes), or is not after all: gives
    // the last known good state free for it.
    void make_room(bool yes);

    // Ends the streams and joins the thread. No callback runs after it returns.
    void stop();

    // Thread-safe; called by workers for each failed attempt, and for a success that HealthView
    // asked to watch. The local breaker judges it at once; on_health follows within microseconds.
    void report(AttemptOutcome outcome);

    // Thread-safe. `done` runs on the control thread, within 10 s.
    void manage(ManageCall call, std::function<void(ManageAnswer)> done);

    // Thread-safe.
    ControlStatus status() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace balancer::dataplane
