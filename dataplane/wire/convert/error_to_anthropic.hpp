// The error of a provider of type openai, in Anthropic's types, statuses and words: Claude Code's
// own recovery goes by them.
#pragma once

#include <string_view>

#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/error_body.hpp"

namespace balancer::wire::convert {

// `body` is the whole error body, or the data of an event with an error in it; it need not be JSON.
// `status` is the provider's; below 400 (an error inside of a success) the error's own code and
// type say which one is meant. Only status, type and message are set. The message is the
// provider's, not redacted.
LocalError error_to_anthropic(JsonReader& reader, unsigned status, std::string_view body);

}  // namespace balancer::wire::convert
