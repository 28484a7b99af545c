// The command line of balancer-controlplane.
#pragma once

#include <optional>

#include "controlplane/server.hpp"

namespace balancer::controlplane {

// Fills `options`. A value: the program ends now with this exit code (help and version 0, a wrong
// flag 2), the text has been printed.
std::optional<int> parse_flags(int argc, char** argv, ServerOptions& options);

}  // namespace balancer::controlplane
