// The JSON schema of a tool's input.
#pragma once

#include <string>
#include <string_view>

namespace balancer::wire::convert {

struct ToolSchema {
    std::string_view raw;  // an object, or empty: none given
    bool has_type = false;
    bool has_properties = false;
};

// The member `name`. OpenAI refuses an object without "properties", Anthropic one without "type",
// and clients leave both out for tools that take nothing: what is missing is added.
void append_schema(std::string& out, std::string_view name, const ToolSchema& schema);

}  // namespace balancer::wire::convert
