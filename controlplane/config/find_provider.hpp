// A provider of a configuration by its name.
#pragma once

#include <string_view>

#include "balancer/v1/config.pb.h"

namespace balancer::controlplane {

// Null: there is none.
inline const v1::Provider* find_provider(const v1::ConfigSection& config, std::string_view name) {
    for (const v1::Provider& provider : config.providers()) {
        if (provider.name() == name) return &provider;
    }
    return nullptr;
}

}  // namespace balancer::controlplane
