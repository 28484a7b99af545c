// balancerctl.
#include <unistd.h>

#include <iostream>

#include "cli/run.hpp"

int main(int argc, char** argv) {
    using namespace balancer;
    return cli::run(argc, argv, std::cout, std::cerr, cli::color_of(STDOUT_FILENO));
}
