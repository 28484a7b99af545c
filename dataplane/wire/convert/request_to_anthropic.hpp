// A chat completions request as a Messages request.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

struct RequestToAnthropicOptions {
    std::string_view model;  // the name to send
    bool stream = false;     // what the provider is asked for
    // For a request that sets no limit: Anthropic wants one.
    unsigned max_tokens = 8192;
};

struct ConvertedForAnthropic {
    Notes notes;
    bool include_usage = false;  // the client wants usage in its stream
};

// `body` has kBodyPadding readable bytes behind it. What is appended to `out` is whole JSON;
// nothing is, when it fails. The error is for the client, with status 400.
Result<ConvertedForAnthropic> request_to_anthropic(
    JsonReader& reader,
    std::string_view body,
    const RequestToAnthropicOptions& options,
    std::string& out
);

}  // namespace balancer::wire::convert
