// What is shown of the accounts, as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {

// The body of GET /oauth/status.
nlohmann::ordered_json oauth_status_json(const ControlPlane& control_plane, UnixMs now);

// "3h 20m", "45s", "ended".
std::string duration_words(Milliseconds left);

}  // namespace balancer::controlplane
