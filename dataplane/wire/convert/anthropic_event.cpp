#include "dataplane/wire/convert/anthropic_event.hpp"

#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/member_list.hpp"

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;
using Members = AnthropicEvent::Members;

void keep(Walk& walk, std::string_view name, Value& value, Members& members) {
    if (members.size() >= MemberList::kMembersMax)
        return walk.refuse(invalid("an object of too many members"));
    members.emplace_back(name, walk.raw(value));
}

void keep_members(Walk& walk, Value& value, Members& members) {
    walk.members(value, [&](std::string_view name, Value& member) {
        keep(walk, name, member, members);
    });
}

void read_message(Walk& walk, Value& value, AnthropicEvent& event) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "usage") {
            keep_members(walk, member, event.message_usage);
        } else {
            keep(walk, name, member, event.message);
        }
    });
}

// Of a content_block_delta or a message_delta: which one is known by its members.
void read_delta(Walk& walk, Value& value, AnthropicEvent& event) {
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") {
            event.delta = walk.string(member);
        } else if (name == "text" || name == "thinking" || name == "signature" || name == "partial_json") {
            event.text = walk.string(member);
        } else if (name == "citation") {
            event.citation = walk.raw(member);
        } else {
            keep(walk, name, member, event.end);
        }
    });
}

}  // namespace

void AnthropicEvent::clear() {
    type = delta = text = citation = {};
    index = 0;
    is_error = false;
    for (Members* members : {&message, &message_usage, &block, &end, &usage}) members->clear();
}

Result<void> read_anthropic_event(
    JsonReader& reader, std::string_view data, AnthropicEvent& event
) {
    Walk& walk = reader.walk();
    event.clear();
    return walk.read_object(data, [&](std::string_view name, Value& value) {
        if (name == "type") {
            event.type = walk.string(value);
        } else if (name == "index") {
            event.index = walk.count(value);
        } else if (name == "message") {
            read_message(walk, value, event);
        } else if (name == "content_block") {
            keep_members(walk, value, event.block);
        } else if (name == "delta") {
            read_delta(walk, value, event);
        } else if (name == "usage") {
            keep_members(walk, value, event.usage);
        } else if (name == "error") {
            event.is_error = walk.kind(value) != JsonKind::kNull;
        }
    });
}

std::string_view find_member(const Members& members, std::string_view name) {
    for (const auto& [known, value] : members) {
        if (known == name) return value;
    }
    return {};
}

}  // namespace balancer::wire::convert
