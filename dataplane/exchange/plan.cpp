// From what is asked to the order of candidates, and what to say when there is none.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "dataplane/exchange/exchange.hpp"
#include "dataplane/exchange/match_route.hpp"

namespace balancer::dataplane {

// As it says of itself: "claude-cli/2.1.0 (external, cli)".
bool Exchange::is_claude_code() const {
    auto agent = wire::find_field(head_.fields, "user-agent");
    return agent && agent->starts_with("claude-cli/");
}

// What a session's provider is remembered under. A pinned request says nothing about where its session belongs, but stays with
// its account among those that the pin stands for.
SessionKey Exchange::sticky_key() const {
    if (!fields_.provider) return session_.key;
    return session_.key ^ (std::hash<std::string_view>{}(*fields_.provider) * 0x9e3779b97f4a7c15ULL);
}

Plan Exchange::make_plan() {
    UnixMs now = record_.at;
    const StickyTable& sticky = worker_.process.sticky;
    sticky_ = sticky.find(sticky_key(), began_, settings().sticky_duration);
    // Its first pinned request: where the session is, its prompt is cached.
    if (sticky_ == 0) sticky_ = sticky.find(session_.key, began_, settings().sticky_duration);
    auto next_turn = [this](const Route& route) {
        auto& turns = worker_.process.round_robin;
        auto place = static_cast<std::size_t>(&route - snapshot_->routes.data());
        return turns[place % turns.size()].value.fetch_add(1, std::memory_order_relaxed);
    };
    auto random = [this] { return std::uniform_real_distribution<double>(0, 1)(worker_.random); };
    RankInput input{
        *snapshot_,
        *health_,
        match_routes(*snapshot_, fields_.model),
        fields_.model,
        is_inference(),
        fields_.provider ? std::string_view(*fields_.provider) : std::string_view(),
        session_.key,
        sticky_,
        now,
        next_turn,
        random,
        is_claude_code(),
    };
    Plan plan = rank(input);
    routes_ = std::move(input.routes);
    return plan;
}

LocalFailure Exchange::no_candidate(const Plan& plan) const {
    wire::LocalError error;
    if (fields_.provider && plan.skipped.empty()) {
        error.status = 404;
        error.type = "not_found_error";
        error.code = "PROVIDER_NOT_FOUND";
        error.message = fmt::format(
            "Provider '{}' is not configured or not enabled; the names are at GET /providers.",
            *fields_.provider
        );
        error.provider = *fields_.provider;
        error.retry = false;
        return {Outcome::kNoRoute, std::move(error)};
    }
    if (plan.skipped.empty()) {
        error.status = 404;
        error.type = "not_found_error";
        error.code = "NO_ROUTE";
        error.message = fmt::format(
            "No route serves model '{}'; add a pattern that matches it (or '*') to model_routes.",
            fields_.model
        );
        error.retry = false;
        return {Outcome::kNoRoute, std::move(error)};
    }
    error.status = 503;
    error.type = "provider_error";
    error.code = "PROVIDER_UNAVAILABLE";
    error.message = fmt::format("No provider can serve model '{}' now:", fields_.model);
    for (const SkippedCandidate& skipped : plan.skipped) {
        error.message += fmt::format(" {}: {};", skipped.provider->name, skipped.why);
    }
    error.message.back() = '.';
    error.provider = plan.skipped.front().provider->name;
    error.retry_after_seconds = 30;
    return {Outcome::kNoHealthyUpstream, std::move(error)};
}

}  // namespace balancer::dataplane
