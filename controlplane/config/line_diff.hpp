// The difference of two texts as a person reads it.
#pragma once

#include <string>
#include <string_view>

namespace balancer::controlplane {

// A unified diff with three lines of context; empty when the texts are equal. The shortest one up
// to kDiffEditsMax lines; beyond that the whole of what differs is shown as taken out and put in.
std::string unified_diff(
    std::string_view from, std::string_view to, std::string_view from_name, std::string_view to_name
);

inline constexpr int kDiffEditsMax = 2'000;

}  // namespace balancer::controlplane
