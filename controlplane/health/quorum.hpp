// How many data planes it takes to bench a provider for all of them.
#pragma once

#include <algorithm>
#include <cstddef>

namespace balancer::controlplane {

// `members` are connected, `users` of them (voters included) have used the provider lately. One
// data plane among others never decides alone, whoever else uses the provider: it has its own
// breaker for what only it sees.
constexpr std::size_t votes_needed(std::size_t members, std::size_t users) {
    if (members <= 1) return 1;
    return std::max<std::size_t>(2, (users + 1) / 2);
}

// Failures to connect may be those of the voters' own way out: with them a majority of all members
// must agree, whether or not the rest use the provider.
constexpr bool quorum_reached(
    std::size_t voters, std::size_t local_origin, std::size_t members, std::size_t users
) {
    std::size_t needed = votes_needed(members, users);
    if (voters - local_origin >= needed) return true;
    return voters >= needed && voters > members / 2;
}

}  // namespace balancer::controlplane
