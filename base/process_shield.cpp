#include "base/process_shield.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdlib>

namespace balancer {

bool shield_process() {
    ::unsetenv("GRPC_TRACE");
    // The hard limit as well: nobody raises it again.
    rlimit none{0, 0};
    bool no_core = ::setrlimit(RLIMIT_CORE, &none) == 0;
    return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && no_core;
}

}  // namespace balancer
