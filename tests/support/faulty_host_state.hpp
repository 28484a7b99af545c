// What faulty_host_preload.cpp reads, and a test writes.
#pragma once

#include <cstdint>

namespace balancer::tests {

struct FaultyHostState {
    std::int64_t clock_offset_seconds = 0;
    std::int64_t disk_full = 0;  // not 0: regular files take nothing
};

}  // namespace balancer::tests
