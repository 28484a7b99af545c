// Reading a tool's schema. For the sources of this folder only: it speaks simdjson.
#pragma once

#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/tool_schema.hpp"

namespace balancer::wire::convert {

// `value` is an object. Checked like all that is passed on.
inline ToolSchema read_tool_schema(JsonReader::Walk& walk, Value& value) {
    ToolSchema schema;
    const char* begin = value.raw_json_token().data();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") schema.has_type = true;
        if (name == "properties") schema.has_properties = true;
        walk.raw(member);
    });
    schema.raw = walk.text_since(begin);
    return schema;
}

}  // namespace balancer::wire::convert
