// Which routes serve a model name.
#pragma once

#include <string_view>
#include <vector>

#include "model/snapshot.hpp"

namespace balancer::dataplane {

// The exact name first (case-sensitive), then every pattern that matches, in file order. Empty: nobody serves it.
std::vector<const Route*> match_routes(const Snapshot& snapshot, std::string_view model);

}  // namespace balancer::dataplane
