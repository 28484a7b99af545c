#include "tests/support/thinking_rules.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace balancer::tests {
namespace {

using Json = nlohmann::json;

std::string text_at(const Json& object, const char* key) {
    auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Json list_at(const Json& object, const char* key) {
    auto list = object.is_object() ? object.value(key, Json()) : Json();
    return list.is_array() ? list : Json::array();
}

std::optional<ErrorSpec> refused(std::string words) { return ErrorSpec{"invalid_request_error", std::move(words)}; }

bool is_thinking(const std::string& type) { return type == "thinking" || type == "redacted_thinking"; }

std::optional<ErrorSpec> foreign_block(const Json& messages, std::string_view signature) {
    for (std::size_t i = 0; i < messages.size(); ++i) {
        Json blocks = list_at(messages[i], "content");
        for (std::size_t j = 0; j < blocks.size(); ++j) {
            std::string type = text_at(blocks[j], "type");
            const char* opaque = type == "thinking" ? "signature" : "data";
            if (!is_thinking(type) || text_at(blocks[j], opaque) == signature) continue;
            return refused(fmt::format("messages.{}.content.{}: Invalid `{}` in `{}` block", i, j, opaque, type));
        }
    }
    return std::nullopt;
}

// The turn in progress: behind the assistant's last message nothing but results (and system messages).
std::optional<ErrorSpec> unfounded_loop(const Json& messages) {
    for (std::size_t i = messages.size(); i-- > 0;) {
        Json blocks = list_at(messages[i], "content");
        std::string role = text_at(messages[i], "role");
        bool has_result = false;
        for (const Json& block : blocks) has_result = has_result || text_at(block, "type") == "tool_result";
        if (role == "user" && !has_result) return std::nullopt;
        if (role != "assistant") continue;
        std::string first = blocks.empty() ? "text" : text_at(blocks[0], "type");
        if (is_thinking(first)) return std::nullopt;
        return refused(fmt::format(
            "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is "
            "enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of "
            "`tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid "
            "this requirement, disable `thinking`.",
            i,
            first
        ));
    }
    return std::nullopt;
}

}  // namespace

std::optional<ErrorSpec> refused_thinking(std::string_view request_body, std::string_view signature) {
    if (request_body.find("thinking") == std::string_view::npos) return std::nullopt;  // most of a benchmark's
    Json body = Json::parse(request_body, nullptr, false);
    if (!body.is_object()) return std::nullopt;
    Json messages = list_at(body, "messages");
    if (auto found = foreign_block(messages, signature)) return found;
    std::string thinking = text_at(body.value("thinking", Json()), "type");
    if (thinking == "enabled" && !messages.empty() && text_at(messages.back(), "role") != "assistant") {
        if (auto found = unfounded_loop(messages)) return found;
    }
    if (thinking == "enabled" || thinking == "adaptive") return std::nullopt;
    for (const Json& edit : list_at(body.value("context_management", Json()), "edits")) {
        if (text_at(edit, "type") != "clear_thinking_20251015") continue;
        return refused(
            "context_management.edits.0: `clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive"
        );
    }
    return std::nullopt;
}

}  // namespace balancer::tests
