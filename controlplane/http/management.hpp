// The management paths of the client port (/providers, /providers/reload, /oauth/…), which data planes
// relay to here.
#pragma once

#include <functional>

#include "balancer/v1/data_plane.pb.h"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {

// On the loop. The shapes are those of the original program with additions; no secret appears. The
// data plane has authenticated the caller already.
// Those that are answered at once.
v1::ManageResponse manage(ControlPlane& control_plane, const v1::ManageRequest& request);

// All of them; `done` is called once, on the loop.
void manage(
    ControlPlane& control_plane, const v1::ManageRequest& request, std::function<void(v1::ManageResponse)> done
);

}  // namespace balancer::controlplane
