// Which model names the routes can serve.
#pragma once

#include <span>

#include "dataplane/models/model_call.hpp"

namespace balancer::dataplane {

// A provider's own list; null: unknown.
struct ProviderModels {
    const Provider* provider = nullptr;
    std::shared_ptr<const Models> models;
};

// Providers whose lists say what the patterns stand for: the targets of those, in the routes' order. Without those that
// serve Claude Code only: this question would be the balancer's own.
std::vector<const Provider*> providers_to_ask(const Snapshot& snapshot);

// The names of the routes, then those that providers list and a pattern serves: one that sends a name of its own serves
// whatever it matches, one that passes the client's name on only what its provider lists. Each once; at most
// wire::convert::kListedModelsMax. With `only` no other name.
Models served_models(const Snapshot& snapshot, std::span<const ProviderModels> lists, std::string_view only = {});

}  // namespace balancer::dataplane
