#include "model/health.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace balancer {
namespace {

bool is_authoritative(const AttemptOutcome& outcome) {
    return outcome.retry_at > 0 && (outcome.failure == FailureClass::kRateLimited ||
                                    outcome.failure == FailureClass::kQuota);
}

std::string describe(const AttemptOutcome& outcome) {
    std::string text(name_of(outcome.failure));
    if (outcome.http_status != 0) text += fmt::format(" (HTTP {})", outcome.http_status);
    if (!outcome.detail.empty()) text += ": " + outcome.detail;
    return text;
}

}  // namespace

bool HealthRecord::record(
    const AttemptOutcome& outcome, const HealthPolicy& policy, UnixMs now
) {
    bool changed = age(policy, now);
    if (outcome.ok) {
        bool has_something = state_.failure_count > 0 || state_.open_until > 0;
        // A success that began before the last failure says nothing about the time after it.
        if (!policy.reset_on_success || !has_something || outcome.started_at < state_.last_failure) {
            return changed;
        }
        reset();
        return true;
    }
    if (is_authoritative(outcome)) {
        UnixMs until = std::min(outcome.retry_at, now + kRetryAtMax.count());
        if (until > state_.open_until) {
            state_.open_until = until;
            state_.why = outcome.failure;
            state_.cause = describe(outcome);
            state_.last_failure = now;
            state_.failure_count = std::max(state_.failure_count, 1U);
            return true;
        }
        return changed;
    }
    if (!outcome.counted) return changed;
    if (state_.failure_count > 0 && outcome.started_at <= state_.last_failure) return changed;

    ++state_.failure_count;
    state_.last_failure = now;
    state_.why = outcome.failure;
    unsigned threshold = std::max(policy.unhealthy_threshold, 1U);
    state_.cause = fmt::format(
        "{} of {} failures, last: {}", state_.failure_count, threshold, describe(outcome)
    );
    if (state_.failure_count >= threshold) {
        Milliseconds closed_for = policy.failure_cooldown;
        if (policy.reset_timeout.count() > 0) {
            closed_for = std::min(closed_for, policy.reset_timeout);
        }
        state_.open_until = std::max(state_.open_until, now + closed_for.count());
    }
    return true;
}

bool HealthRecord::age(const HealthPolicy& policy, UnixMs now) {
    if (policy.reset_timeout.count() <= 0 || state_.failure_count == 0) return false;
    if (state_.open(now) || now - state_.last_failure <= policy.reset_timeout.count()) return false;
    reset();
    return true;
}

}  // namespace balancer
