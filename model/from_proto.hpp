// Turns published sections into a Snapshot. The only place where generated types meet the model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/result.hpp"
#include "model/circuit.hpp"
#include "model/snapshot.hpp"

namespace balancer {

// A provider that could not be compiled: left out, the rest is in force.
struct Quarantined {
    std::string resource;    // "provider/NAME"
    std::string field_path;
    std::string message;
};

struct Compiled {
    std::shared_ptr<const Snapshot> snapshot;
    std::vector<Quarantined> quarantined;
};

// An error when the section as a whole cannot be used (unknown schema, a bad regular expression, two providers of one
// name). A bad provider is quarantined instead. `revision` is the configuration's, for words; 0: not told.
Result<Compiled> compile_snapshot(
    const v1::Version& version,
    const v1::ConfigSection& config,
    const v1::CredentialSection& credentials,
    ProviderSlots& slots,
    std::uint64_t revision = 0
);

HealthPolicy to_policy(const v1::HealthPolicy& policy);

// What a newer release may say beyond the four is nothing that this build could act on: closed.
CircuitState circuit_from_proto(v1::Circuit circuit);

v1::AccountUse to_proto(const AccountUse& use);
// Whatever a provider or a client has said, the result can be parsed and is small: one signal that cannot be would
// hold up all behind it.
v1::Signal to_signal(const AttemptOutcome& outcome);
AttemptOutcome to_outcome(const v1::Signal& signal);

}  // namespace balancer
