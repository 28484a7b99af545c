// A Messages request as a chat completions request. docs/format-conversion.md is the table of what
// becomes what.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "model/capabilities.hpp"

namespace balancer::wire::convert {

struct ToOpenaiOptions {
    std::string_view model;  // the name to send
    bool stream = false;     // what the provider is asked for, whatever the client asked for
    Capabilities capabilities;
};

// `body` has kBodyPadding readable bytes behind it. What is appended to `out` is whole JSON;
// nothing is, when it fails. Errors: not_capable() for what this target cannot take, else a
// malformed request; both are for the client, in the words of the API, with status 400 and
// `invalid_request_error`.
Result<RequestConversion> request_to_openai(
    JsonReader& reader, std::string_view body, const ToOpenaiOptions& options, std::string& out
);

}  // namespace balancer::wire::convert
