// What a provider with OpenAI's API takes of a conversation in Anthropic's format.
#pragma once

#include <cstdint>

namespace balancer {

// The defaults are those of OpenAI's own service for its chat models; docs/format-conversion.md says what each means for
// a request.
struct Capabilities {
    bool images = true;                  // image parts; else a request with an image is refused
    bool documents = false;              // PDF as `file` parts; else refused
    bool tools = true;                   // else a request with tools is refused
    bool parallel_tools = true;          // the field parallel_tool_calls
    bool thinking = false;               // assistant messages with reasoning_content
    bool reasoning_effort = false;       // the field reasoning_effort
    bool cache_control = false;          // cache_control on content parts
    bool structured_output = true;       // response_format with a JSON schema
    bool sampling = true;                // temperature and top_p
    bool top_k = false;                  // the field top_k
    bool stream_usage = true;            // stream_options.include_usage
    bool system_anywhere = true;         // system messages in the middle of a conversation
    bool max_completion_tokens = false;  // max_completion_tokens instead of max_tokens
    std::uint32_t output_tokens_max = 0;  // asks for no more tokens than this; 0: no limit
};

}  // namespace balancer
