#include "controlplane/http/json_answer.hpp"

#include <fmt/format.h>

namespace balancer::controlplane {

using Json = nlohmann::ordered_json;

v1::ManageResponse respond(unsigned status, const Json& body) {
    v1::ManageResponse response;
    response.set_status(status);
    response.set_content_type("application/json");
    // Text of an operator's file may hold any bytes; a page must not fail on them.
    response.set_body(body.dump(-1, ' ', false, Json::error_handler_t::replace));
    return response;
}

v1::ManageResponse respond_error(unsigned status, std::string_view type, std::string message) {
    return respond(
        status,
        Json{{"type", "error"}, {"error", {{"type", type}, {"message", std::move(message)}}}}
    );
}

v1::ManageResponse respond_not_allowed(const v1::ManageRequest& request, const char* allow) {
    v1::ManageResponse response = respond_error(
        405,
        "invalid_request_error",
        fmt::format("{} {} is not possible; use {}", request.method(), request.path(), allow)
    );
    response.set_allow(allow);
    return response;
}

}  // namespace balancer::controlplane
