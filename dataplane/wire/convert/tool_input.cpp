#include "dataplane/wire/convert/tool_input.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::size_t kIdBytesMin = 8;
constexpr std::size_t kIdBytesMax = 64;

ArgumentsKind kind_of(JsonReader& reader, std::string_view text, std::string_view& raw) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return ArgumentsKind::kNone;
    JsonKind kind = JsonKind::kNull;
    if (!reader.walk().read_one(text, kind, raw)) return ArgumentsKind::kBroken;
    if (kind == JsonKind::kNull) return ArgumentsKind::kNone;
    return kind == JsonKind::kObject ? ArgumentsKind::kObject : ArgumentsKind::kOtherJson;
}

}  // namespace

ArgumentsKind kind_of_arguments(JsonReader& reader, std::string_view text) {
    std::string_view raw;
    return kind_of(reader, text, raw);
}

void append_tool_input(JsonReader& reader, std::string_view text, std::string& out) {
    std::string_view raw;
    switch (kind_of(reader, text, raw)) {
        case ArgumentsKind::kNone:
            out.append("{}");
            return;
        case ArgumentsKind::kObject:
            out.append(raw);
            return;
        case ArgumentsKind::kOtherJson:
            out.push_back('{');
            raw_member(out, "value", raw);
            break;
        case ArgumentsKind::kBroken:
            out.push_back('{');
            text_member(out, "error_parsing_arguments", text);
            break;
    }
    out.push_back('}');
}

std::string AnthropicToolIds::next(std::string_view id) {
    std::size_t at = calls_++;
    bool good = id.size() >= kIdBytesMin && id.size() <= kIdBytesMax &&
                std::all_of(id.begin(), id.end(), is_plain);
    if (good && used_.emplace(id).second) return std::string(id);
    std::string made = fmt::format("call_{}_{}", message_id_, at);
    std::replace_if(
        made.begin(), made.end(), [](char c) { return !is_plain(c); }, '_'
    );
    while (!used_.insert(made).second) made.push_back('_');
    return made;
}

}  // namespace balancer::wire::convert
