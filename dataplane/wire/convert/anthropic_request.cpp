#include "dataplane/wire/convert/anthropic_request.hpp"

#include <array>

#include "dataplane/wire/convert/anthropic_blocks.hpp"
#include "dataplane/wire/convert/read_tool_schema.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

void read_turn(Walk& walk, Value& value, const Place& place, AnthropicRequest& request) {
    if (walk.kind(value) != JsonKind::kObject)
        return walk.refuse(place, "Input should be an object");
    AnthropicTurn& turn = request.messages.emplace_back();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "role") {
            turn.role = walk.string(member);
        } else if (name == "content") {
            read_content(walk, member, place.member("content"), turn.content);
        }
    });
    if (turn.role.empty()) return walk.refuse(place.member("role"), "Field required");
    if (turn.role != "user" && turn.role != "assistant" && turn.role != "system") {
        return walk.refuse(place.member("role"), "Input should be 'user', 'assistant' or 'system'");
    }
    if (!turn.content.given) walk.refuse(place.member("content"), "Field required");
}

void read_tool(Walk& walk, Value& value, const Place& place, AnthropicRequest& request) {
    if (walk.kind(value) != JsonKind::kObject)
        return walk.refuse(place, "Input should be an object");
    AnthropicTool& tool = request.tools.emplace_back();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") {
            tool.type = walk.string(member);
        } else if (name == "name") {
            tool.name = walk.string(member);
        } else if (name == "description") {
            tool.description = walk.string(member);
        } else if (name == "input_schema") {
            if (walk.kind(member) != JsonKind::kObject) {
                return walk.refuse(place.member("input_schema"), "Input should be an object");
            }
            tool.input_schema = read_tool_schema(walk, member);
        } else if (name == "strict") {
            tool.strict = walk.raw(member);
        } else if (name == "defer_loading") {
            tool.defer_loading = walk.is_true(member);
        }
    });
    bool is_own = tool.type.empty() || tool.type == "custom";
    if (is_own && tool.name.empty()) walk.refuse(place.member("name"), "Field required");
}

void read_tool_choice(Walk& walk, Value& value, AnthropicRequest& request) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") request.tool_choice = walk.string(member);
        if (name == "name") request.tool_choice_name = walk.string(member);
        if (name == "disable_parallel_tool_use")
            request.disable_parallel_tool_use = walk.is_true(member);
    });
}

void read_thinking(Walk& walk, Value& value, AnthropicRequest& request) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") request.thinking = walk.string(member);
        if (name == "budget_tokens") request.thinking_budget = walk.count(member);
    });
}

void read_output_format(Walk& walk, Value& value, AnthropicRequest& request) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "schema" && walk.kind(member) == JsonKind::kObject)
            request.output_schema = walk.raw(member);
    });
}

void read_output_config(Walk& walk, Value& value, AnthropicRequest& request) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "effort") request.effort = walk.string(member);
        if (name == "format") read_output_format(walk, member, request);
    });
}

void read_number(Walk& walk, Value& value, const Place& place, std::string_view& number) {
    JsonKind kind = walk.kind(value);
    if (kind == JsonKind::kNull) return;
    if (kind != JsonKind::kNumber) return walk.refuse(place, "Input should be a valid number");
    number = walk.raw(value);
}

void read_stop_sequences(Walk& walk, Value& value, AnthropicRequest& request) {
    walk.elements(value, [&](std::size_t, Value& element) {
        if (walk.kind(element) == JsonKind::kString)
            request.stop_sequences.push_back(walk.raw(element));
    });
}

// The members that need more than a word. False: none of them.
bool read_list_member(Walk& walk, std::string_view name, Value& value, AnthropicRequest& request) {
    Place place{nullptr, name, 0};
    if (name == "messages") {
        if (walk.kind(value) != JsonKind::kArray) {
            walk.refuse(place, "Input should be a valid list");
            return true;
        }
        walk.elements(value, [&](std::size_t at, Value& turn) {
            read_turn(walk, turn, place.element(at), request);
        });
    } else if (name == "tools") {
        walk.elements(value, [&](std::size_t at, Value& tool) {
            read_tool(walk, tool, place.element(at), request);
        });
    } else if (name == "system") {
        read_content(walk, value, place, request.system);
    } else if (name == "stop_sequences") {
        read_stop_sequences(walk, value, request);
    } else {
        return false;
    }
    return true;
}

bool read_setting(Walk& walk, std::string_view name, Value& value, AnthropicRequest& request) {
    Place place{nullptr, name, 0};
    if (name == "max_tokens") {
        read_number(walk, value, place, request.max_tokens);
    } else if (name == "temperature") {
        read_number(walk, value, place, request.temperature);
    } else if (name == "top_p") {
        read_number(walk, value, place, request.top_p);
    } else if (name == "top_k") {
        read_number(walk, value, place, request.top_k);
    } else if (name == "tool_choice") {
        read_tool_choice(walk, value, request);
    } else if (name == "thinking") {
        read_thinking(walk, value, request);
    } else if (name == "output_config") {
        read_output_config(walk, value, request);
    } else if (name == "output_format") {
        read_output_format(walk, value, request);
    } else if (name == "metadata") {
        walk.members(value, [&](std::string_view key, Value& member) {
            if (key == "user_id") request.user_id = walk.string(member);
        });
    } else if (name == "mcp_servers") {
        walk.elements(value, [&](std::size_t, Value&) { request.has_mcp_servers = true; });
    } else {
        return false;
    }
    return true;
}

// Routing has read these: the caller says what they become.
constexpr std::array<std::string_view, 3> kReadElsewhere = {"model", "stream", "provider"};

}  // namespace

Result<AnthropicRequest> read_anthropic_request(JsonReader& reader, std::string_view body) {
    Walk& walk = reader.walk();
    AnthropicRequest request;
    Result<void> read = walk.read_object(body, [&](std::string_view name, Value& value) {
        if (read_list_member(walk, name, value, request) ||
            read_setting(walk, name, value, request))
            return;
        for (std::string_view known : kReadElsewhere) {
            if (name == known) return;
        }
        request.unknown.push_back(name);
    });
    if (!read) return read.error();
    if (request.messages.empty()) return invalid("messages: at least one message is required");
    return request;
}

}  // namespace balancer::wire::convert
