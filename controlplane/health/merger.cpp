#include "controlplane/health/merger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kRecentFailuresMax = 20;
// A model that has nothing against it any more is shown for this long, so that every data plane
// hears of its end.
constexpr Milliseconds kCleanModelKept{60'000};

const std::string kWholeProvider;

}  // namespace

template <class Visit>
void Merger::each_place(Visit visit) {
    for (auto& [name, entry] : entries_) {
        visit(Place{name, entry, kWholeProvider, entry.whole});
        for (auto& [model, fleet] : entry.models) visit(Place{name, entry, model, fleet});
    }
}

// None: no such provider. A model that there is no room for is not told apart from its provider.
std::optional<Merger::Place> Merger::place_of(std::string_view provider, std::string_view model) {
    auto found = entries_.find(provider);
    if (found == entries_.end()) return std::nullopt;
    Entry& entry = found->second;
    if (model.empty()) return Place{found->first, entry, kWholeProvider, entry.whole};
    auto known = entry.models.find(model);
    if (known == entry.models.end()) {
        if (!make_room(entry)) return Place{found->first, entry, kWholeProvider, entry.whole};
        known = entry.models.try_emplace(std::string(model)).first;
    }
    return Place{found->first, entry, known->first, known->second};
}

bool Merger::make_room(Entry& entry) {
    if (entry.models.size() < kModelsMax) return true;
    std::erase_if(entry.models, [](const auto& item) { return item.second.clean(); });
    return entry.models.size() < kModelsMax;
}

void Merger::configure(const v1::ConfigSection& config, UnixMs now) {
    policy_ = to_policy(config.settings().health());
    ejections_.configure(config);
    order_.clear();
    addresses_.clear();
    std::map<std::string, Entry, std::less<>> kept;
    std::set<std::string, std::less<>> names;
    for (const v1::Provider& provider : config.providers()) {
        order_.push_back(provider.name());
        names.insert(provider.name());
        addresses_.emplace(provider.name(), provider.base_url());
        auto known = entries_.find(provider.name());
        Entry entry = known == entries_.end() ? Entry{} : std::move(known->second);
        if (known != entries_.end() && entry.etag != provider.etag()) {
            std::uint64_t generation = entry.whole.generation + 1;
            entry.whole = FleetCircuit{};
            entry.whole.generation = generation;
            entry.models.clear();
        }
        entry.etag = provider.etag();
        kept.insert_or_assign(provider.name(), std::move(entry));
    }
    entries_ = std::move(kept);
    totals_.set_providers(names);
    usage_.set_providers(std::move(names));
    each_place([&](Place place) {
        CircuitState from = place.fleet.circuit.state();
        if (!place.fleet.circuit.out()) return;
        std::string refusal = keep_in_use(place, true);
        if (refusal.empty()) return;
        // Spared, and not well: what was held against it stands as long as its bench would have.
        bool open = from == CircuitState::kOpen;
        place.fleet.account_until = open ? place.fleet.circuit.until() : spared_while_half_open(now);
        place.fleet.circuit.close(now);
        place.fleet.probes.clear();
        place.fleet.spared_for = std::move(refusal);
        changed(place, from, now);
    });
}

// One that should be tried by a single request only is in use all the same: until when that is held against it.
UnixMs Merger::spared_while_half_open(UnixMs now) const {
    return now + std::min(policy_.failure_cooldown, kBenchMax).count();
}

bool Merger::set_members(std::vector<Member> members) {
    std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
        return a.dp_id < b.dp_id;
    });
    std::vector<Member> before = std::exchange(members_, std::move(members));
    bool news = false;
    for (const Member& one : before) {
        const Member* still = find_member(one.dp_id);
        if (still != nullptr && still->instance_id == one.instance_id) continue;
        each_place([&](Place place) {
            news = place.fleet.votes.forget(one.dp_id) || news;
            news = place.fleet.probes.withdraw(one.dp_id) || news;
        });
    }
    return news;
}

