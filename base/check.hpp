// BALANCER_CHECK: an invariant of our own. Aborts in every build; never used on bytes from a peer.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace balancer {

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
    std::abort();
}

}  // namespace balancer

#define BALANCER_CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::balancer::check_failed(#condition, __FILE__, __LINE__))
