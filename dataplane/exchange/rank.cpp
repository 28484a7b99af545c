#include "dataplane/exchange/rank.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace balancer::dataplane {
namespace {

// Why this provider cannot serve whatever its health is; empty: it can.
std::string unusable(const Provider& provider, const RankInput& input) {
    if (provider.auth_type == AuthType::kPassthrough) return {};
    if (provider.claude_code_only && !input.claude_code) return "its account serves requests of Claude Code only";
    bool account = provider.auth_type == AuthType::kOauth;
    if (!provider.credential) return account ? "nobody is logged in to it" : "it has no credential yet";
    if (!provider.credential->usable) {
        for (const WindowHold& hold : provider.credential->holds) {
            if (hold.family.empty() && hold.until == 0) return hold.why;
        }
        return account ? "its account must be logged in again" : "its credential cannot be used";
    }
    if (provider.credential->expires_at != 0 && provider.credential->expires_at <= input.now) {
        return "its credential has expired";
    }
    return {};
}

// A number in (0, 1) that depends on session and provider only.
double share(SessionKey session, std::string_view provider) {
    std::uint64_t hash = session ^ (std::hash<std::string_view>{}(provider) * 0x9e3779b97f4a7c15ULL);
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    hash ^= hash >> 33;
    return (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;
}

// The session's place in a provider's ramp, 0 to 99: independent of its share, and the same on every data plane.
unsigned draw_of(SessionKey session, std::string_view provider) {
    return static_cast<unsigned>(share(session ^ 0x5bf03635dcd0f1a7ULL, provider) * 100.0);
}

double weight_of(const RouteTarget& target) {
    return target.provider->weight == 0 ? 1.0 : target.provider->weight;
}

// Weighted rendezvous: who has the lowest score gets the session. It keeps whom it has while that one is there, and sessions
// spread by weight.
double score(SessionKey session, std::string_view name, double weight) {
    return -std::log(share(session, name)) / weight;
}

// Among the accounts of one provider, by what each has left.
double account_score(SessionKey session, const Provider& provider) {
    return score(session, provider.name, provider.credential ? provider.credential->headroom : 1.0);
}

// What the configuration calls it: the accounts of one provider have one name there, and one weight.
std::string_view configured_name(const Provider& provider) {
    return provider.group.empty() ? provider.name : provider.group;
}

using Targets = std::vector<const RouteTarget*>;

// They are one target of the configuration, a provider with several accounts.
bool same_target(const RouteTarget& a, const RouteTarget& b) {
    return !a.provider->group.empty() && a.provider->group == b.provider->group && a.priority == b.priority &&
           a.model == b.model;
}

// The end of the accounts that begin there; of another provider, it ends behind itself.
Targets::iterator end_of_target(Targets& targets, Targets::iterator first) {
    return std::find_if(std::next(first), targets.end(), [&](const RouteTarget* target) {
        return !same_target(**first, *target);
    });
}

// Sessions choose between the accounts of one target, whatever chooses between targets: never by turns, which would throw the
// prompt cache away.
void order_accounts(Targets& targets, SessionKey session) {
    for (auto first = targets.begin(); first != targets.end();) {
        auto last = end_of_target(targets, first);
        std::stable_sort(first, last, [&](const RouteTarget* a, const RouteTarget* b) {
            return account_score(session, *a->provider) < account_score(session, *b->provider);
        });
        first = last;
    }
}

// Inside each priority where weights are given; the rest stays as it is.
void order_by_priority(Targets& targets, SessionKey session) {
    for (auto first = targets.begin(); first != targets.end();) {
        auto last = std::find_if(first, targets.end(), [&](const RouteTarget* target) {
            return target->priority != (*first)->priority;
        });
        bool weighted = std::any_of(first, last, [](const RouteTarget* target) {
            return target->provider->weight != 0;
        });
        if (weighted) {
            std::stable_sort(first, last, [&](const RouteTarget* a, const RouteTarget* b) {
                auto score_of = [&](const RouteTarget* target) {
                    return score(session, configured_name(*target->provider), weight_of(*target));
                };
                return score_of(a) < score_of(b);
            });
        }
        first = last;
    }
}

// The target whose turn it is first, the rest by priority as they were.
void order_by_turn(Targets& targets, std::uint32_t turn) {
    std::uint32_t count = 0;
    for (auto it = targets.begin(); it != targets.end(); it = end_of_target(targets, it)) ++count;
    auto first = targets.begin();
    for (turn %= count; turn > 0; --turn) first = end_of_target(targets, first);
    std::rotate(targets.begin(), first, end_of_target(targets, first));
}

void order_by_chance(Targets& targets, const std::function<double()>& random) {
    double total = 0;
    for (auto it = targets.begin(); it != targets.end(); it = end_of_target(targets, it)) total += weight_of(**it);
    double at = random() * total;
    for (auto first = targets.begin(); first != targets.end();) {
        auto last = end_of_target(targets, first);
        at -= weight_of(**first);
        if (at < 0 || last == targets.end()) {
            std::rotate(targets.begin(), first, last);
            return;
        }
        first = last;
    }
}

void order(Targets& targets, const Route& route, const RankInput& input) {
    if (targets.size() < 2) return;
    order_accounts(targets, input.session);
    switch (input.snapshot.settings.selection_strategy) {
        case SelectionStrategy::kPriority: order_by_priority(targets, input.session); break;
        case SelectionStrategy::kRoundRobin: order_by_turn(targets, input.next_turn(route)); break;
        case SelectionStrategy::kRandom: order_by_chance(targets, input.random); break;
    }
    if (input.sticky_provider == 0) return;
    auto sticky = std::find_if(targets.begin(), targets.end(), [&](const RouteTarget* target) {
        return StickyTable::provider_hash(target->provider->name) == input.sticky_provider;
    });
    if (sticky != targets.end()) std::rotate(targets.begin(), sticky, std::next(sticky));
}

bool planned(const Plan& plan, const RouteTarget& target) {
    return std::any_of(plan.candidates.begin(), plan.candidates.end(), [&](const Candidate& candidate) {
        return candidate.provider == target.provider && candidate.model == target.model;
    });
}

void skip(
    Plan& plan, const Provider* provider, std::string_view model, std::string why, UnixMs until
) {
    for (const SkippedCandidate& one : plan.skipped) {
        if (one.provider == provider) return;
    }
    plan.skipped.push_back({provider, model, std::move(why), until});
}

Admission admission_of(const RankInput& input, const Provider& provider, std::string_view model) {
    if (model.empty()) model = input.model;
    unsigned draw = draw_of(input.session, provider.name);
    Admission admission = input.health.admit(provider.slot, model, draw);
    if (admission.gate == Gate::kProbe && !input.may_probe) {
        admission.gate = Gate::kShut;
        admission.probe = nullptr;
    }
    return admission;
}

// Its account is held, because a window of it is used up; null: it is not. Like a bench, it does not count for the last hope: the
// provider's own words say best when to come again.
const WindowHold* hold_of(const RankInput& input, const Provider& provider, std::string_view model) {
    if (!provider.credential) return nullptr;
    return provider.credential->held(model.empty() ? input.model : model, input.now);
}

// Which of a route's targets are taken.
enum class Accept { kHealthy, kRamping, kBenched };

bool accepted(Gate gate, Accept accept) {
    switch (accept) {
        case Accept::kHealthy: return gate == Gate::kOpen || gate == Gate::kProbe;
        case Accept::kRamping: return gate == Gate::kLater;
        case Accept::kBenched: return true;
    }
    return false;
}

void add_route(Plan& plan, const Route& route, const RankInput& input, Accept accept) {
    Targets targets;
    for (const RouteTarget& target : route.targets) {
        std::string reason = unusable(*target.provider, input);
        if (!reason.empty()) {
            skip(plan, target.provider, target.model, std::move(reason), 0);
            continue;
        }
        const WindowHold* hold = hold_of(input, *target.provider, target.model);
        if (hold != nullptr && accept != Accept::kBenched) {
            skip(plan, target.provider, target.model, hold->why, hold->until);
            continue;
        }
        Admission admission = admission_of(input, *target.provider, target.model);
        if (!accepted(admission.gate, accept)) {
            const Condition* because = admission.because;
            if (because != nullptr && accept == Accept::kHealthy) {
                skip(plan, target.provider, target.model, because->cause, because->benched_until);
            }
            continue;
        }
        if (!planned(plan, target)) targets.push_back(&target);
    }
    order(targets, route, input);
    for (const RouteTarget* target : targets) {
        Admission admission = admission_of(input, *target->provider, target->model);
        plan.candidates.push_back({
            target->provider,
            target->model,
            admission.probe,
            accept == Accept::kRamping,
            admission.because,
        });
    }
}

// As the first route that leads to it has it.
std::string_view model_for(const Provider& provider, const RankInput& input) {
    for (const Route* route : input.routes) {
        auto target = std::find_if(route->targets.begin(), route->targets.end(), [&](const auto& one) {
            return one.provider == &provider;
        });
        if (target != route->targets.end()) return target->model;
    }
    return {};
}

// Benched or not. A name of the configuration may stand for several: one for each of its accounts.
Plan rank_pinned(const RankInput& input) {
    Plan plan;
    Plan held;
    for (const auto& provider : input.snapshot.providers) {
        if (provider->name != input.pinned_provider && provider->group != input.pinned_provider) continue;
        std::string reason = unusable(*provider, input);
        if (!reason.empty()) {
            skip(plan, provider.get(), {}, std::move(reason), 0);
            continue;
        }
        std::string_view model = model_for(*provider, input);
        Admission admission = admission_of(input, *provider, model);
        bool later = admission.gate == Gate::kShut || hold_of(input, *provider, model) != nullptr;
        bool ramping = admission.gate == Gate::kLater;
        (later ? held : plan).candidates.push_back({
            provider.get(), model, admission.probe, ramping, admission.because
        });
    }
    std::stable_sort(plan.candidates.begin(), plan.candidates.end(), [&](const Candidate& a, const Candidate& b) {
        if (a.ramping != b.ramping) return b.ramping;
        return account_score(input.session, *a.provider) < account_score(input.session, *b.provider);
    });
    auto sticky = std::find_if(plan.candidates.begin(), plan.candidates.end(), [&](const Candidate& candidate) {
        return input.sticky_provider != 0 &&
               StickyTable::provider_hash(candidate.provider->name) == input.sticky_provider;
    });
    if (sticky != plan.candidates.end()) std::rotate(plan.candidates.begin(), sticky, std::next(sticky));
    plan.candidates.insert(plan.candidates.end(), held.candidates.begin(), held.candidates.end());
    return plan;
}

}  // namespace

Plan rank(const RankInput& input) {
    if (!input.pinned_provider.empty()) return rank_pinned(input);
    Plan plan;
    for (const Route* route : input.routes) add_route(plan, *route, input, Accept::kHealthy);
    for (const Route* route : input.routes) add_route(plan, *route, input, Accept::kRamping);
    if (plan.candidates.empty()) {
        for (const Route* route : input.routes) add_route(plan, *route, input, Accept::kBenched);
        plan.panic = !plan.candidates.empty();
        std::erase_if(plan.skipped, [&](const SkippedCandidate& skipped) {
            return std::any_of(plan.candidates.begin(), plan.candidates.end(), [&](const auto& candidate) {
                return candidate.provider == skipped.provider;
            });
        });
    }
    return plan;
}

}  // namespace balancer::dataplane
