#include "dataplane/wire/convert/expand.hpp"

#include <vector>

#include "dataplane/wire/convert/anthropic_events.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/member_list.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

struct WholeBlock {
    std::string type;
    MemberList members;                  // without citations
    std::vector<std::string> citations;  // raw
};

struct WholeMessage {
    bool is_message = false;
    bool has_content = false;
    MemberList members;  // without content and usage
    MemberList usage;
    Usage counts;
    std::vector<WholeBlock> blocks;
};

void read_block(Walk& walk, Value& value, const Place& place, WholeMessage& message) {
    WholeBlock& block = message.blocks.emplace_back();
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "citations" && walk.kind(member) == JsonKind::kArray) {
            walk.elements(member, [&](std::size_t, Value& citation) {
                block.citations.emplace_back(walk.raw(citation));
            });
            return;
        }
        if (block.members.full()) return walk.refuse(place, "too many members");
        std::string_view raw = walk.raw(member);
        if (name == "type") block.type = inside_of(raw);
        block.members.set(name, raw);
    });
    if (block.type.empty()) walk.refuse(place.member("type"), "Field required");
}

void read_member(Walk& walk, std::string_view name, Value& value, WholeMessage& message) {
    if (name == "content") {
        message.has_content = walk.kind(value) == JsonKind::kArray;
        Place content{nullptr, "content", 0};
        walk.elements(value, [&](std::size_t at, Value& block) {
            read_block(walk, block, content.element(at), message);
        });
    } else if (name == "usage") {
        walk.members(value, [&](std::string_view key, Value& count) {
            std::string_view raw = walk.raw(count);
            if (message.usage.full())
                return walk.refuse(Place{nullptr, name, 0}, "too many members");
            message.usage.set(key, raw);
            take_anthropic_count(message.counts, key, raw);
        });
    } else {
        if (message.members.full()) return walk.refuse(invalid("too many members"));
        std::string_view raw = walk.raw(value);
        if (name == "type") message.is_message = raw == "\"message\"";
        message.members.set(name, raw);
    }
}

void append_start(const WholeMessage& message, std::string& out) {
    MemberList start = message.members;
    start.set("content", "[]");
    start.set("stop_reason", "null");
    start.set("stop_sequence", "null");
    MemberList usage = message.usage;
    usage.set("output_tokens", "0");
    std::string counts;
    usage.append(counts);
    start.set("usage", counts);
    open_event(out, "message_start");
    open_member(out, "message");
    start.append(out);
    close_event(out);
}

void append_delta(
    std::size_t index,
    std::string_view type,
    std::string_view name,
    std::string_view raw,
    std::string& out
) {
    open_event(out, "content_block_delta");
    number_member(out, "index", index);
    open_member(out, "delta");
    out.push_back('{');
    inside_member(out, "type", type);
    open_member(out, name);
    append_line(out, raw);
    out.push_back('}');
    close_event(out);
}

// The members that come in deltas leave an empty value in the block's start.
struct Streamed {
    std::string_view type;
    std::string_view member;
    std::string_view delta;
};
constexpr Streamed kStreamed[] = {
    {"text", "text", "text_delta"},
    {"thinking", "thinking", "thinking_delta"},
    {"thinking", "signature", "signature_delta"},
};

void append_block(std::size_t index, const WholeBlock& block, std::string& out) {
    MemberList start = block.members;
    std::string deltas;
    for (const Streamed& one : kStreamed) {
        std::string_view raw = block.members.get(one.member);
        if (block.type != one.type || inside_of(raw).empty()) continue;
        append_delta(index, one.delta, one.member, raw, deltas);
        start.set(one.member, "\"\"");
    }
    std::string_view input = block.members.get("input");
    if ((block.type == "tool_use" || block.type == "server_tool_use") && input.starts_with('{')) {
        std::string partial = "\"";
        append_inside(partial, input);
        partial.push_back('"');
        append_delta(index, "input_json_delta", "partial_json", partial, deltas);
        start.set("input", "{}");
    }
    for (const std::string& citation : block.citations) {
        append_delta(index, "citations_delta", "citation", citation, deltas);
    }
    if (!block.citations.empty()) start.set("citations", "[]");
    open_event(out, "content_block_start");
    number_member(out, "index", index);
    open_member(out, "content_block");
    start.append(out);
    close_event(out);
    out.append(deltas);
    open_event(out, "content_block_stop");
    number_member(out, "index", index);
    close_event(out);
}

void append_end(const WholeMessage& message, std::string& out) {
    auto value = [&](std::string_view name, std::string_view otherwise) {
        std::string_view raw = message.members.get(name);
        return raw.starts_with('"') ? raw : otherwise;
    };
    open_event(out, "message_delta");
    open_member(out, "delta");
    out.push_back('{');
    raw_member(out, "stop_reason", value("stop_reason", "\"end_turn\""));
    raw_member(out, "stop_sequence", value("stop_sequence", "null"));
    out.push_back('}');
    open_member(out, "usage");
    message.usage.append(out);
    close_event(out);
    open_event(out, "message_stop");
    close_event(out);
}

}  // namespace

Result<Usage> expand_message(JsonReader& reader, std::string_view body, std::string& out) {
    WholeMessage message;
    Result<void> read =
        reader.walk().read_object_copy(body, [&](std::string_view name, Value& value) {
            read_member(reader.walk(), name, value, message);
        });
    if (!read) return invalid("the answer is no message: " + read.error().text());
    if (!message.is_message || !message.has_content) return invalid("the answer is no message");
    append_start(message, out);
    for (std::size_t i = 0; i < message.blocks.size(); ++i) append_block(i, message.blocks[i], out);
    append_end(message, out);
    return message.counts;
}

}  // namespace balancer::wire::convert
