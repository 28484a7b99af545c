// What `balancerctl doctor` asks of providers.
#pragma once

#include "balancer/v1/admin.pb.h"
#include "cli/command/findings.hpp"
#include "cli/request.hpp"

namespace balancer::cli {

// Looks at those that `flags` want, and asks each enabled one for what Claude Code needs.
void look_at_providers(
    Session& session, Findings& findings, const DoctorFlags& flags, const v1::ListProvidersResponse& all
);

}  // namespace balancer::cli
