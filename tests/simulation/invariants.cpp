// What must hold at every step of the simulated fleet, and what must hold when all is quiet.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/sim_fleet.hpp"

namespace balancer::simulation {
namespace {

bool is_out(const v1::ProviderHealth& health) {
    return health.circuit() == v1::CIRCUIT_OPEN || health.circuit() == v1::CIRCUIT_HALF_OPEN;
}

bool concerns(
    const v1::ProviderHealth& health, const std::string& provider, const std::string& model
) {
    return health.provider() == provider && (health.model().empty() || health.model() == model);
}

}  // namespace

void SimFleet::violated(const std::string& what) {
    violations_.insert(what);
}

std::vector<std::string> SimFleet::violations() const {
    return {violations_.begin(), violations_.end()};
}

void SimFleet::check() {
    v1::HealthSection section = section_;
    UnixMs since = now() - checked_at_;
    checked_at_ = now();
    // One bad data plane never takes out a provider that is well.
    for (v1::ProviderHealth& health : *section.mutable_providers()) {
        if (shape_.mutant == Mutant::kNothingSpared && health.spared()) {
            health.set_circuit(v1::CIRCUIT_OPEN);
        }
        spared_somebody_ = spared_somebody_ || health.spared();
        if (!is_out(health) || !expected_well_.contains(health.provider())) continue;
        wrong_ms_ += since;
        violated(fmt::format("{} is well, and out: {}", health.provider(), health.cause()));
    }
    check_routes(section);
    check_probes(section);
}

// Whatever changed was said to have changed, and so published. Words may lag: they tell of numbers
// of data planes.
void SimFleet::check_told() {
    auto facts = [](v1::HealthSection section) {
        for (v1::ProviderHealth& health : *section.mutable_providers()) health.clear_cause();
        return section.SerializeAsString();
    };
    if (facts(section_) != facts(merger_->section())) violated("a change of health was not told");
}

// Every route keeps somebody, for every model.
void SimFleet::check_routes(const v1::HealthSection& section) {
    for (const char* model : {"opus", "haiku"}) {
        std::size_t usable = 0;
        for (const std::string& provider : shape_.providers) {
            usable += std::none_of(
                section.providers().begin(),
                section.providers().end(),
                [&](const auto& health) {
                    return concerns(health, provider, model) && is_out(health);
                }
            );
        }
        if (usable == 0) violated(fmt::format("nobody is left for {}", model));
    }
}

// One valid probe per circuit, and one request for each ticket.
void SimFleet::check_probes(const v1::HealthSection& section) {
    std::map<std::string, int> holders;
    for (const auto& plane : data_planes_) {
        for (const auto& [id, count] : plane->probes_under_way()) {
            if (count > 1)
                violated(fmt::format("{} requests of {} for ticket {}", count, plane->id(), id));
        }
        std::set<std::string> tickets;
        for (const ProviderCondition& condition : plane->view().by_slot) {
            if (condition.probe) tickets.insert(condition.probe->id());
            for (const ModelCondition& one : condition.models) {
                if (one.condition.probe) tickets.insert(one.condition.probe->id());
            }
        }
        for (const auto& [id, count] : plane->probes_under_way()) tickets.insert(id);
        for (const std::string& id : tickets) ++holders[id];
    }
    for (const v1::ProviderHealth& health : section.providers()) {
        const std::string& id = health.probe().probe_id();
        if (id.empty()) continue;
        for (const auto& plane : data_planes_) {
            int begun = plane->probes_begun(id);
            if (begun > 1)
                violated(fmt::format("{} sent {} probes on lease {}", plane->id(), begun, id));
        }
        if (holders[id] > 1) {
            violated(fmt::format("{} data planes hold probe {}", holders[id], id));
        }
    }
}

// Who is out, for anybody; in words.
std::vector<std::string> SimFleet::held_out() const {
    std::vector<std::string> held;
    v1::HealthSection section = merger_->section();
    for (const v1::ProviderHealth& health : section.providers()) {
        if (health.circuit() == v1::CIRCUIT_CLOSED && !health.spared()) continue;
        held.push_back(fmt::format(
            "{} {} has not come back: {}", health.provider(), health.model(), health.cause()
        ));
    }
    for (const auto& plane : data_planes_) {
        for (const std::string& provider : shape_.providers) {
            for (const char* model : {"opus", "haiku"}) {
                if (!plane->benched(provider, model)) continue;
                held.push_back(
                    fmt::format("{} still benches {} for {}", plane->id(), provider, model)
                );
            }
        }
    }
    return held;
}

bool SimFleet::settled() const {
    return held_out().empty();
}

// Call when faults are over, and requests have ended and been reported.
void SimFleet::check_end() {
    for (const std::string& one : held_out()) violated(one);
    for (const std::string& provider : shape_.providers) {
        std::uint64_t sum = told_totals_[provider];
        for (const auto& plane : data_planes_) {
            auto totals = plane->totals().find(provider);
            if (totals != plane->totals().end()) sum += totals->second.attempts;
        }
        std::uint64_t known = merger_->totals(provider).attempts();
        if (known == sum) continue;
        violated(fmt::format(
            "{}: {} attempts were made, the control plane knows of {}", provider, sum, known
        ));
    }
}

bool SimFleet::out(const std::string& provider, const std::string& model) const {
    v1::HealthSection section = merger_->section();
    return std::any_of(
        section.providers().begin(),
        section.providers().end(),
        [&](const auto& health) {
            return health.provider() == provider && health.model() == model && is_out(health);
        }
    );
}

bool SimFleet::benched_everywhere(const std::string& provider, const std::string& model) const {
    return std::all_of(data_planes_.begin(), data_planes_.end(), [&](const auto& plane) {
        return plane->benched(provider, model);
    });
}

UnixMs SimFleet::attempts_at(const std::string& provider) const {
    auto found = attempts_.find(provider);
    return found == attempts_.end() ? 0 : found->second;
}

}  // namespace balancer::simulation
