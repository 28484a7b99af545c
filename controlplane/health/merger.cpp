#include "controlplane/health/merger.hpp"

#include <algorithm>
#include <deque>

#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kRecentFailuresMax = 20;

// A data plane's clock may run ahead of ours. Only that case can be told from a report that was
// delayed, so only that one is mended: the attempt keeps its length and ends now.
AttemptOutcome in_our_time(const v1::Signal& signal, UnixMs now) {
    AttemptOutcome outcome = to_outcome(signal);
    if (outcome.at > now) {
        outcome.started_at -= outcome.at - now;
        outcome.at = now;
    }
    return outcome;
}

}  // namespace

struct Merger::Entry {
    std::string etag;
    HealthRecord record;
    std::uint64_t generation = 1;
    bool open = false;  // the circuit that `generation` stands for
    std::deque<v1::Signal> failures;

    bool moved(UnixMs now) const { return record.state().open(now) != open; }

    // Makes the generation fit the circuit. True when it had changed.
    bool settle(UnixMs now) {
        if (!moved(now)) return false;
        open = !open;
        ++generation;
        return true;
    }
};

Merger::Merger() = default;
Merger::~Merger() = default;

void Merger::configure(const v1::ConfigSection& config) {
    policy_ = to_policy(config.settings().health());
    order_.clear();
    std::map<std::string, Entry, std::less<>> kept;
    for (const v1::Provider& provider : config.providers()) {
        order_.push_back(provider.name());
        auto known = entries_.find(provider.name());
        Entry entry = known == entries_.end() ? Entry{} : std::move(known->second);
        if (known != entries_.end() && entry.etag != provider.etag()) {
            entry.record.reset();
            entry.open = false;
            ++entry.generation;
        }
        entry.etag = provider.etag();
        kept.insert_or_assign(provider.name(), std::move(entry));
    }
    entries_ = std::move(kept);
}

bool Merger::signal(std::string_view dp_id, const v1::Signal& signal, UnixMs now) {
    static_cast<void>(dp_id);  // the fleet rule counts voters; the first rule does not
    auto found = entries_.find(signal.provider());
    if (found == entries_.end() || found->second.etag != signal.etag()) return false;
    Entry& entry = found->second;
    if (!signal.ok()) {
        entry.failures.push_front(signal);
        if (entry.failures.size() > kRecentFailuresMax) entry.failures.pop_back();
    }
    bool changed = entry.record.record(in_our_time(signal, now), policy_, now);
    return entry.settle(now) || changed;
}

void Merger::counters(
    std::string_view dp_id,
    std::string_view instance_id,
    const google::protobuf::RepeatedPtrField<v1::Counters>& counters
) {
    totals_.take(dp_id, instance_id, counters);
}

bool Merger::age(UnixMs now) {
    bool changed = false;
    for (auto& [name, entry] : entries_) {
        bool forgot = entry.record.age(policy_, now);
        bool moved = entry.settle(now);
        changed = changed || forgot || moved;
    }
    return changed;
}

bool Merger::reset(std::string_view provider, UnixMs now) {
    static_cast<void>(now);
    auto found = entries_.find(provider);
    if (found == entries_.end()) return false;
    found->second.record.reset();
    found->second.open = false;
    ++found->second.generation;
    return true;
}

v1::HealthSection Merger::section(UnixMs now) const {
    v1::HealthSection section;
    for (const std::string& name : order_) {
        const Entry& entry = entries_.find(name)->second;
        const HealthState& state = entry.record.state();
        v1::ProviderHealth& health = *section.add_providers();
        health.set_provider(name);
        health.set_circuit(state.open(now) ? v1::CIRCUIT_OPEN : v1::CIRCUIT_CLOSED);
        // A circuit whose time ended since the last age() is told with the generation that age()
        // will give it.
        health.set_generation(entry.generation + (entry.moved(now) ? 1 : 0));
        if (state.open(now)) health.set_until_ms(state.open_until);
        health.set_cause(state.cause);
        health.set_failure_count(state.failure_count);
        health.set_last_failure_ms(state.last_failure);
        health.set_etag(entry.etag);
    }
    return section;
}

v1::ProviderTotals Merger::totals(std::string_view provider) const {
    return totals_.totals(provider);
}

std::vector<v1::Signal> Merger::recent_failures(std::string_view provider) const {
    auto found = entries_.find(provider);
    if (found == entries_.end()) return {};
    return {found->second.failures.begin(), found->second.failures.end()};
}

}  // namespace balancer::controlplane
