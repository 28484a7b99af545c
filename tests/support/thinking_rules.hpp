// What the Messages API refuses in a conversation's thinking. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "tests/support/script.hpp"

namespace balancer::tests {

// Why Anthropic would answer 400: a block that `signature` does not sign; calls of a turn in progress without thinking in front
// of them, while it is enabled with a budget; an edit of thinking while there is none. The words are the API's.
std::optional<ErrorSpec> refused_thinking(std::string_view request_body, std::string_view signature);

}  // namespace balancer::tests
