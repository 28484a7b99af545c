// File descriptors: every connection takes one, and the usual soft limit of 1024 is gone with 500 streams.
#pragma once

#include <cstdint>

namespace balancer {

// Raises this process's soft limit to its hard limit. Returns the limit that is now in force.
std::uint64_t raise_descriptor_limit();

}  // namespace balancer
