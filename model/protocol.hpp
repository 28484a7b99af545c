// What both ends of the sync protocol must agree on beside the messages themselves.
#pragma once

#include <cstdint>

namespace balancer {

// Planes of different majors refuse each other; minors only add.
inline constexpr std::uint32_t kProtocolMajor = 1;
inline constexpr std::uint32_t kProtocolMinor = 0;

// Set on both ends: gRPC's own receive limit of 4 MiB is below a large fleet's configuration.
inline constexpr int kSyncMessageBytesMax = 32 << 20;

}  // namespace balancer
