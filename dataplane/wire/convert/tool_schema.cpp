#include "dataplane/wire/convert/tool_schema.hpp"

#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {

void append_schema(std::string& out, std::string_view name, const ToolSchema& schema) {
    open_member(out, name);
    if (schema.has_type && schema.has_properties) {
        out.append(schema.raw);
        return;
    }
    std::string_view raw = schema.raw.empty() ? std::string_view("{}") : schema.raw;
    raw.remove_suffix(1);
    out.append(raw.substr(0, raw.find_last_not_of(" \t\r\n") + 1));
    if (!schema.has_type) inside_member(out, "type", "object");
    if (!schema.has_properties) raw_member(out, "properties", "{}");
    out.push_back('}');
}

}  // namespace balancer::wire::convert
