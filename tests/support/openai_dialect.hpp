// What OpenAI's chat completions API says, generated as real servers send it: a first chunk with the role alone, contents of null,
// arguments in fragments, usage in a chunk without choices, fields of the vendor's own. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/script.hpp"

namespace balancer::tests {

// A whole completion, compact. `number` makes its ids.
std::string chat_completion(const MessageSpec& spec, std::string_view model, std::uint64_t number);

// The same as chunks, with `data: [DONE]` at the end.
std::vector<StreamEvent> chat_stream(
    const MessageSpec& spec, std::string_view model, std::uint64_t number, bool with_usage
);

// Type and message left open in `error` are those that OpenAI uses with `status`.
std::string openai_error(const ErrorSpec& error, unsigned status);

}  // namespace balancer::tests
