#include "model/circuit.hpp"

#include <algorithm>

namespace balancer {
namespace {

constexpr unsigned kRampFirst = 10;
constexpr unsigned kRampSecond = 50;
constexpr Milliseconds kRampStepMax{5'000};
constexpr double kChanceShare = 0.2;
constexpr unsigned kDoublingsMax = 10;

Milliseconds first_bench(const HealthPolicy& policy) {
    if (policy.reset_timeout.count() <= 0) return policy.failure_cooldown;
    return std::min(policy.failure_cooldown, policy.reset_timeout);
}

Milliseconds bench_of(const HealthPolicy& policy, unsigned strikes, double chance) {
    Milliseconds first = first_bench(policy);
    if (strikes <= 1) return first;
    // An operator's cooldown above the hour stands.
    Milliseconds most = std::max(first, std::min(first * 10, kBenchMax));
    Milliseconds grown = std::min(first * (1U << std::min(strikes - 1, kDoublingsMax)), most);
    auto shortened = static_cast<std::int64_t>(
        static_cast<double>(grown.count()) * (1.0 - kChanceShare * chance)
    );
    grown = std::max(first, Milliseconds(shortened));
    if (policy.reset_timeout.count() > 0) grown = std::min(grown, policy.reset_timeout);
    return grown;
}

Milliseconds ramp_step(const HealthPolicy& policy) {
    return std::clamp(first_bench(policy) / 10, Milliseconds(1), kRampStepMax);
}

}  // namespace

void Circuit::open(const HealthPolicy& policy, double chance, UnixMs now, UnixMs told) {
    bool was_open = state_ == CircuitState::kOpen;
    bool stable = state_ == CircuitState::kClosed && now - since_ >= last_bench_.count();
    UnixMs until = std::min(told, now + kBenchMax.count());
    if (told == 0) {
        if (stable) strikes_ = 0;
        if (!was_open) ++strikes_;
        until = now + bench_of(policy, std::max(strikes_, 1U), chance).count();
    }
    if (was_open && until <= until_) return;
    if (!was_open) enter(CircuitState::kOpen, now);
    until_ = until;
    told_ = told != 0;
    last_bench_ = Milliseconds(until - since_);
}

void Circuit::ramp(const HealthPolicy& policy, UnixMs now) {
    if (state_ == CircuitState::kClosed || state_ == CircuitState::kRamp) return;
    enter(CircuitState::kRamp, now);
    ramp_percent_ = kRampFirst;
    until_ = now + ramp_step(policy).count();
}

void Circuit::hold(UnixMs now, UnixMs until) {
    enter(CircuitState::kOpen, now);
    until_ = until;
    last_bench_ = Milliseconds(until - now);
}

void Circuit::half_open(UnixMs now) {
    if (state_ != CircuitState::kHalfOpen) enter(CircuitState::kHalfOpen, now);
}

void Circuit::close(UnixMs now) {
    if (state_ != CircuitState::kClosed) enter(CircuitState::kClosed, now);
}

bool Circuit::tick(const HealthPolicy& policy, UnixMs now) {
    if (until_ == 0 || now < until_) return false;
    if (state_ == CircuitState::kOpen) {
        enter(CircuitState::kHalfOpen, now);
    } else if (ramp_percent_ == kRampFirst) {
        ramp_percent_ = kRampSecond;
        until_ = now + ramp_step(policy).count();
    } else {
        enter(CircuitState::kClosed, now);
    }
    return true;
}

std::optional<UnixMs> Circuit::next_change() const {
    if (until_ == 0) return std::nullopt;
    return until_;
}

void Circuit::enter(CircuitState state, UnixMs now) {
    state_ = state;
    since_ = now;
    until_ = 0;
    told_ = false;
    ramp_percent_ = 100;
}

std::string_view name_of(CircuitState state) {
    switch (state) {
        case CircuitState::kClosed:
            return "closed";
        case CircuitState::kOpen:
            return "open";
        case CircuitState::kHalfOpen:
            return "half_open";
        case CircuitState::kRamp:
            return "ramp";
    }
    return {};
}

}  // namespace balancer
