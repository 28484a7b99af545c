// balancerctl as a function, so that tests run it in their own process.
#pragma once

#include <iostream>

#include "cli/style.hpp"

namespace balancer::cli {

// Parses the command line, does it, prints answers to `out` and complaints to `err`. Returns the
// exit code (session.hpp). `in` is read for `--key-stdin` only. Defaults come from BALANCERCTL_SERVER and BALANCERCTL_TOKEN_FILE.
int run(
    int argc,
    const char* const* argv,
    std::ostream& out,
    std::ostream& err,
    Color color = Color::kOff,  // of `out`
    std::istream& in = std::cin,
    Color err_color = Color::kOff  // of `err`
);

}  // namespace balancer::cli
