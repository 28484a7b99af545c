// Why an answer ended, in the words of both formats. Unknown words become a plain end.
#pragma once

#include <optional>
#include <string_view>

namespace balancer::wire::convert {

// What a chat completion says at its end; insides of strings.
struct OpenaiEnd {
    std::string_view finish_reason;
    std::string_view stop_text;  // the stop sequence that was met, from servers that tell
    bool refused = false;
    bool has_calls = false;
};

struct AnthropicEnd {
    std::string_view stop_reason;
    std::string_view stop_sequence;  // empty: null

    // The answer stops where it does: the arguments of its last call may be half.
    bool cut_short() const { return stop_reason != "end_turn" && stop_reason != "tool_use"; }
};

// Nothing: the provider gave up in the middle, and what has come is no answer.
std::optional<AnthropicEnd> anthropic_end(const OpenaiEnd& end);

std::string_view finish_reason_of(std::string_view stop_reason);

}  // namespace balancer::wire::convert
