// What the evidence comes to: who is taken out, who may try it, who stays in use all the same.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "controlplane/health/merger.hpp"
#include "controlplane/health/quorum.hpp"

namespace balancer::controlplane {
namespace {

// A data plane with fewer attempts than the threshold could not have voted yet; above this it is
// in use for sure.
constexpr unsigned kUserAttemptsMax = 5;

}  // namespace

// Is there enough to take it out for all?
bool Merger::review(Place place, UnixMs now) {
    FleetCircuit& fleet = place.fleet;
    if (fleet.circuit.out()) return false;
    if (now < fleet.account_until) return open(place, now, fleet.account_until);
    fleet.account_until = 0;
    Tally tally =
        fleet.votes.tally(policy_, fleet.evidence_from, now, [this](std::string_view dp_id) {
            return weighs(dp_id);
        });
    std::size_t members = std::max<std::size_t>(1, members_.size());
    std::size_t users = users_of(place.provider, tally, now);
    if (!quorum_reached(tally.voters.size(), tally.local_origin, members, users)) {
        bool was_spared = fleet.spared();
        fleet.spared_for.clear();
        return was_spared;
    }
    fleet.about_the_account = false;
    fleet.why = members == 1 ? fleet.votes.words(policy_, false)
                             : fmt::format(
                                   "{} of {} data planes saw {}; first at {}",
                                   tally.voters.size(),
                                   std::max(users, tally.voters.size()),
                                   tally.words,
                                   clock_words(tally.first)
                               );
    return open(place, now, 0);
}

bool Merger::open(Place place, UnixMs now, UnixMs told) {
    FleetCircuit& fleet = place.fleet;
    CircuitState from = fleet.circuit.state();
    if (!fleet.circuit.out()) {
        std::string refusal = keep_in_use(place, fleet.about_the_account);
        if (!refusal.empty()) {
            bool news = fleet.spared_for != refusal;
            fleet.spared_for = std::move(refusal);
            return news;
        }
    }
    fleet.spared_for.clear();
    fleet.account_until = 0;
    fleet.probes.clear();
    fleet.circuit.open(policy_, chance_(), now, told);
    changed(place, from, now);
    return true;
}

void Merger::proved(Place place, std::string why, UnixMs now) {
    FleetCircuit& fleet = place.fleet;
    CircuitState from = fleet.circuit.state();
    if (policy_.reset_on_success) fleet.votes.reset();
    fleet.why = std::move(why);
    fleet.probes.clear();
    fleet.evidence_from = now;
    fleet.circuit.ramp(policy_, now);
    changed(place, from, now);
}

// Sees to it that somebody may try.
bool Merger::grant_probe(Place place, UnixMs now) {
    ProbeRound& round = place.fleet.probes;
    bool expired = round.expire(now);
    if (expired) ++probes_.expired;
    if (round.lease() != nullptr) return false;
    std::vector<Prober> probers;
    for (const Member& member : members_) {
        if (!member.ready || !weighs(member.dp_id)) continue;
        probers.push_back({member.dp_id, usage_.last_use(member.dp_id, place.provider)});
    }
    if (!round.grant(probers, fmt::format("{}-{}", epoch_, ++last_probe_), now)) return expired;
    ++probes_.granted;
    return true;
}

void Merger::changed(Place place, CircuitState from, UnixMs now) {
    FleetCircuit& fleet = place.fleet;
    if (fleet.circuit.state() == from) return;
    ++fleet.generation;
    CircuitChange change{place.provider, {}, fleet.circuit.until()};
    v1::HealthTransition& transition = change.transition;
    transition.set_at_ms(now);
    transition.set_model(place.model);
    transition.set_from(static_cast<v1::Circuit>(from));
    transition.set_to(static_cast<v1::Circuit>(fleet.circuit.state()));
    bool half_open = fleet.circuit.state() == CircuitState::kHalfOpen;
    transition.set_cause(half_open ? "its time is over, one request may try it" : fleet.why);
    if (fleet.spared()) transition.set_cause(fleet.cause(policy_, members_.size()));
    place.entry.history.add(transition);
    changes_.push_back(std::move(change));
}

std::string Merger::keep_in_use(const Place& place, bool about_the_account) const {
    return ejections_.refusal(
        place.provider,
        place.model,
        about_the_account,
        models_out(),
        [this](std::string_view provider, std::string_view model) {
            return is_out(provider, model);
        }
    );
}

bool Merger::is_out(std::string_view provider, std::string_view model) const {
    auto found = entries_.find(provider);
    if (found == entries_.end()) return true;
    if (found->second.whole.circuit.out()) return true;
    auto fleet = found->second.models.find(model);
    return fleet != found->second.models.end() && fleet->second.circuit.out();
}

std::vector<std::string> Merger::models_out() const {
    std::set<std::string> models;
    for (const auto& [name, entry] : entries_) {
        for (const auto& [model, fleet] : entry.models) {
            if (fleet.circuit.out()) models.insert(model);
        }
    }
    return {models.begin(), models.end()};
}

// Data planes that weigh, and use the provider or vote against it.
std::size_t Merger::users_of(std::string_view provider, const Tally& tally, UnixMs now) const {
    std::set<std::string_view> users(tally.voters.begin(), tally.voters.end());
    unsigned attempts_min = std::min(policy_.threshold(), kUserAttemptsMax);
    for (const Member& member : members_) {
        if (!weighs(member.dp_id)) continue;
        if (usage_.recent(member.dp_id, provider, now).attempts >= attempts_min) {
            users.insert(member.dp_id);
        }
    }
    return users.size();
}

// Null: it is not connected.
const Member* Merger::find_member(std::string_view dp_id) const {
    auto at = std::lower_bound(
        members_.begin(),
        members_.end(),
        dp_id,
        [](const Member& member, std::string_view id) { return member.dp_id < id; }
    );
    return at == members_.end() || at->dp_id != dp_id ? nullptr : &*at;
}

// Does its evidence count for the others?
bool Merger::weighs(std::string_view dp_id) const {
    return find_member(dp_id) != nullptr && !suspects_.suspect(dp_id);
}

}  // namespace balancer::controlplane
