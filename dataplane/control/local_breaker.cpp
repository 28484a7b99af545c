#include "dataplane/control/local_breaker.hpp"

#include <algorithm>
#include <utility>

namespace balancer::dataplane {

void LocalBreaker::configure(const Snapshot& snapshot) {
    policy_ = snapshot.settings.health;
    std::map<std::string, Entry, std::less<>> kept;
    for (const auto& provider : snapshot.providers) {
        auto known = entries_.find(provider->name);
        Entry entry;
        if (known != entries_.end() && known->second.etag == provider->etag) {
            entry = std::move(known->second);
        }
        entry.slot = provider->slot;
        entry.etag = provider->etag;
        kept.emplace(provider->name, std::move(entry));
    }
    entries_ = std::move(kept);
}

bool LocalBreaker::fleet(const v1::HealthSection& section, std::uint64_t epoch) {
    bool changed = false;
    for (const v1::ProviderHealth& health : section.providers()) {
        if (!health.model().empty())
            continue;  // of one model only: this build benches whole providers
        auto entry = entries_.find(health.provider());
        if (entry == entries_.end() || entry->second.etag != health.etag()) continue;
        changed = take(entry->second, health, epoch) || changed;
    }
    return changed;
}

bool LocalBreaker::record(const AttemptOutcome& outcome, UnixMs now) {
    auto entry = entries_.find(outcome.provider);
    if (entry == entries_.end() || entry->second.etag != outcome.etag) return false;
    return entry->second.record.record(outcome, policy_, now);
}

bool LocalBreaker::age(UnixMs now) {
    bool changed = false;
    for (auto& [name, entry] : entries_) {
        changed = entry.record.age(policy_, now) || changed;
        bool was_open = entry.fleet.open_until != 0 || entry.record.state().open_until != 0;
        if (entry.fleet.open_until <= now) entry.fleet.open_until = 0;
        changed = changed || was_open;
    }
    return changed;
}

std::optional<UnixMs> LocalBreaker::next_expiry(UnixMs now) const {
    std::optional<UnixMs> next;
    auto consider = [&](UnixMs at) {
        if (at > now && (!next || at < *next)) next = at;
    };
    for (const auto& [name, entry] : entries_) {
        const HealthState& state = entry.record.state();
        consider(entry.fleet.open_until);
        consider(state.open_until);
        if (state.failure_count > 0 && policy_.reset_timeout.count() > 0) {
            // The record forgets when it is strictly older than the timeout.
            consider(state.last_failure + policy_.reset_timeout.count() + 1);
        }
    }
    return next;
}

std::shared_ptr<const HealthView> LocalBreaker::view(UnixMs now) const {
    auto view = std::make_shared<HealthView>();
    view->by_slot.resize(slots_.names().size());
    for (const auto& [name, entry] : entries_) {
        view->by_slot[entry.slot.value()] = condition_of(entry, now);
    }
    return view;
}

bool LocalBreaker::take(Entry& entry, const v1::ProviderHealth& health, std::uint64_t epoch) {
    bool open = health.circuit() == v1::CIRCUIT_OPEN;
    Fleet told{open ? health.until_ms() : 0, health.failure_count(), health.cause()};
    bool changed = !(told == entry.fleet);
    entry.fleet = std::move(told);
    bool grew = entry.epoch == epoch && health.generation() > entry.generation;
    entry.epoch = epoch;
    entry.generation = health.generation();
    if (grew && health.circuit() == v1::CIRCUIT_CLOSED && health.failure_count() == 0) {
        entry.record.reset();
        changed = true;
    }
    return changed;
}

ProviderCondition LocalBreaker::condition_of(const Entry& entry, UnixMs now) {
    const HealthState& local = entry.record.state();
    ProviderCondition condition;
    condition.watch_success = local.failure_count > 0 || entry.fleet.failure_count > 0;
    UnixMs local_until = local.open(now) ? local.open_until : 0;
    UnixMs fleet_until = now < entry.fleet.open_until ? entry.fleet.open_until : 0;
    condition.benched_until = std::max(local_until, fleet_until);
    condition.why = local.why;
    condition.failure_count = std::max(local.failure_count, entry.fleet.failure_count);
    // The fleet gives words only; they count when they are what keeps the provider out, or all
    // there is.
    bool fleet_speaks = fleet_until > local_until || local.failure_count == 0;
    condition.cause = fleet_speaks ? entry.fleet.cause : local.cause;
    return condition;
}

}  // namespace balancer::dataplane
