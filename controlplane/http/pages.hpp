// The pages of --http: /healthz, /readyz, /metrics.
#pragma once

#include "base/management_http.hpp"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {

// On the loop.
ManagementResponse serve_page(const ControlPlane& control_plane, const ManagementRequest& request);

}  // namespace balancer::controlplane
