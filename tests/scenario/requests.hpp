// Requests and pieces of configuration that several scenarios share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {

// A POST with a content-length; `lines` are further header lines, each ended by CR LF.
std::string post_request(
    std::string_view lines, std::string_view body, std::string_view target = "/v1/messages"
);

// The same in chunks of `chunk` bytes.
std::string chunked_request(std::string_view lines, std::string_view body, std::size_t chunk);

// The smallest body that can be routed.
std::string small_body(std::string_view model = "m");

// At least `bytes` long; every 16 bytes of it are different, so that a block at a wrong place
// shows.
std::string numbered_body(std::size_t bytes);

// Not streamed.
ClaudeCodeRequest for_model(std::string model, std::string session = "one");
ClaudeCodeRequest in_session(std::string session, bool stream = false);

// Lines under model_routes.
std::string route(std::string_view pattern, const std::string& targets);
std::string target(std::string_view provider, std::string_view model, int priority = 1);

// A provider that treats the requests to one path in this way, and all others well.
Script script_at(std::string path, Step step);

// The provider that answered.
std::string used(const RawResponse& answer);

}  // namespace balancer::tests