bool Merger::signal(std::string_view dp_id, const v1::Signal& signal, UnixMs now) {
    auto found = entries_.find(signal.provider());
    if (found == entries_.end() || found->second.etag != signal.etag()) return false;
    if (find_member(dp_id) == nullptr) return false;
    Entry& entry = found->second;
    if (!signal.ok()) {
        entry.failures.push_front(signal);
        if (entry.failures.size() > kRecentFailuresMax) entry.failures.pop_back();
    }
    usage_.touch(dp_id, signal.provider(), now);
    AttemptOutcome outcome = to_outcome(signal);
    if (!outcome.probe_id.empty()) return probe_ended(dp_id, outcome, now);
    if (!outcome.ok) {
        if (!outcome.counted && !benches_at_once(outcome)) return false;
        std::optional<Place> place = place_of(outcome.provider, model_concerned(outcome));
        return place && failed(*place, dp_id, outcome, now);
    }
    // A success speaks for the provider, and for the model that it was of.
    bool changed =
        went_well({found->first, entry, kWholeProvider, entry.whole}, dp_id, outcome, now);
    auto model = entry.models.find(outcome.model);
    if (model != entry.models.end()) {
        Place place{found->first, entry, model->first, model->second};
        changed = went_well(place, dp_id, outcome, now) || changed;
    }
    return changed;
}

void Merger::counters(
    std::string_view dp_id,
    std::string_view instance_id,
    const google::protobuf::RepeatedPtrField<v1::Counters>& counters,
    UnixMs now
) {
    totals_.take(dp_id, instance_id, counters);
    const Member* member = find_member(dp_id);
    if (member == nullptr || member->instance_id != instance_id) return;
    usage_.take(dp_id, instance_id, counters, now);
}

bool Merger::age(UnixMs now) {
    usage_.age(now);
    authority_.age(now);
    suspects_.judge(usage_, members_, addresses_, now);
    bool news = false;
    each_place([&](Place place) {
        FleetCircuit& fleet = place.fleet;
        CircuitState from = fleet.circuit.state();
        news = fleet.circuit.tick(policy_, now) || news;
        changed(place, from, now);
        if (fleet.circuit.state() == CircuitState::kHalfOpen) {
            news = grant_probe(place, now) || news;
        } else if (!fleet.circuit.out()) {
            news = fleet.votes.age(policy_, now) || news;
            news = review(place, now) || news;
        }
    });
    for (auto& [name, entry] : entries_) {
        news =
            std::erase_if(
                entry.models,
                [&](const auto& item) {
                    const FleetCircuit& fleet = item.second;
                    return fleet.clean() && now - fleet.circuit.since() > kCleanModelKept.count();
                }
            ) > 0 ||
            news;
    }
    return news;
}

std::optional<UnixMs> Merger::next_change() const {
    std::optional<UnixMs> next;
    auto consider = [&](std::optional<UnixMs> at) {
        if (at && (!next || *at < *next)) next = at;
    };
    for (const auto& [name, entry] : entries_) {
        consider(entry.whole.circuit.next_change());
        for (const auto& [model, fleet] : entry.models) consider(fleet.circuit.next_change());
    }
    return next;
}

bool Merger::reset(std::string_view provider, UnixMs now) {
    auto found = entries_.find(provider);
    if (found == entries_.end()) return false;
    ++found->second.resets;
    each_place([&](Place place) {
        if (place.provider != provider) return;
        CircuitState from = place.fleet.circuit.state();
        place.fleet.votes.reset();
        place.fleet.probes.clear();
        place.fleet.spared_for.clear();
        place.fleet.account_until = 0;
        place.fleet.evidence_from = now;
        place.fleet.why = "reset by hand";
        place.fleet.circuit.close(now);
        changed(place, from, now);
    });
    return true;
}

void Merger::shift(Milliseconds by) {
    each_place([&](Place place) { place.fleet.shift(by); });
    usage_.shift(by);
    suspects_.shift(by);
    authority_.shift(by);
}

void Merger::restore(const std::vector<AccountHold>& holds, UnixMs now) {
    for (const AccountHold& hold : holds) {
        auto known = entries_.find(hold.provider);
        if (known == entries_.end() || known->second.etag != hold.etag) continue;
        std::optional<Place> place = place_of(hold.provider, hold.model);
        if (!place) continue;
        FleetCircuit& fleet = place->fleet;
        fleet.about_the_account = true;
        fleet.why = hold.why;
        fleet.evidence_from = now;
        // The clock may have been set back meanwhile: not longer than any bench is.
        UnixMs until = std::min(hold.until, now + std::max(kBenchMax, policy_.failure_cooldown).count());
        fleet.spared_for = keep_in_use(*place, true);
        if (fleet.spared()) {
            fleet.account_until = until > now ? until : spared_while_half_open(now);
            continue;
        }
        CircuitState from = fleet.circuit.state();
        if (until > now) {
            fleet.circuit.hold(now, until);
        } else {
            fleet.circuit.half_open(now);
        }
        changed(*place, from, now);
    }
}

