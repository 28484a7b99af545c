// Fixed lists of names of a wire format.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

namespace balancer::wire::convert {

inline bool is_among(std::span<const std::string_view> names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace balancer::wire::convert
