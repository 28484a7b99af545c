// A Messages request taken apart: views into its body, nothing decoded. What the conversions know
// of the format stands here; members that are not named are counted as unknown and left alone.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/tool_schema.hpp"

namespace balancer::wire::convert {

struct Block;

// A text, or a list of blocks.
struct Content {
    bool given = false;
    bool is_text = false;
    std::string_view text;  // inside of the string
    std::vector<Block> blocks;
};

// Of an image or a document.
struct Source {
    std::string_view type;  // base64, url, text, content, file
    std::string_view media_type;
    std::string_view data;
    std::string_view url;
    Content content;
};

// A content block of any type: what its type does not have is empty. Insides of strings, unless it
// says raw.
struct Block {
    std::string_view type;
    std::string_view text;  // text, and the source of a search_result
    std::string_view thinking;
    std::string_view signature;
    std::string_view data;  // of redacted_thinking
    std::string_view id;    // of tool_use
    std::string_view name;
    std::string_view input;        // raw
    std::string_view tool_use_id;  // of tool_result
    std::string_view tool_name;    // of tool_reference
    std::string_view title;
    std::string_view context;
    std::string_view cache_control;  // raw
    bool is_error = false;
    Source source;
    Content content;
};

struct AnthropicTurn {
    std::string_view role;
    Content content;
};

struct AnthropicTool {
    std::string_view type;
    std::string_view name;
    std::string_view description;
    ToolSchema input_schema;
    std::string_view strict;  // raw
    bool defer_loading = false;
};

struct AnthropicRequest {
    Content system;
    std::vector<AnthropicTurn> messages;
    std::vector<AnthropicTool> tools;
    std::string_view tool_choice;  // its type
    std::string_view tool_choice_name;
    bool disable_parallel_tool_use = false;
    std::string_view max_tokens;  // raw, as are the next three
    std::string_view temperature;
    std::string_view top_p;
    std::string_view top_k;
    std::vector<std::string_view> stop_sequences;  // raw
    std::string_view user_id;
    std::string_view thinking;  // its type
    std::uint64_t thinking_budget = 0;
    std::string_view effort;         // output_config.effort
    std::string_view output_schema;  // raw, output_config.format.schema
    bool has_mcp_servers = false;
    std::vector<std::string_view> unknown;
};

// The views point into `body`, which has kBodyPadding readable bytes behind it. The error is in the
// words of the API.
Result<AnthropicRequest> read_anthropic_request(JsonReader& reader, std::string_view body);

}  // namespace balancer::wire::convert
