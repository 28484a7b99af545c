// What the commands that change something share.
#pragma once

#include "balancer/v1/admin.pb.h"
#include "cli/request.hpp"
#include "cli/session.hpp"

namespace balancer::cli {

// Who asks (USER@HOST), why, and on what condition.
v1::ChangeContext change_context(const ChangeFlags& flags);

// Prints what a change did, or the error, then waits for the data planes if it shall. `drained`: a
// provider whose running requests are waited for as well.
int report_change(
    Session& session,
    const Result<v1::ChangeResponse>& answer,
    const ChangeFlags& flags,
    const std::string& drained = {}
);

// A unified diff, its lines in colours.
void print_diff(Session& session, const std::string& diff);

}  // namespace balancer::cli
