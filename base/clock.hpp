// Times. Durations and deadlines use the steady clock; what crosses a process border is Unix milliseconds.
// Cores take `now` as an argument, so that tests choose it.
#pragma once

#include <chrono>
#include <cstdint>

namespace balancer {

using SteadyTime = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;

// Milliseconds since 1970-01-01 UTC.
using UnixMs = std::int64_t;

inline SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

inline UnixMs unix_now() {
    return std::chrono::duration_cast<Milliseconds>(
               std::chrono::system_clock::now().time_since_epoch()
    )
        .count();
}

inline std::int64_t elapsed_ms(SteadyTime since, SteadyTime now) {
    return std::chrono::duration_cast<Milliseconds>(now - since).count();
}

}  // namespace balancer
