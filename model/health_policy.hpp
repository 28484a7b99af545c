// The operator's health settings, and what one attempt says about health.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "model/account_use.hpp"
#include "model/failure.hpp"

namespace balancer {

// docs/configuration.md says what each means.
struct HealthPolicy {
    Milliseconds failure_cooldown{60'000};
    unsigned unhealthy_threshold = 2;
    bool reset_on_success = true;
    Milliseconds reset_timeout{300'000};  // 0: errors never age

    unsigned threshold() const { return unhealthy_threshold == 0 ? 1 : unhealthy_threshold; }
};

// A reset time given by a provider is believed up to this far ahead, and no bench is longer.
inline constexpr Milliseconds kBenchMax = std::chrono::hours(1);

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
    std::string probe_id = {};          // of the ticket that let it through; empty: no probe
    std::uint64_t probe_epoch = 0;
    bool local_origin = false;          // it failed before a connection stood
    std::uint64_t credential_generation = 0;  // that it was made with; 0: none
    AccountUse account_use = {};              // what the answer told of the account; an empty status: nothing
};

// A failure that benches by itself, whatever the threshold: the provider has told its reset, or refuses the account.
inline bool benches_at_once(const AttemptOutcome& outcome) {
    if (outcome.ok) return false;
    return is_of_the_account(outcome.failure) ||
           (outcome.failure == FailureClass::kRateLimited && outcome.retry_at > 0);
}

// Longer model names are not told apart from their provider.
inline constexpr std::size_t kModelNameMax = 200;

// The model that a failure concerns; empty: the whole provider.
inline std::string_view model_concerned(const AttemptOutcome& outcome) {
    if (outcome.ok || !is_of_one_model(outcome.failure)) return {};
    if (outcome.model.size() > kModelNameMax) return {};
    return outcome.model;
}

// "overloaded (HTTP 529): Overloaded"
std::string describe(const AttemptOutcome& outcome);

}  // namespace balancer
