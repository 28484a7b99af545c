#include "dataplane/exchange/match_route.hpp"

#include <string>

namespace balancer::dataplane {

std::vector<const Route*> match_routes(const Snapshot& snapshot, std::string_view model) {
    std::vector<const Route*> matched;
    const Route* exact = nullptr;
    auto found = snapshot.exact_routes.find(std::string(model));
    if (found != snapshot.exact_routes.end()) {
        exact = &snapshot.routes[found->second];
        matched.push_back(exact);
    }
    for (const Route& route : snapshot.routes) {
        if (&route != exact && route.pattern.matches(model)) matched.push_back(&route);
    }
    return matched;
}

}  // namespace balancer::dataplane
