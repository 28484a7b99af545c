// /oauth/… and the login's way back, which data planes relay to here. The shapes are those of the original program with
// additions; no token, and no part of one, appears.
#pragma once

#include <functional>

#include "balancer/v1/data_plane.pb.h"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {

// True for the paths of this file.
bool is_oauth_path(const std::string& path);

// On the loop; `done` is called once there, later where the token endpoint has to be asked. The data plane has authenticated
// the caller, but for the way back from a login, where the state is the proof.
void serve_oauth(
    ControlPlane& control_plane, const v1::ManageRequest& request, std::function<void(v1::ManageResponse)> done
);

}  // namespace balancer::controlplane
