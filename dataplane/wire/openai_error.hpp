// Errors in OpenAI's shape, for clients that speak it.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/error_body.hpp"

namespace balancer::wire {

// The status that OpenAI's own service would have used.
unsigned openai_status_of(const LocalError& error);

// {"error":{"message":…,"type":…,"param":null,"code":…}}. `error` has Anthropic's types: one of ours, whose details stand in
// the object too, or a provider's as anthropic_error() reads it. The request's id stands beside it, for support.
void append_openai_error(std::string& out, const LocalError& error, std::string_view request_id);

// A provider's error body, or the data of its error event, in Anthropic's shape. `status` below 400: an error inside of a
// success, whose status follows from its type.
LocalError anthropic_error(unsigned status, std::string_view body);

}  // namespace balancer::wire
