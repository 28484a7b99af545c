#include "model/failure_count.hpp"

#include <fmt/format.h>

namespace balancer {

std::string describe(const AttemptOutcome& outcome) {
    std::string text(name_of(outcome.failure));
    if (outcome.http_status != 0) text += fmt::format(" (HTTP {})", outcome.http_status);
    if (!outcome.detail.empty()) text += ": " + outcome.detail;
    return text;
}

bool FailureCount::add(const AttemptOutcome& outcome, UnixMs now) {
    if (count_ > 0 && outcome.started_at <= last_end_) return false;
    if (count_ == 0) first_ = now;
    ++count_;
    last_ = now;
    last_end_ = outcome.at;
    why_ = outcome.failure;
    local_origin_ = outcome.local_origin || is_local_origin(outcome.failure);
    words_ = describe(outcome);
    return true;
}

bool FailureCount::forgive(UnixMs started_at) {
    if (count_ == 0 || started_at < last_end_) return false;
    reset();
    return true;
}

bool FailureCount::age(const HealthPolicy& policy, UnixMs now) {
    if (count_ == 0 || policy.reset_timeout.count() <= 0) return false;
    if (now - last_ <= policy.reset_timeout.count()) return false;
    reset();
    return true;
}

}  // namespace balancer
