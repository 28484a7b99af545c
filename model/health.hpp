// Provider health, first rule: the original's settings. A pure core that both planes use: the data plane on what it
// sees itself, the control plane on what the fleet reports. Time is an argument.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "model/failure.hpp"
#include "model/provider_slots.hpp"

namespace balancer {

// docs/configuration.md says what each means.
struct HealthPolicy {
    Milliseconds failure_cooldown{60'000};
    unsigned unhealthy_threshold = 2;
    bool reset_on_success = true;
    Milliseconds reset_timeout{300'000};  // 0: errors never age
};

// A reset time given by a provider is believed up to this far ahead.
inline constexpr Milliseconds kRetryAtMax = std::chrono::hours(1);

// How one attempt ended, as far as health is concerned.
struct AttemptOutcome {
    std::string provider;
    std::string etag;        // the provider generation that the attempt used
    std::string model;       // as sent upstream
    std::string request_id;
    bool ok = false;
    FailureClass failure = FailureClass::kNone;
    bool counted = false;    // classify() decided that the policy counts it
    unsigned http_status = 0;
    UnixMs started_at = 0;
    UnixMs at = 0;
    UnixMs retry_at = 0;     // told by the provider; 0: not told
    std::string detail;      // redacted words
};

// What one provider's record says at one time.
struct HealthState {
    UnixMs open_until = 0;  // benched while now < open_until
    unsigned failure_count = 0;
    UnixMs last_failure = 0;
    FailureClass why = FailureClass::kNone;
    std::string cause;      // words: "2 of 2 failures, last: 529 overloaded"
    bool open(UnixMs now) const { return now < open_until; }
};

// The record of one provider generation. Not thread-safe.
//
// A counted failure raises the count, but only when its attempt began after the last counted failure was
// recorded: many requests that meet one hiccup together are one piece of evidence, not many. At the threshold the
// provider opens until `failure_cooldown` has passed, or `reset_timeout` if that comes first. A rate limit or quota
// answer that names its reset opens at once until then, whatever the threshold. Failures older than
// `reset_timeout` are forgotten. A success resets (when the policy says so) unless an attempt that began later has failed.
class HealthRecord {
  public:
    // Returns true when the state changed in a way that others should hear of.
    bool record(const AttemptOutcome& outcome, const HealthPolicy& policy, UnixMs now);

    // Forgets what is older than the policy allows. True when something changed.
    bool age(const HealthPolicy& policy, UnixMs now);

    void reset() { state_ = HealthState{}; }

    const HealthState& state() const { return state_; }

  private:
    HealthState state_;
};

// What the request path needs to know of one provider.
struct ProviderCondition {
    UnixMs benched_until = 0;
    FailureClass why = FailureClass::kNone;
    unsigned failure_count = 0;
    bool watch_success = false;  // a success is news: report it
    std::string cause;
};

// One per data plane at a time, immutable, posted to each worker: the later of what the data plane saw itself and what
// the fleet says. Indexed by ProviderSlot; a slot beyond the end is in good health.
struct HealthView {
    std::vector<ProviderCondition> by_slot;

    const ProviderCondition* find(ProviderSlot slot) const {
        return slot.value() < by_slot.size() ? &by_slot[slot.value()] : nullptr;
    }
    bool benched(ProviderSlot slot, UnixMs now) const {
        const ProviderCondition* condition = find(slot);
        return condition != nullptr && now < condition->benched_until;
    }
};

}  // namespace balancer
