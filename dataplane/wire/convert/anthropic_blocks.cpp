#include "dataplane/wire/convert/anthropic_blocks.hpp"

#include <array>
#include <utility>

namespace balancer::wire::convert {
namespace {

using Walk = JsonReader::Walk;

// The members of a block that are strings.
constexpr std::array<std::pair<std::string_view, std::string_view Block::*>, 11> kStrings = {{
    {"type", &Block::type},
    {"text", &Block::text},
    {"id", &Block::id},
    {"name", &Block::name},
    {"tool_use_id", &Block::tool_use_id},
    {"thinking", &Block::thinking},
    {"signature", &Block::signature},
    {"data", &Block::data},
    {"tool_name", &Block::tool_name},
    {"title", &Block::title},
    {"context", &Block::context},
}};

void read_source(Walk& walk, Value& value, const Place& place, Block& block) {
    if (walk.kind(value) == JsonKind::kString) {
        block.text = walk.string(value);
        return;
    }
    Source& source = block.source;
    walk.members(value, [&](std::string_view name, Value& member) {
        if (name == "type") source.type = walk.string(member);
        if (name == "media_type") source.media_type = walk.string(member);
        if (name == "data") source.data = walk.string(member);
        if (name == "url") source.url = walk.string(member);
        if (name == "content") read_content(walk, member, place.member("content"), source.content);
    });
}

void require(Walk& walk, const Place& place, std::string_view name, std::string_view value) {
    if (value.empty()) walk.refuse(place.member(name), "Field required");
}

}  // namespace

void read_block(Walk& walk, Value& value, const Place& place, Block& block) {
    if (walk.kind(value) != JsonKind::kObject)
        return walk.refuse(place, "Input should be an object");
    walk.members(value, [&](std::string_view name, Value& member) {
        for (const auto& [known, field] : kStrings) {
            if (name != known) continue;
            block.*field = walk.string(member);
            return;
        }
        if (name == "input") {
            block.input = walk.raw(member);
        } else if (name == "content") {
            read_content(walk, member, place.member("content"), block.content);
        } else if (name == "source") {
            read_source(walk, member, place.member("source"), block);
        } else if (name == "is_error") {
            block.is_error = walk.is_true(member);
        } else if (name == "cache_control" && walk.kind(member) == JsonKind::kObject) {
            block.cache_control = walk.raw(member);
        }
    });
    require(walk, place, "type", block.type);
    if (block.type == "tool_use") {
        require(walk, place, "id", block.id);
        require(walk, place, "name", block.name);
    } else if (block.type == "tool_result") {
        require(walk, place, "tool_use_id", block.tool_use_id);
    }
}

void read_content(Walk& walk, Value& value, const Place& place, Content& content) {
    JsonKind kind = walk.kind(value);
    if (kind == JsonKind::kNull) return;
    content.given = true;
    if (kind == JsonKind::kString) {
        content.is_text = true;
        content.text = walk.string(value);
    } else if (kind == JsonKind::kArray) {
        walk.elements(value, [&](std::size_t at, Value& element) {
            read_block(walk, element, place.element(at), content.blocks.emplace_back());
        });
    } else if (kind != JsonKind::kObject) {
        walk.refuse(place, "Input should be a string or a list of content blocks");
    }
    // An object is the result of a server tool, which no conversion reads.
}

}  // namespace balancer::wire::convert
