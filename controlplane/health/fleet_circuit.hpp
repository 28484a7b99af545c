// The fleet's judgement of one provider, or one model of it.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.hpp"
#include "controlplane/health/probe_round.hpp"
#include "controlplane/health/vote_ledger.hpp"
#include "model/circuit.hpp"

namespace balancer::controlplane {

// A plain record in the Merger.
struct FleetCircuit {
    Circuit circuit;
    VoteLedger votes;
    ProbeRound probes;
    std::uint64_t generation = 1;  // grows with each change of the circuit's state
    UnixMs evidence_from = 0;      // older failures have had their bench
    std::string why;               // what opened it, or closed it; words
    std::string
        spared_for;  // why it is in use although it should be out; empty: it need not be spared
    bool about_the_account = false;  // the verdict below is the provider's own
    UnixMs account_until = 0;        // an answer about the account stands until then; 0: none

    bool spared() const { return !spared_for.empty(); }

    // The clock was set (ClockWatch).
    void shift(Milliseconds by);

    // Nothing is held against it, and nothing is under way.
    bool clean() const {
        return circuit.state() == CircuitState::kClosed && votes.empty() && !spared() &&
               account_until == 0;
    }

    // "open until 12:03:10 UTC: 3 of 5 data planes saw overloaded (HTTP 529); first at …"
    std::string cause(const HealthPolicy& policy, std::size_t members) const;
};

// "12:03:10 UTC"
std::string clock_words(UnixMs at);

}  // namespace balancer::controlplane
