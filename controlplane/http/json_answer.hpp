// Answers to relayed management paths.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "balancer/v1/data_plane.pb.h"

namespace balancer::controlplane {

v1::ManageResponse respond(unsigned status, const nlohmann::ordered_json& body);

// The shape of an API error.
v1::ManageResponse respond_error(unsigned status, std::string_view type, std::string message);

v1::ManageResponse respond_not_allowed(const v1::ManageRequest& request, const char* allow);

}  // namespace balancer::controlplane
