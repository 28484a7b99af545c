// Who in the fleet holds what against one provider, or one model of it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "model/failure_count.hpp"
#include "model/health_policy.hpp"

namespace balancer::controlplane {

// A data plane that has seen enough to bench the provider for itself votes to bench it for all. A
// vote is as old as the last failure behind it.
inline constexpr Milliseconds kVoteLife{30'000};

struct Tally {
    std::vector<std::string> voters;  // by id
    std::size_t local_origin = 0;     // of them, those who may have seen their own way out fail
    UnixMs first = 0;                 // the first failure behind a vote
    std::string words;                // of the newest failure behind one
};

// A pure core; lives in the Merger. One count per data plane, by the same rule as in the data plane
// itself: its successes forgive its own failures only.
class VoteLedger {
  public:
    // True when the count was raised. `at_once`: one such failure is a vote.
    bool add(std::string_view dp_id, const AttemptOutcome& outcome, bool at_once, UnixMs now);

    // A success of an attempt that began at `started_at`. True when something was forgotten.
    bool forgive(std::string_view dp_id, UnixMs started_at);

    // True when something was too old to be held any longer.
    bool age(const HealthPolicy& policy, UnixMs now);

    // What this data plane held, whatever it was. True when there was something.
    bool forget(std::string_view dp_id);

    // The clock was set (ClockWatch).
    void shift(Milliseconds by) {
        for (auto& [dp_id, held] : by_data_plane_) held.failures.shift(by);
    }

    void reset() { by_data_plane_.clear(); }
    bool empty() const { return by_data_plane_.empty(); }

    // Votes with a failure after `since`, of data planes that `weighs` does not leave out.
    Tally tally(
        const HealthPolicy& policy,
        UnixMs since,
        UnixMs now,
        const std::function<bool(std::string_view dp_id)>& weighs
    ) const;

    unsigned failure_count() const;  // of all together
    UnixMs last_failure() const;     // 0: none

    // "2 of 3 failures at dp1, last: overloaded (HTTP 529)", of whoever has the most; empty: none.
    std::string words(const HealthPolicy& policy, bool name_data_plane) const;

  private:
    struct Held {
        FailureCount failures;
        bool at_once = false;
    };
    std::map<std::string, Held, std::less<>> by_data_plane_;
};

}  // namespace balancer::controlplane
