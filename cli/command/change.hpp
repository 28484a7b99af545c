// What the commands that change something share.
#pragma once

#include "balancer/v1/admin.pb.h"
#include "cli/session.hpp"

namespace balancer::cli {

// Who asks (USER@HOST) and why.
v1::ChangeContext change_context(const std::string& reason);

// Prints what a change did, or the error.
int report_change(Session& session, const Result<v1::ChangeResponse>& answer);

}  // namespace balancer::cli
