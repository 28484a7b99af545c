#include "controlplane/health/ejection_rule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace balancer::controlplane {

void EjectionRule::configure(const v1::ConfigSection& config) {
    std::set<std::string_view> enabled;
    for (const v1::Provider& provider : config.providers()) {
        if (provider.enabled()) enabled.insert(provider.name());
    }
    routes_.clear();
    for (const v1::Route& in : config.routes()) {
        Route route{in.pattern(), Glob(in.pattern()), {}};
        for (const v1::RouteTarget& target : in.targets()) {
            if (!target.enabled() || !enabled.contains(target.provider())) continue;
            route.targets.push_back({target.provider(), target.model()});
        }
        if (!route.targets.empty()) routes_.push_back(std::move(route));
    }
}

std::string EjectionRule::refusal(
    std::string_view provider,
    std::string_view model,
    bool about_the_account,
    const std::vector<std::string>& models_out,
    const IsOut& is_out
) const {
    for (const Route& route : routes_) {
        if (!serves(route, provider, model)) continue;
        std::vector<std::string_view> models{model};
        // A whole provider takes all its models with it, those that the others cannot serve too.
        if (model.empty()) models.insert(models.end(), models_out.begin(), models_out.end());
        for (std::string_view one : models) {
            if (!one.empty() && !serves(route, provider, one)) continue;
            if (count(route, provider, one, is_out).others_usable > 0) continue;
            return fmt::format("it is the last usable provider of route '{}'", route.text);
        }
        Count providers = count(route, provider, model, is_out);
        std::size_t out = providers.total - providers.others_usable;  // with this one
        if (!about_the_account && out * 2 > providers.total) {
            return fmt::format("half of the providers of route '{}' are out already", route.text);
        }
    }
    return {};
}

// Does the route send this model (any, if empty) to this provider?
bool EjectionRule::serves(const Route& route, std::string_view provider, std::string_view model) {
    return std::any_of(route.targets.begin(), route.targets.end(), [&](const Target& target) {
        if (target.provider != provider) return false;
        if (model.empty() || target.model == model) return true;
        return target.model.empty() && route.pattern.matches(model);
    });
}

EjectionRule::Count EjectionRule::count(
    const Route& route, std::string_view provider, std::string_view model, const IsOut& is_out
) {
    std::map<std::string_view, bool> usable;
    for (const Target& target : route.targets) {
        std::string_view sent = target.model.empty() ? model : std::string_view(target.model);
        bool good = target.provider != provider && !is_out(target.provider, sent);
        usable[target.provider] = usable[target.provider] || good;
    }
    Count count{usable.size(), 0};
    for (const auto& [name, good] : usable) count.others_usable += good ? 1 : 0;
    return count;
}

}  // namespace balancer::controlplane
