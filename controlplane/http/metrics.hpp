// Prometheus metrics of the control plane, in text form 0.0.4.
#pragma once

#include <string>

#include "base/clock.hpp"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {

// On the loop. Made from the control plane's state at each scrape: nothing is counted twice. Labels
// are bounded by the configuration (provider) and by our own enumerations.
std::string metrics_text(const ControlPlane& control_plane, UnixMs now);

}  // namespace balancer::controlplane
