// balancerctl.
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "base/process_shield.hpp"
#include "cli/run.hpp"

int main(int argc, char** argv) {
    using namespace balancer;
    // gRPC's own lines on stderr say in its words what we say in ours. GRPC_VERBOSITY=ERROR brings
    // them back.
    ::setenv("GRPC_VERBOSITY", "NONE", 0);
    shield_process();  // keys and tokens pass through it
    return cli::run(argc, argv, std::cout, std::cerr, cli::color_of(STDOUT_FILENO), std::cin, cli::color_of(STDERR_FILENO));
}
