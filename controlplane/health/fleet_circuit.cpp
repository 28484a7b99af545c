#include "controlplane/health/fleet_circuit.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace balancer::controlplane {

std::string clock_words(UnixMs at) {
    return fmt::format("{:%H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(at / 1000)));
}

void FleetCircuit::shift(Milliseconds by) {
    circuit.shift(by);
    votes.shift(by);
    probes.shift(by);
    if (evidence_from != 0) evidence_from += by.count();
    if (account_until != 0) account_until += by.count();
}

std::string FleetCircuit::cause(const HealthPolicy& policy, std::size_t members) const {
    switch (circuit.state()) {
        case CircuitState::kOpen:
            return fmt::format("open until {}: {}", clock_words(circuit.until()), why);
        case CircuitState::kHalfOpen: {
            const ProbeLease* lease = probes.lease();
            if (lease == nullptr) {
                return fmt::format("half-open, but no data plane is there to try it: {}", why);
            }
            return fmt::format(
                "half-open, one request of {} may try it until {}: {}",
                lease->dp_id,
                clock_words(lease->expires_at),
                why
            );
        }
        case CircuitState::kRamp:
            return fmt::format(
                "{}% of the sessions are back since {}: {}",
                circuit.ramp_percent(),
                clock_words(circuit.since()),
                why
            );
        case CircuitState::kClosed:
            break;
    }
    if (spared()) return fmt::format("{}; in use all the same, since {}", why, spared_for);
    return votes.words(policy, members > 1);
}

}  // namespace balancer::controlplane
