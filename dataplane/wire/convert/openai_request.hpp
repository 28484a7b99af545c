// A chat completions request taken apart: views into its body, nothing decoded.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"
#include "dataplane/wire/convert/tool_schema.hpp"

namespace balancer::wire::convert {

// Insides of strings, unless it says raw.
struct OpenaiPart {
    std::string_view type;
    std::string_view text;  // text, or refusal
    std::string_view url;   // of image_url
    std::string_view file_data;
    std::string_view filename;
};

struct OpenaiMessage {
    std::string_view role;
    std::vector<OpenaiPart> parts;  // a plain text is one part
    std::vector<OpenaiCall> calls;
    std::string_view tool_call_id;
};

struct OpenaiTool {
    std::string_view name;
    std::string_view description;
    ToolSchema parameters;
};

struct OpenaiRequest {
    std::vector<OpenaiMessage> messages;
    std::vector<OpenaiTool> tools;
    std::string_view tool_choice;  // auto, none, required, or function
    std::string_view tool_choice_name;
    std::string_view max_tokens;  // raw, as are the next three
    std::string_view temperature;
    std::string_view top_p;
    std::string_view top_k;
    std::vector<std::string_view> stop;  // insides
    std::string_view user;
    std::string_view response_format;  // its type
    std::string_view output_schema;    // raw
    std::string_view reasoning_effort;
    bool parallel_tool_calls = true;
    bool include_usage = false;
    std::vector<std::string_view> unknown;
};

// The views point into `body`, which has kBodyPadding readable bytes behind it.
Result<OpenaiRequest> read_openai_request(JsonReader& reader, std::string_view body);

// Of a request's stream_options: whether they ask for usage in the stream.
bool asks_for_usage(JsonReader& reader, std::string_view stream_options);

}  // namespace balancer::wire::convert
