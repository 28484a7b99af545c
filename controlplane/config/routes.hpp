// The `model_routes` part of the file: which providers serve a model name.
#pragma once

#include "balancer/v1/config.pb.h"
#include "controlplane/config/secrets.hpp"

namespace balancer::controlplane {

// Fills config.routes, checked against config.providers.
void read_routes(const YamlValue& value, ParseContext& context, v1::ConfigSection& config);

}  // namespace balancer::controlplane
