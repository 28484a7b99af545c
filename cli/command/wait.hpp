// --wait: until every data plane has what was changed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "cli/session.hpp"

namespace balancer::cli {

// The value of --wait: seconds, or "true" for the default. None: neither.
std::optional<Milliseconds> wait_time(const std::string& text);

struct WaitGoal {
    v1::Version version;
    std::vector<std::string> drained{};  // providers at which nothing may be in flight
};

struct WaitedPlane {
    enum class State { kDone, kRefused, kNotConnected, kBehind, kBusy };
    std::string id;
    State state = State::kBehind;
    std::string detail;  // in words
};

struct WaitOutcome {
    bool all = true;
    std::vector<WaitedPlane> data_planes;
};

// An older control plane tells that a data plane has acknowledged something, and calls it `applied`; one that knows
// `acknowledged` is left alone.
void fill_acknowledged(v1::ListDataPlanesResponse& answer);

// How one data plane stands at `now`.
WaitedPlane judge(const v1::DataPlaneView& view, const WaitGoal& goal, UnixMs now);

// Asks the control plane until every data plane that is connected has the goal's version (and has
// ended what runs at `drained`), at most for `limit`. Ends earlier when there is nothing left to
// wait for. An error: the control plane does not answer.
Result<WaitOutcome> wait_for_data_planes(
    Session& session, const WaitGoal& goal, Milliseconds limit
);

void print_outcome(Session& session, const WaitOutcome& outcome);
nlohmann::ordered_json to_document(const WaitOutcome& outcome);

}  // namespace balancer::cli