bool Merger::probe_ended(std::string_view dp_id, const AttemptOutcome& outcome, UnixMs now) {
    std::optional<Place> probed;
    each_place([&](Place place) {
        if (place.provider != outcome.provider || outcome.probe_epoch != epoch_) return;
        if (!place.model.empty() && place.model != outcome.model) return;
        if (place.fleet.probes.awaits(dp_id, outcome.probe_id)) probed.emplace(place);
    });
    if (!probed) {
        ++probes_.ignored;
        return false;
    }
    FleetCircuit& fleet = probed->fleet;
    AttemptOutcome plain = outcome;
    plain.probe_id.clear();
    if (outcome.ok) {
        ++probes_.succeeded;
        proved(*probed, fmt::format("the probe of {} went well", dp_id), now);
        return true;
    }
    const bool counts = plain.counted || benches_at_once(plain);
    const bool of_a_model = !model_concerned(plain).empty();
    if (probed->model.empty() && of_a_model) {
        // A limit on one model, met by the provider's probe: the provider has answered.
        ++probes_.succeeded;
        proved(*probed, fmt::format("the probe of {} was answered: {}", dp_id, describe(plain)), now);
        std::optional<Place> model = place_of(plain.provider, model_concerned(plain));
        if (counts && model) failed(*model, dp_id, plain, now);
        return true;
    }
    ++probes_.failed;
    fleet.votes.add(dp_id, plain, benches_at_once(plain), now);
    fleet.why = fmt::format("the probe of {} failed: {}", dp_id, describe(plain));
    fleet.probes.clear();
    CircuitState from = fleet.circuit.state();
    // What the provider had said of the account stands, unless it says something else of it.
    fleet.about_the_account = fleet.about_the_account || benches_at_once(plain);
    fleet.circuit.open(policy_, chance_(), now, benches_at_once(plain) ? plain.retry_at : 0);
    changed(*probed, from, now);
    // It may also be about more: the whole provider, met by a model's probe.
    if (counts && !probed->model.empty() && !of_a_model) {
        std::optional<Place> whole = place_of(plain.provider, {});
        if (whole) failed(*whole, dp_id, plain, now);
    }
    return true;
}

bool Merger::went_well(
    Place place, std::string_view dp_id, const AttemptOutcome& outcome, UnixMs now
) {
    if (!policy_.reset_on_success) return false;
    FleetCircuit& fleet = place.fleet;
    bool forgiven = fleet.votes.forgive(dp_id, outcome.started_at);
    bool since_it_is_out = fleet.circuit.out() && outcome.started_at >= fleet.circuit.since();
    if (since_it_is_out && weighs(dp_id)) {
        proved(place, fmt::format("a request of {} went well", dp_id), now);
        return true;
    }
    // Of a hold that was restored nobody here has seen the failure.
    const bool refuted = fleet.votes.empty() && fleet.account_until != 0 &&
                         outcome.started_at >= fleet.evidence_from && weighs(dp_id);
    if ((forgiven || refuted) && fleet.spared()) {
        fleet.account_until = 0;
        return review(place, now) || forgiven;
    }
    return forgiven;
}

bool Merger::failed(
    Place place, std::string_view dp_id, const AttemptOutcome& outcome, UnixMs now
) {
    bool at_once = benches_at_once(outcome);
    FleetCircuit& fleet = place.fleet;
    bool raised = fleet.votes.add(dp_id, outcome, at_once, now);
    if (!weighs(dp_id)) return raised;
    if (!at_once || !authority_.take(dp_id, place.provider, now)) {
        return review(place, now) || raised;
    }
    if (fleet.circuit.state() == CircuitState::kOpen && outcome.retry_at <= fleet.circuit.until()) {
        return raised;
    }
    fleet.why = fmt::format("{} was answered {}", dp_id, describe(outcome));
    fleet.about_the_account = true;
    Milliseconds stands = std::min(policy_.failure_cooldown, kBenchMax);
    if (outcome.retry_at > 0) stands = std::min(Milliseconds(outcome.retry_at - now), kBenchMax);
    fleet.account_until = now + stands.count();
    return open(place, now, outcome.retry_at) || raised;
}

}  // namespace balancer::controlplane
