// What a provider takes of a conversation in Anthropic's format.
#pragma once

#include <cstdint>

namespace balancer {

// The defaults are those of OpenAI's own service for its chat models; docs/format-conversion.md says what each means for
// a request to a provider of either type.
struct Capabilities {
    bool images = true;                  // image parts; else a request with an image is refused
    bool documents = false;              // PDF as `file` parts; else refused
    bool tools = true;                   // else a request with tools is refused
    bool parallel_tools = true;          // the field parallel_tool_calls, or disable_parallel_tool_use
    bool thinking = false;               // assistant messages with reasoning_content, or thinking
    bool reasoning_effort = false;       // the field reasoning_effort
    bool cache_control = false;          // cache_control on content parts
    bool structured_output = true;       // response_format with a JSON schema, or output_config.format
    bool sampling = true;                // temperature and top_p
    bool top_k = false;                  // the field top_k
    bool stream_usage = true;            // stream_options.include_usage
    bool system_anywhere = true;         // system messages in the middle of a conversation
    bool max_completion_tokens = false;  // max_completion_tokens instead of max_tokens
    std::uint32_t output_tokens_max = 0;  // asks for no more tokens than this; 0: no limit

    // Of type anthropic only.
    bool thinking_display = true;    // thinking.display
    bool cache_ttl = true;           // cache_control.ttl
    bool cache_scope = true;         // cache_control.scope
    bool context_management = true;  // the field of that name
    bool effort = true;              // output_config.effort
    bool turn_control = true;        // output_config of a single message
    bool server_tools = true;        // tools of Anthropic's own, mcp_servers, container; else refused
    bool advanced_tools = true;      // defer_loading and its like, tool_reference blocks
    bool files = true;               // sources of type file; else refused
    bool service_tier = true;        // service_tier, speed, inference_geo

    bool operator==(const Capabilities&) const = default;
};

// Anthropic's own service takes everything.
inline constexpr Capabilities anthropic_capabilities() {
    Capabilities all;
    all.documents = all.thinking = all.cache_control = all.top_k = true;
    return all;
}

}  // namespace balancer
