#include "dataplane/wire/convert/answer_to_openai.hpp"

#include <vector>

#include "dataplane/wire/convert/anthropic_blocks.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/stop_reason.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

struct ReadMessage {
    bool is_message = false;
    Content content;
    std::string_view stop_reason;
    Usage usage;
};

void read_member(Walk& walk, std::string_view name, Value& value, ReadMessage& message) {
    if (name == "type") {
        message.is_message = walk.string(value) == "message";
    } else if (name == "content" && walk.kind(value) == JsonKind::kArray) {
        read_content(walk, value, Place{nullptr, "content", 0}, message.content);
    } else if (name == "stop_reason") {
        message.stop_reason = walk.string(value);
    } else if (name == "usage") {
        walk.members(value, [&](std::string_view key, Value& count) {
            take_anthropic_count(message.usage, key, walk.raw(count));
        });
    }
}

// The insides of one member of all blocks of a type, as one string; `empty` when there is none.
void append_texts(
    std::string& out,
    const Content& content,
    std::string_view type,
    std::string_view Block::*member,
    std::string_view name,
    std::string_view empty
) {
    std::string inside;
    for (const Block& block : content.blocks) {
        if (block.type == type) inside.append(block.*member);
    }
    if (!inside.empty()) {
        inside_member(out, name, inside);
    } else if (!empty.empty()) {
        raw_member(out, name, empty);
    }
}

void append_calls(std::string& out, const Content& content) {
    bool open = false;
    for (const Block& block : content.blocks) {
        if (block.type != "tool_use") continue;
        if (!open) {
            open_member(out, "tool_calls");
            out.push_back('[');
        }
        open = true;
        separate(out);
        out.push_back('{');
        inside_member(out, "id", block.id);
        inside_member(out, "type", "function");
        open_member(out, "function");
        out.push_back('{');
        inside_member(out, "name", block.name);
        open_member(out, "arguments");
        out.push_back('"');
        append_inside(out, block.input.empty() ? "{}" : block.input);
        out.append("\"}}");
    }
    if (open) out.push_back(']');
}

}  // namespace

Result<Usage> answer_to_openai(
    JsonReader& reader,
    std::string_view body,
    const ToOpenaiAnswerOptions& options,
    std::string& out
) {
    ReadMessage message;
    Walk& walk = reader.walk();
    Result<void> read = walk.read_object_copy(body, [&](std::string_view name, Value& value) {
        read_member(walk, name, value, message);
    });
    if (!read) return invalid("the answer is no message: " + read.error().text());
    if (!message.is_message || !message.content.given) return invalid("the answer is no message");
    out.push_back('{');
    text_member(out, "id", options.completion_id);
    inside_member(out, "object", "chat.completion");
    number_member(out, "created", options.created);
    text_member(out, "model", options.model);
    out.append(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"");
    append_texts(out, message.content, "text", &Block::text, "content", "null");
    raw_member(out, "refusal", "null");
    append_texts(out, message.content, "thinking", &Block::thinking, "reasoning_content", {});
    append_calls(out, message.content);
    out.append("},\"logprobs\":null");
    inside_member(out, "finish_reason", finish_reason_of(message.stop_reason));
    out.append("}]");
    if (options.usage_known) append_openai_usage(out, message.usage);
    out.push_back('}');
    return message.usage;
}

}  // namespace balancer::wire::convert
