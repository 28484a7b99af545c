// Which providers may be taken out for all data planes, so that every route keeps somebody.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "model/glob.hpp"

namespace balancer::controlplane {

// Is this provider out, as a whole or for this model? An empty model: as a whole only.
using IsOut = std::function<bool(std::string_view provider, std::string_view model)>;

// A pure core over the configuration's routes; lives in the Merger.
class EjectionRule {
  public:
    void configure(const v1::ConfigSection& config);

    // Why this provider (its model, unless empty) must stay in use; empty: it may be taken out. The
    // last usable provider of a route stays in any case. Half of a route's providers may be out; an
    // answer about the account takes out more. `models_out`: models that somebody is out for.
    std::string refusal(
        std::string_view provider,
        std::string_view model,
        bool about_the_account,
        const std::vector<std::string>& models_out,
        const IsOut& is_out
    ) const;

  private:
    struct Target {
        std::string provider;
        std::string model;  // empty: the client's own
    };
    struct Route {
        std::string text;
        Glob pattern;
        std::vector<Target> targets;  // usable ones
    };
    struct Count {
        std::size_t total = 0;  // providers
        std::size_t others_usable = 0;
    };

    static bool serves(const Route& route, std::string_view provider, std::string_view model);
    static Count count(
        const Route& route, std::string_view provider, std::string_view model, const IsOut& is_out
    );

    std::vector<Route> routes_;
};

}  // namespace balancer::controlplane
