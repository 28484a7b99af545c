// A chat completion as a message.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/usage.hpp"

namespace balancer::wire::convert {

// The signature of a thinking block that was made here out of a provider's reasoning: no issuer
// signed it. It tells such blocks from signed ones when they come back in a request
// (foreign_thinking.hpp).
inline constexpr std::string_view kConvertedSignature = "balancer-converted-reasoning";

struct ToAnthropicOptions {
    std::string message_id;       // "msg_…", unique
    std::string model;            // the name that the client asked for
    ToolNames tool_names = {};    // of the request's conversion
    std::string request_id = {};  // for errors in streams
};

// `body` is a whole answer with a status of 2xx. Whole JSON is appended to `out`, or nothing. An
// error means that the provider sent no completion: its fault. With is_told_error(), the body is an
// error of its own in place of one, for error_to_anthropic().
Result<Usage> answer_to_anthropic(
    JsonReader& reader, std::string_view body, const ToAnthropicOptions& options, std::string& out
);

bool is_told_error(const Error& error);

}  // namespace balancer::wire::convert
