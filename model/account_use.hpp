// How much of its windows a subscription account has used, as one answer told it (`anthropic-ratelimit-unified-*`).
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"

namespace balancer {

struct AccountUse {
    std::string status;  // "allowed", "allowed_warning", "rejected"; empty: the answer told nothing
    std::string claim;   // the window that it is about: "five_hour", "seven_day", "seven_day_opus"
    UnixMs reset = 0;    // of that window
    std::optional<double> five_hour;  // shares, 0 to 1
    UnixMs five_hour_reset = 0;
    std::optional<double> seven_day;
    UnixMs seven_day_reset = 0;
};

}  // namespace balancer
