// What the fleet thinks of its data planes.
#pragma once

#include <map>
#include <string>

#include "base/clock.hpp"

namespace balancer::controlplane {

// A data plane that is connected.
struct Member {
    std::string dp_id;
    bool ready = true;             // as it says of itself
    std::string instance_id = {};  // of its process
};

// One that fails where the others do well.
struct Standing {
    UnixMs since = 0;
    std::string reason;  // words for a person
    bool may_turn_unready = false;
};

// By dp_id; who is not in it is in good standing.
using Standings = std::map<std::string, Standing, std::less<>>;

}  // namespace balancer::controlplane
