#include "dataplane/wire/convert/openai_request.hpp"

#include <array>

#include "dataplane/wire/convert/openai_calls.hpp"
#include "dataplane/wire/convert/read_tool_schema.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

void read_part(Walk& walk, Value& value, const Place& place, OpenaiMessage& message) {
    OpenaiPart& part = message.parts.emplace_back();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") part.type = walk.string(member);
        if (name == "text" || name == "refusal") part.text = walk.string(member);
        if (name == "image_url" && walk.kind(member) == JsonKind::kString)
            part.url = walk.string(member);
        if (name != "image_url" && name != "file") return;
        walk.members(member, [&](std::string_view key, Value& inner) {
            if (key == "url") part.url = walk.string(inner);
            if (key == "file_data") part.file_data = walk.string(inner);
            if (key == "filename") part.filename = walk.string(inner);
        });
    });
    if (part.type.empty()) walk.refuse(place.member("type"), "a content part needs a type");
}

void read_content(Walk& walk, Value& value, const Place& place, OpenaiMessage& message) {
    JsonKind kind = walk.kind(value);
    if (kind == JsonKind::kString) {
        message.parts.push_back({"text", walk.string(value), {}, {}, {}});
    } else if (kind == JsonKind::kArray) {
        walk.elements(value, [&](std::size_t at, Value& part) {
            read_part(walk, part, place.element(at), message);
        });
    } else if (kind != JsonKind::kNull) {
        walk.refuse(place, "must be a string or a list of content parts");
    }
}

void read_message(Walk& walk, Value& value, const Place& place, OpenaiRequest& request) {
    if (walk.kind(value) != JsonKind::kObject) return walk.refuse(place, "must be an object");
    OpenaiMessage& message = request.messages.emplace_back();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "role") {
            message.role = walk.string(member);
        } else if (name == "content") {
            read_content(walk, member, place.member("content"), message);
        } else if (name == "tool_call_id") {
            message.tool_call_id = walk.string(member);
        } else if (name == "tool_calls") {
            walk.elements(member, [&](std::size_t, Value& call) {
                read_openai_call(walk, call, message.calls.emplace_back());
            });
        }
    });
    static constexpr std::array<std::string_view, 5> kRoles = {
        "system", "developer", "user", "assistant", "tool"};
    for (std::string_view role : kRoles) {
        if (message.role == role) return;
    }
    walk.refuse(place.member("role"), "must be system, developer, user, assistant or tool");
}

void read_tool(Walk& walk, Value& value, const Place& place, OpenaiRequest& request) {
    OpenaiTool& tool = request.tools.emplace_back();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name != "function") return;
        walk.members(member, [&](std::string_view key, Value& inner) {
            if (key == "name") tool.name = walk.string(inner);
            if (key == "description") tool.description = walk.string(inner);
            if (key == "parameters" && walk.kind(inner) == JsonKind::kObject)
                tool.parameters = read_tool_schema(walk, inner);
        });
    });
    if (tool.name.empty()) walk.refuse(place, "must be a function with a name");
}

void read_tool_choice(Walk& walk, Value& value, OpenaiRequest& request) {
    if (walk.kind(value) == JsonKind::kString) request.tool_choice = walk.string(value);
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") request.tool_choice = walk.string(member);
        if (name != "function") return;
        walk.members(member, [&](std::string_view key, Value& inner) {
            if (key == "name") request.tool_choice_name = walk.string(inner);
        });
    });
}

void read_response_format(Walk& walk, Value& value, OpenaiRequest& request) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") request.response_format = walk.string(member);
        if (name != "json_schema") return;
        walk.members(member, [&](std::string_view key, Value& inner) {
            if (key == "schema" && walk.kind(inner) == JsonKind::kObject)
                request.output_schema = walk.raw(inner);
        });
    });
}

void read_stop(Walk& walk, Value& value, OpenaiRequest& request) {
    if (walk.kind(value) == JsonKind::kString) request.stop.push_back(walk.string(value));
    walk.elements(value, [&](std::size_t, Value& element) {
        if (walk.kind(element) == JsonKind::kString) request.stop.push_back(walk.string(element));
    });
}

void read_number(Walk& walk, Value& value, std::string_view name, std::string_view& number) {
    JsonKind kind = walk.kind(value);
    if (kind == JsonKind::kNull) return;
    if (kind != JsonKind::kNumber) return walk.refuse(Place{nullptr, name, 0}, "must be a number");
    number = walk.raw(value);
}

bool read_list_member(Walk& walk, std::string_view name, Value& value, OpenaiRequest& request) {
    Place place{nullptr, name, 0};
    if (name == "messages") {
        walk.elements(value, [&](std::size_t at, Value& message) {
            read_message(walk, message, place.element(at), request);
        });
    } else if (name == "tools") {
        walk.elements(value, [&](std::size_t at, Value& tool) {
            read_tool(walk, tool, place.element(at), request);
        });
    } else if (name == "stop") {
        read_stop(walk, value, request);
    } else if (name == "functions" || name == "function_call") {
        if (walk.kind(value) != JsonKind::kNull) walk.refuse(place, "is not supported; use tools");
    } else if (name == "n") {
        if (walk.kind(value) == JsonKind::kNumber && walk.count(value) != 1) {
            walk.refuse(place, "only one choice can be asked for");
        }
    } else {
        return false;
    }
    return true;
}

bool read_setting(Walk& walk, std::string_view name, Value& value, OpenaiRequest& request) {
    if (name == "max_tokens" || name == "max_completion_tokens") {
        read_number(walk, value, name, request.max_tokens);
    } else if (name == "temperature") {
        read_number(walk, value, name, request.temperature);
    } else if (name == "top_p") {
        read_number(walk, value, name, request.top_p);
    } else if (name == "top_k") {
        read_number(walk, value, name, request.top_k);
    } else if (name == "tool_choice") {
        read_tool_choice(walk, value, request);
    } else if (name == "parallel_tool_calls") {
        request.parallel_tool_calls = walk.kind(value) != JsonKind::kBool || walk.is_true(value);
    } else if (name == "user") {
        request.user = walk.string(value);
    } else if (name == "response_format") {
        read_response_format(walk, value, request);
    } else if (name == "reasoning_effort") {
        request.reasoning_effort = walk.string(value);
    } else if (name == "stream_options") {
        walk.members(value, [&](std::string_view key, Value& member) {
            if (key == "include_usage") request.include_usage = walk.is_true(member);
        });
    } else {
        return false;
    }
    return true;
}

}  // namespace

Result<OpenaiRequest> read_openai_request(JsonReader& reader, std::string_view body) {
    Walk& walk = reader.walk();
    OpenaiRequest request;
    Result<void> read = walk.read_object(body, [&](std::string_view name, Value& value) {
        if (read_list_member(walk, name, value, request) ||
            read_setting(walk, name, value, request))
            return;
        // Routing has read these.
        if (name != "model" && name != "stream" && name != "provider")
            request.unknown.push_back(name);
    });
    if (!read) return read.error();
    if (request.messages.empty()) return invalid("messages: at least one message is required");
    return request;
}

bool asks_for_usage(JsonReader& reader, std::string_view stream_options) {
    Walk& walk = reader.walk();
    bool asked = false;
    Result<void> read = walk.read_object_copy(stream_options, [&](std::string_view name, Value& value) {
        if (name == "include_usage") asked = walk.is_true(value);
    });
    return read && asked;
}

}  // namespace balancer::wire::convert
