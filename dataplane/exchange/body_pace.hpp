// How long a client may take to send a body.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/clock.hpp"

namespace balancer::dataplane {

// Without a byte for this long a client is stuck.
inline constexpr std::chrono::seconds kBodyStallMax{60};
// It must also be faster than this from the beginning on: a few clients that send a byte now and then would hold the memory for
// bodies for ever.
inline constexpr std::size_t kBodyBytesPerSecondMin = 16U << 10;

// When the next byte must be here, `received` bytes after `began`.
inline SteadyTime next_byte_due(SteadyTime began, SteadyTime now, std::size_t received) {
    auto earned = std::chrono::seconds(received / kBodyBytesPerSecondMin);
    return std::min(now, began + earned) + kBodyStallMax;
}

}  // namespace balancer::dataplane
