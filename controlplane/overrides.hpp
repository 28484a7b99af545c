// The file's configuration with the operator's enable, disable and drain on top. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

struct Effective {
    v1::ConfigSection config;
    std::vector<Override> kept;
    std::vector<Override>
        ended;  // the file's own `enabled` has changed since, or the provider is gone
};

Effective apply_overrides(const v1::ConfigSection& file, const std::vector<Override>& overrides);

std::size_t count_enabled(const v1::ConfigSection& config);

// "provider 'alpha' is disabled by hand (cost), the file says enabled"
std::string describe(const Override& override);

}  // namespace balancer::controlplane
