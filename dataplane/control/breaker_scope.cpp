#include "dataplane/control/breaker_scope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace balancer::dataplane {
namespace {

// A probe that has not come back by then is given up; another request may try.
constexpr Milliseconds kProbe{30'000};
constexpr Milliseconds kAloneDelayMax{5'000};

Milliseconds alone_delay(const HealthPolicy& policy, double chance) {
    auto most = static_cast<double>(std::min(policy.failure_cooldown / 5, kAloneDelayMax).count());
    return Milliseconds(static_cast<std::int64_t>(most * chance));
}

}  // namespace

bool BreakerScope::told(FleetVerdict verdict, UnixMs now) {
    bool same_epoch = fleet_.epoch == verdict.epoch;
    bool grew = same_epoch && verdict.generation > fleet_.generation;
    // A control plane that has restarted knows nothing yet: what the fleet held becomes our own.
    if (fleet_.epoch != 0 && !same_epoch && fleet_has_it_out() &&
        verdict.state == CircuitState::kClosed) {
        take_over(now);
    }
    bool changed = !(verdict == fleet_);
    fleet_ = std::move(verdict);
    alone_at_.reset();
    bool well = !fleet_has_it_out() && fleet_.failure_count == 0;
    if (grew && well) {
        failures_.reset();
        circuit_.close(now);
        ticket_.reset();
        changed = true;
    }
    if (fleet_has_it_out()) {
        if (!circuit_.told()) circuit_.close(now);
        take_lease(now);
    } else if (circuit_.state() != CircuitState::kHalfOpen) {
        ticket_.reset();
    }
    return changed;
}

// A lease is worth one ticket, however often it is told of. Its time runs from when it came: the
// control plane's clock may be another, and it is the control plane that ends it.
void BreakerScope::take_lease(UnixMs now) {
    bool ours = fleet_.state == CircuitState::kHalfOpen && !fleet_.probe_id.empty();
    if (!ours) {
        ticket_.reset();
        return;
    }
    if (lease_taken_ == std::pair(fleet_.epoch, fleet_.probe_id)) return;
    lease_taken_ = {fleet_.epoch, fleet_.probe_id};
    ticket_ = std::make_shared<ProbeTicket>(fleet_.probe_id, fleet_.epoch);
    ticket_expires_at_ = now + kProbe.count();
}

bool BreakerScope::record(
    const AttemptOutcome& outcome, const HealthPolicy& policy, const Chance& chance, UnixMs now
) {
    bool changed = !circuit_.out() && failures_.age(policy, now);
    if (!outcome.probe_id.empty()) {
        return take_probe_result(outcome, policy, chance, now) || changed;
    }
    if (outcome.ok) {
        // One that began before the last failure says nothing about the time after it.
        if (!policy.reset_on_success || outcome.started_at < failures_.last_end()) return changed;
        if (outcome.started_at < circuit_.since() && circuit_.out()) return changed;
        bool had = failures_.forgive(outcome.started_at) || circuit_.out();
        if (circuit_.out()) {
            circuit_.close(now);
            if (!fleet_has_it_out()) ticket_.reset();
        }
        return had || changed;
    }
    bool at_once = benches_at_once(outcome);
    if (!at_once && !outcome.counted) return changed;
    bool counted = failures_.add(outcome, now);
    if (at_once) {
        UnixMs before = circuit_.until();
        circuit_.open(policy, chance(), now, outcome.retry_at);
        cause_ = describe(outcome);
        ticket_.reset();
        return counted || changed || circuit_.until() != before;
    }
    if (!counted) return changed;
    cause_ = fmt::format(
        "{} of {} failures, last: {}", failures_.count(), policy.threshold(), failures_.words()
    );
    if (failures_.count() >= policy.threshold() && !fleet_has_it_out()) {
        circuit_.open(policy, chance(), now);
        ticket_.reset();
    }
    return true;
}

bool BreakerScope::take_probe_result(
    const AttemptOutcome& outcome, const HealthPolicy& policy, const Chance& chance, UnixMs now
) {
    if (!awaits(outcome)) return false;
    ticket_.reset();
    if (outcome.ok) {
        if (policy.reset_on_success) failures_.reset();
        if (circuit_.state() == CircuitState::kHalfOpen) circuit_.ramp(policy, now);
        return true;
    }
    failures_.add(outcome, now);
    cause_ = "the probe failed: " + describe(outcome);
    circuit_.open(policy, chance(), now, benches_at_once(outcome) ? outcome.retry_at : 0);
    return true;
}

bool BreakerScope::connected(
    bool yes, const HealthPolicy& policy, const Chance& chance, UnixMs now
) {
    alone_at_.reset();
    if (yes) return false;
    if (fleet_.state == CircuitState::kRamp) {
        // Nobody will tell of its next step.
        fleet_.state = CircuitState::kClosed;
        if (circuit_.state() != CircuitState::kClosed) return true;
        circuit_.half_open(now);
        circuit_.ramp(policy, now);
        return true;
    }
    if (!fleet_has_it_out()) return false;
    alone_at_ = std::max(fleet_.until, now) + alone_delay(policy, chance()).count();
    return false;
}

bool BreakerScope::age(const HealthPolicy& policy, UnixMs now) {
    bool changed = circuit_.tick(policy, now);
    if (alone_at_ && now >= *alone_at_) {
        take_over(now);
        changed = true;
    }
    if (fleet_has_it_out()) {
        // Its own time is over; the fleet's goes on.
        if (circuit_.state() != CircuitState::kOpen) circuit_.close(now);
        if (ticket_ && now >= ticket_expires_at_) {
            ticket_.reset();
            changed = true;
        }
        return changed;
    }
    if (circuit_.state() == CircuitState::kHalfOpen && (!ticket_ || now >= ticket_expires_at_)) {
        offer_own_probe(now);
        changed = true;
    }
    if (!circuit_.out() && failures_.age(policy, now)) changed = true;
    return changed;
}

std::optional<UnixMs> BreakerScope::next_expiry(const HealthPolicy& policy, UnixMs now) const {
    std::optional<UnixMs> next;
    auto consider = [&](UnixMs at) {
        if (at > now && (!next || at < *next)) next = at;
    };
    if (circuit_.next_change()) consider(*circuit_.next_change());
    if (alone_at_) consider(*alone_at_);
    if (ticket_) consider(ticket_expires_at_);
    if (failures_.count() > 0 && policy.reset_timeout.count() > 0) {
        // The count forgets when it is strictly older than the timeout.
        consider(failures_.last() + policy.reset_timeout.count() + 1);
    }
    return next;
}

void BreakerScope::shift(Milliseconds by) {
    failures_.shift(by);
    circuit_.shift(by);
    if (fleet_.until != 0) fleet_.until += by.count();
    if (ticket_) ticket_expires_at_ += by.count();
    if (alone_at_) *alone_at_ += by.count();
}

void BreakerScope::reset(UnixMs now) {
    failures_.reset();
    circuit_.close(now);
    cause_.clear();
    if (!fleet_has_it_out()) ticket_.reset();
}

Condition BreakerScope::condition() const {
    Condition out;
    out.failure_count = failures_.count();
    out.why = failures_.why();
    out.watch_success = failures_.count() > 0 || circuit_.out() || fleet_has_it_out();
    out.benched = circuit_.out() || fleet_has_it_out();
    if (circuit_.state() == CircuitState::kOpen) out.benched_until = circuit_.until();
    if (fleet_.state == CircuitState::kOpen) {
        out.benched_until = std::max(out.benched_until, fleet_.until);
    }
    if (circuit_.state() != CircuitState::kOpen) out.probe = ticket_;
    out.admit_percent = circuit_.ramp_percent();
    if (fleet_.state == CircuitState::kRamp) {
        out.admit_percent = std::min(out.admit_percent, fleet_.ramp_percent);
    }
    // Whoever keeps it out speaks; without a bench, our own evidence does.
    bool own = circuit_.out() || (!fleet_has_it_out() && failures_.count() > 0);
    out.cause = own ? cause_ : fleet_.cause;
    return out;
}

bool BreakerScope::clean() const {
    return failures_.count() == 0 && circuit_.state() == CircuitState::kClosed &&
           fleet_.state == CircuitState::kClosed && fleet_.cause.empty();
}

// The fleet's bench becomes our own, ready for a probe when its time is over.
void BreakerScope::take_over(UnixMs now) {
    cause_ = fleet_.cause;
    UnixMs until = fleet_.until;
    fleet_.state = CircuitState::kClosed;
    fleet_.until = 0;
    alone_at_.reset();
    ticket_.reset();
    if (circuit_.state() == CircuitState::kOpen) return;
    if (until > now) {
        circuit_.hold(now, until);
        return;
    }
    circuit_.half_open(now);
    offer_own_probe(now);
}

void BreakerScope::offer_own_probe(UnixMs now) {
    ticket_ = std::make_shared<ProbeTicket>(fmt::format("own/{}/{}", name_, ++own_probes_), 0);
    ticket_expires_at_ = now + kProbe.count();
}

}  // namespace balancer::dataplane
