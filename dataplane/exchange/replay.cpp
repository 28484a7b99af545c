#include "dataplane/exchange/replay.hpp"

#include <algorithm>

#include "dataplane/exchange/match_route.hpp"

namespace balancer::dataplane {
namespace {

bool is_alike_target(const RouteTarget& a, const RouteTarget& b) {
    return a.provider->name == b.provider->name && a.model == b.model && a.priority == b.priority;
}

bool is_alike_route(const Route* a, const Route* b) { return std::ranges::equal(a->targets, b->targets, is_alike_target); }

}  // namespace

bool says_it_asks_again(const wire::RequestHead& head) {
    auto count = wire::find_field(head.fields, "x-stainless-retry-count");
    return count && count->find_first_of("123456789") != std::string_view::npos;
}

bool is_served_alike(const KeptAnswer& answer, const Snapshot& before, const Snapshot& after) {
    const DeduplicationSettings& then = before.settings.deduplication;
    const DeduplicationSettings& now = after.settings.deduplication;
    if (now.enabled != then.enabled || now.include_max_tokens != then.include_max_tokens) return false;
    if (now.replay_window != then.replay_window) return false;
    const Provider* was = before.find_provider(answer.provider);
    const Provider* is = after.find_provider(answer.provider);
    if (was == nullptr || is == nullptr || was->etag != is->etag) return false;
    return std::ranges::equal(match_routes(before, answer.model), match_routes(after, answer.model), is_alike_route);
}

}  // namespace balancer::dataplane
