#include "dataplane/wire/convert/stop_reason.hpp"

#include <algorithm>
#include <iterator>

namespace balancer::wire::convert {
namespace {

// OpenRouter, Mistral; vLLM, SGLang; DeepSeek; Zhipu.
constexpr std::string_view kGaveUp[] = {
    "error", "abort", "insufficient_system_resource", "network_error"
};

bool gave_up(std::string_view finish_reason) {
    return std::find(std::begin(kGaveUp), std::end(kGaveUp), finish_reason) != std::end(kGaveUp);
}

std::string_view stop_reason_of(const OpenaiEnd& end) {
    std::string_view reason = end.finish_reason;
    if (end.refused) return "refusal";
    // Mistral calls the end of the context model_length, Zhipu as Anthropic does.
    if (reason == "length" || reason == "max_tokens" || reason == "model_length")
        return "max_tokens";
    if (reason == "model_context_window_exceeded") return reason;
    // Zhipu: "sensitive". Gemini puts its own reason behind a colon.
    if (reason.starts_with("content_filter") || reason == "sensitive") return "refusal";
    // Some servers say "stop" behind tool calls, or nothing.
    if (end.has_calls) return "tool_use";
    return reason == "stop" && !end.stop_text.empty() ? "stop_sequence" : "end_turn";
}

}  // namespace

std::optional<AnthropicEnd> anthropic_end(const OpenaiEnd& end) {
    if (gave_up(end.finish_reason)) return std::nullopt;
    std::string_view reason = stop_reason_of(end);
    return AnthropicEnd{reason, reason == "stop_sequence" ? end.stop_text : std::string_view()};
}

std::string_view finish_reason_of(std::string_view stop_reason) {
    if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded")
        return "length";
    if (stop_reason == "tool_use") return "tool_calls";
    if (stop_reason == "refusal") return "content_filter";
    return "stop";
}

}  // namespace balancer::wire::convert
