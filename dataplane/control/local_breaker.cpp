#include "dataplane/control/local_breaker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/clock_watch.hpp"
#include "model/from_proto.hpp"

namespace balancer::dataplane {

void LocalBreaker::configure(const Snapshot& snapshot) {
    policy_ = snapshot.settings.health;
    std::map<std::string, Entry, std::less<>> kept;
    for (const auto& provider : snapshot.providers) {
        auto known = entries_.find(provider->name);
        Entry entry(provider->name);
        if (known != entries_.end() && known->second.etag == provider->etag) {
            entry = std::move(known->second);
        }
        entry.slot = provider->slot;
        entry.etag = provider->etag;
        kept.emplace(provider->name, std::move(entry));
    }
    entries_ = std::move(kept);
}

void LocalBreaker::shift(Milliseconds by) {
    each_scope([&](BreakerScope& scope) { scope.shift(by); });
}

bool LocalBreaker::fleet(
    const v1::HealthSection& section, std::uint64_t epoch, UnixMs now, UnixMs sender_time
) {
    bool changed = false;
    std::set<const BreakerScope*> spoken_of;
    for (const v1::ProviderHealth& health : section.providers()) {
        auto entry = entries_.find(health.provider());
        if (entry == entries_.end() || entry->second.etag != health.etag()) continue;
        if (health.model().empty()) {
            changed = take_reset(entry->second, health, epoch, now) || changed;
        }
        BreakerScope* scope = scope_of(entry->first, entry->second, health.model());
        if (scope == nullptr) continue;
        spoken_of.insert(scope);
        FleetVerdict verdict = verdict_of(health, epoch);
        // No bench is longer, whatever two clocks make of it.
        Milliseconds longest = std::max(kBenchMax, policy_.failure_cooldown);
        verdict.until =
            std::min(on_our_clock(verdict.until, sender_time, now), now + longest.count());
        changed = scope->told(std::move(verdict), now) || changed;
    }
    for (auto& [name, entry] : entries_) {
        for (auto& [model, scope] : entry.models) {
            if (spoken_of.contains(&scope)) continue;
            FleetVerdict nothing;
            nothing.epoch = epoch;
            changed = scope.told(std::move(nothing), now) || changed;
        }
        std::erase_if(entry.models, [](const auto& item) { return item.second.clean(); });
    }
    return changed;
}

bool LocalBreaker::connected(bool yes, UnixMs now) {
    bool changed = false;
    each_scope([&](BreakerScope& scope) {
        changed = scope.connected(yes, policy_, chance_, now) || changed;
    });
    return changed;
}

bool LocalBreaker::record(const AttemptOutcome& outcome, UnixMs now) {
    auto found = entries_.find(outcome.provider);
    if (found == entries_.end() || found->second.etag != outcome.etag) return false;
    Entry& entry = found->second;
    if (!outcome.probe_id.empty()) return record_probe(entry, outcome, now);
    if (!outcome.ok) return record_failure(entry, outcome, now);
    // A success speaks for whatever it passed through.
    bool changed = entry.whole.record(outcome, policy_, chance_, now);
    auto model = entry.models.find(outcome.model);
    if (model != entry.models.end()) {
        changed = model->second.record(outcome, policy_, chance_, now) || changed;
    }
    return changed;
}

// The end of a probe that nobody waits for any more counts for nothing.
bool LocalBreaker::record_probe(Entry& entry, const AttemptOutcome& outcome, UnixMs now) {
    BreakerScope* probed = entry.whole.awaits(outcome) ? &entry.whole : nullptr;
    auto model = entry.models.find(outcome.model);
    if (model != entry.models.end() && model->second.awaits(outcome)) probed = &model->second;
    if (probed == nullptr) return false;
    AttemptOutcome plain = outcome;
    plain.probe_id.clear();
    if (probed == &entry.whole && !model_concerned(outcome).empty()) {
        // A limit on one model, met by the provider's probe: the provider has answered.
        AttemptOutcome answered = outcome;
        answered.ok = true;
        probed->record(answered, policy_, chance_, now);
        record_failure(entry, plain, now);
        return true;
    }
    probed->record(outcome, policy_, chance_, now);
    if (outcome.ok) {
        record(plain, now);
    } else if (scope_of(outcome.provider, entry, model_concerned(outcome)) != probed) {
        record_failure(entry, plain, now);
    }
    return true;
}

bool LocalBreaker::age(UnixMs now) {
    bool changed = false;
    each_scope([&](BreakerScope& scope) { changed = scope.age(policy_, now) || changed; });
    return changed;
}

std::optional<UnixMs> LocalBreaker::next_expiry(UnixMs now) const {
    std::optional<UnixMs> next;
    auto consider = [&](const BreakerScope& scope) {
        std::optional<UnixMs> at = scope.next_expiry(policy_, now);
        if (at && (!next || *at < *next)) next = at;
    };
    for (const auto& [name, entry] : entries_) {
        consider(entry.whole);
        for (const auto& [model, scope] : entry.models) consider(scope);
    }
    return next;
}

std::shared_ptr<const HealthView> LocalBreaker::view() const {
    auto view = std::make_shared<HealthView>();
    view->by_slot.resize(slots_.names().size());
    for (const auto& [name, entry] : entries_) {
        ProviderCondition& out = view->by_slot[entry.slot.value()];
        static_cast<Condition&>(out) = entry.whole.condition();
        for (const auto& [model, scope] : entry.models) {
            if (!scope.clean()) out.models.push_back({model, scope.condition()});
        }
    }
    return view;
}

FleetVerdict LocalBreaker::verdict_of(const v1::ProviderHealth& health, std::uint64_t epoch) const {
    FleetVerdict verdict;
    verdict.state = circuit_from_proto(health.circuit());
    verdict.epoch = epoch;
    verdict.generation = health.generation();
    if (verdict.state == CircuitState::kOpen) verdict.until = health.until_ms();
    if (verdict.state == CircuitState::kRamp) verdict.ramp_percent = health.ramp_percent();
    verdict.failure_count = health.failure_count();
    verdict.cause = health.cause();
    if (health.probe().dp_id() == dp_id_) verdict.probe_id = health.probe().probe_id();
    return verdict;
}

bool LocalBreaker::take_reset(
    Entry& entry, const v1::ProviderHealth& health, std::uint64_t epoch, UnixMs now
) {
    bool reset = entry.epoch == epoch && health.resets() > entry.resets;
    entry.epoch = epoch;
    entry.resets = health.resets();
    if (!reset) return false;
    entry.whole.reset(now);
    for (auto& [model, scope] : entry.models) scope.reset(now);
    return true;
}

// Null: there is no room for one more.
BreakerScope* LocalBreaker::scope_of(
    std::string_view provider, Entry& entry, std::string_view model
) {
    if (model.empty()) return &entry.whole;
    auto found = entry.models.find(model);
    if (found != entry.models.end()) return &found->second;
    if (entry.models.size() >= kModelsMax) {
        std::erase_if(entry.models, [](const auto& item) { return item.second.clean(); });
    }
    if (entry.models.size() >= kModelsMax) return nullptr;
    std::string name = fmt::format("{}/{}", provider, model);
    return &entry.models.try_emplace(std::string(model), std::move(name)).first->second;
}

bool LocalBreaker::record_failure(Entry& entry, const AttemptOutcome& outcome, UnixMs now) {
    if (!benches_at_once(outcome) && !outcome.counted) return false;
    BreakerScope* scope = scope_of(outcome.provider, entry, model_concerned(outcome));
    // A model that there is no room for is not told apart from its provider.
    if (scope == nullptr) scope = &entry.whole;
    return scope->record(outcome, policy_, chance_, now);
}

}  // namespace balancer::dataplane
