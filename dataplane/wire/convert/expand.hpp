// A whole message as Anthropic's event stream.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/usage.hpp"

namespace balancer::wire::convert {

// Appends all events, or nothing: an error means that `body` is no message. Each block comes with a
// single delta of each kind that it has; blocks that are not known come whole in their
// content_block_start, and members that are not known in message_start.
Result<Usage> expand_message(JsonReader& reader, std::string_view body, std::string& out);

}  // namespace balancer::wire::convert
