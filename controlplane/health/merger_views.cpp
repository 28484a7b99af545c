// What the merger shows.
#include "controlplane/health/merger.hpp"

namespace balancer::controlplane {

v1::HealthSection Merger::section() const {
    v1::HealthSection section;
    auto add = [&](const std::string& name,
                   const Entry& entry,
                   const std::string& model,
                   const FleetCircuit& fleet) {
        v1::ProviderHealth& out = *section.add_providers();
        out.set_provider(name);
        out.set_model(model);
        out.set_etag(entry.etag);
        out.set_resets(entry.resets);
        out.set_circuit(static_cast<v1::Circuit>(fleet.circuit.state()));
        out.set_generation(fleet.generation);
        if (fleet.circuit.state() == CircuitState::kOpen) out.set_until_ms(fleet.circuit.until());
        if (fleet.circuit.state() == CircuitState::kRamp) {
            out.set_ramp_percent(fleet.circuit.ramp_percent());
        }
        out.set_spared(fleet.spared());
        out.set_failure_count(fleet.votes.failure_count());
        out.set_last_failure_ms(fleet.votes.last_failure());
        out.set_cause(fleet.cause(policy_, members_.size()));
        if (const ProbeLease* lease = fleet.probes.lease()) {
            v1::ProbeLease& probe = *out.mutable_probe();
            probe.set_dp_id(lease->dp_id);
            probe.set_probe_id(lease->probe_id);
            probe.set_epoch(epoch_);
            probe.set_expires_at_ms(lease->expires_at);
        }
    };
    for (const std::string& name : order_) {
        const Entry& entry = entries_.find(name)->second;
        add(name, entry, {}, entry.whole);
        for (const auto& [model, fleet] : entry.models) add(name, entry, model, fleet);
    }
    return section;
}

std::vector<AccountHold> Merger::holds() const {
    std::vector<AccountHold> holds;
    auto add = [&](const std::string& name,
                   const Entry& entry,
                   const std::string& model,
                   const FleetCircuit& fleet) {
        if (!fleet.about_the_account) return;
        if (fleet.circuit.out()) {
            holds.push_back({name, model, entry.etag, fleet.circuit.until(), fleet.why});
        } else if (fleet.account_until != 0) {
            // Spared: it is taken out as soon as somebody else can serve.
            holds.push_back({name, model, entry.etag, fleet.account_until, fleet.why});
        }
    };
    for (const auto& [name, entry] : entries_) {
        add(name, entry, {}, entry.whole);
        for (const auto& [model, fleet] : entry.models) add(name, entry, model, fleet);
    }
    return holds;
}

v1::ProviderTotals Merger::totals(std::string_view provider) const {
    return totals_.totals(provider);
}

std::vector<v1::Signal> Merger::recent_failures(std::string_view provider) const {
    auto found = entries_.find(provider);
    if (found == entries_.end()) return {};
    return {found->second.failures.begin(), found->second.failures.end()};
}

const HealthHistory* Merger::history(std::string_view provider) const {
    auto found = entries_.find(provider);
    return found == entries_.end() ? nullptr : &found->second.history;
}

}  // namespace balancer::controlplane
