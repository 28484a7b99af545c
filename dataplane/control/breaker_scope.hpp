// What a data plane holds against one provider, or one model of it: its own evidence, and the
// fleet's verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "model/circuit.hpp"
#include "model/failure_count.hpp"
#include "model/health.hpp"

namespace balancer::dataplane {

// A number in [0, 1).
using Chance = std::function<double()>;

// What the control plane says of a provider or model.
struct FleetVerdict {
    CircuitState state = CircuitState::kClosed;
    std::uint64_t epoch = 0;       // in which it was said; 0: never
    std::uint64_t generation = 0;  // grows with each change of the circuit; of one epoch only
    UnixMs until = 0;
    unsigned ramp_percent = 100;
    unsigned failure_count = 0;
    std::string cause;
    std::string probe_id;  // of a lease that is ours; empty: none
    bool operator==(const FleetVerdict&) const = default;
};

// Sans-I/O; lives in the LocalBreaker. While the fleet has the provider out, its verdict rules, and
// a bench of our own by the threshold goes up in it; else our own circuit does. A time that the
// provider told us holds in any case. While the control plane is away, a bench of the fleet ends in
// a probe of our own, after its time and some more by chance.
class BreakerScope {
  public:
    // `name` marks the tickets of its own probes: unlike that of any other scope.
    explicit BreakerScope(std::string name) : name_(std::move(name)) {}

    // True when condition() changed.
    bool told(FleetVerdict verdict, UnixMs now);

    // The probe that is out from here has ended so.
    bool awaits(const AttemptOutcome& outcome) const {
        return ticket_ && ticket_->id() == outcome.probe_id &&
               ticket_->epoch() == outcome.probe_epoch;
    }

    // The outcome of an attempt that concerns this scope. True when condition() changed.
    bool record(
        const AttemptOutcome& outcome, const HealthPolicy& policy, const Chance& chance, UnixMs now
    );

    // The stream to the control plane has come or gone.
    bool connected(bool yes, const HealthPolicy& policy, const Chance& chance, UnixMs now);

    // True when condition() may have changed.
    bool age(const HealthPolicy& policy, UnixMs now);
    std::optional<UnixMs> next_expiry(const HealthPolicy& policy, UnixMs now) const;

    // The clock was set (ClockWatch).
    void shift(Milliseconds by);

    // Void: an operator's reset.
    void reset(UnixMs now);

    Condition condition() const;

    // Nothing is held, by anybody.
    bool clean() const;

  private:
    bool fleet_has_it_out() const {
        return fleet_.state == CircuitState::kOpen || fleet_.state == CircuitState::kHalfOpen;
    }
    bool take_probe_result(
        const AttemptOutcome& outcome, const HealthPolicy& policy, const Chance& chance, UnixMs now
    );
    void take_lease(UnixMs now);
    void take_over(UnixMs now);
    void offer_own_probe(UnixMs now);

    std::string name_;
    FailureCount failures_;
    Circuit circuit_;
    std::string cause_;  // of our own circuit
    FleetVerdict fleet_;
    std::shared_ptr<ProbeTicket> ticket_;
    UnixMs ticket_expires_at_ = 0;
    std::pair<std::uint64_t, std::string> lease_taken_;  // epoch and id of the last one
    std::optional<UnixMs>
        alone_at_;  // the control plane is away: when the fleet's bench becomes ours
    std::uint64_t own_probes_ = 0;
};

}  // namespace balancer::dataplane
