#include "dataplane/models/served_models.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "dataplane/exchange/match_route.hpp"

namespace balancer::dataplane {
namespace {

using wire::convert::ListedModel;

class Search {
  public:
    Search(const Snapshot& snapshot, std::span<const ProviderModels> lists) : snapshot_(snapshot) {
        for (const ProviderModels& list : lists) {
            if (list.models == nullptr) continue;
            auto& ids = ids_[list.provider];
            for (const ListedModel& model : *list.models) {
                ids.insert(model.id);
                known_.emplace(model.id, &model);
            }
        }
    }

    bool serves(std::string_view name) const {
        if (snapshot_.exact_routes.contains(std::string(name))) return true;
        for (const Route* route : match_routes(snapshot_, name)) {
            for (const RouteTarget& target : route->targets) {
                if (!target.model.empty()) return true;
                auto ids = ids_.find(target.provider);
                if (ids != ids_.end() && ids->second.contains(name)) return true;
            }
        }
        return false;
    }

    void add(std::string_view name, Models& out) {
        if (out.size() >= wire::convert::kListedModelsMax || !seen_.emplace(name).second) return;
        auto known = known_.find(name);
        if (known != known_.end()) {
            out.push_back(*known->second);
        } else {
            out.push_back({std::string(name), {}, 0, {}});
        }
    }

  private:
    const Snapshot& snapshot_;
    std::unordered_map<const Provider*, std::unordered_set<std::string_view>> ids_;
    std::unordered_map<std::string_view, const ListedModel*> known_;
    std::unordered_set<std::string> seen_;
};

}  // namespace

std::vector<const Provider*> providers_to_ask(const Snapshot& snapshot) {
    std::vector<const Provider*> found;
    for (const Route& route : snapshot.routes) {
        if (!route.pattern.has_star()) continue;
        for (const RouteTarget& target : route.targets) {
            if (target.provider->claude_code_only) continue;
            if (std::find(found.begin(), found.end(), target.provider) == found.end()) found.push_back(target.provider);
        }
    }
    return found;
}

Models served_models(const Snapshot& snapshot, std::span<const ProviderModels> lists, std::string_view only) {
    Search search(snapshot, lists);
    Models out;
    if (!only.empty()) {
        if (search.serves(only)) search.add(only, out);
        return out;
    }
    for (const Route& route : snapshot.routes) {
        if (!route.pattern.has_star()) search.add(route.pattern.text(), out);
    }
    for (const ProviderModels& list : lists) {
        if (list.models == nullptr) continue;
        for (const ListedModel& model : *list.models) {
            if (search.serves(model.id)) search.add(model.id, out);
        }
    }
    return out;
}

}  // namespace balancer::dataplane
