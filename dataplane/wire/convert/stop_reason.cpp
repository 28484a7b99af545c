#include "dataplane/wire/convert/stop_reason.hpp"

namespace balancer::wire::convert {

std::string_view stop_reason_of(std::string_view finish_reason, bool has_calls) {
    if (finish_reason == "length" || finish_reason == "max_tokens") return "max_tokens";
    if (finish_reason == "content_filter") return "refusal";
    // Some servers say "stop" behind tool calls, or nothing.
    return has_calls ? "tool_use" : "end_turn";
}

std::string_view finish_reason_of(std::string_view stop_reason) {
    if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded")
        return "length";
    if (stop_reason == "tool_use") return "tool_calls";
    if (stop_reason == "refusal") return "content_filter";
    return "stop";
}

}  // namespace balancer::wire::convert
