// "The conversation is too long", as many servers say it, in the words by which Claude Code
// compacts it.
#pragma once

#include <string>
#include <string_view>

namespace balancer::wire::convert {

// Anthropic's wording for `message`; empty when it speaks of something else. `known` says that a
// code has told already.
//
//   prompt is too long: 130000 tokens > 128000 maximum
//   input length and `max_tokens` exceed context limit: 120000 + 16000 > 128000, …
std::string context_length_message(std::string_view message, bool known);

}  // namespace balancer::wire::convert
