#include "dataplane/wire/convert/openai_parts.hpp"

#include <algorithm>

#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {
namespace {

Error refusal(const Place& place, std::string_view type, std::string_view why) {
    return not_capable(fmt::format("{}: \"{}\" blocks {}", place.text(), type, why));
}

// What a server tool of Anthropic's said or found: the texts around it tell the rest.
bool is_of_server_tool(std::string_view type) {
    return type == "server_tool_use" || type == "mcp_tool_use" ||
           (type.ends_with("_tool_result") && type != "tool_result");
}

void append_part(std::string& out, const Part& part, bool takes_cache_control) {
    separate(out);
    out.push_back('{');
    if (part.kind == Part::Kind::kText) {
        inside_member(out, "type", "text");
        inside_member(out, "text", part.text);
        if (takes_cache_control && !part.cache_control.empty()) {
            raw_member(out, "cache_control", part.cache_control);
        }
        out.push_back('}');
        return;
    }
    const Source& source = part.block->source;
    if (part.kind == Part::Kind::kFile) {
        inside_member(out, "type", "file");
        open_member(out, "file");
        out.push_back('{');
        inside_member(
            out, "filename", part.block->title.empty() ? "document.pdf" : part.block->title
        );
        open_member(out, "file_data");
    } else {
        inside_member(out, "type", "image_url");
        open_member(out, "image_url");
        out.push_back('{');
        open_member(out, "url");
    }
    out.push_back('"');
    if (source.type == "url") {
        out.append(source.url);
    } else {
        out.append("data:").append(source.media_type).append(";base64,").append(source.data);
    }
    out.append("\"}}");
}

}  // namespace

void append_joined_texts(std::string& out, const Parts& parts) {
    bool first = true;
    for (const Part& part : parts) {
        if (part.kind != Part::Kind::kText) continue;
        if (!first) out.append("\\n");
        first = false;
        out.append(part.text);
    }
}

bool is_all_text(const Parts& parts) {
    return std::all_of(parts.begin(), parts.end(), [](const Part& part) {
        return part.kind == Part::Kind::kText;
    });
}

void append_content(std::string& out, const Parts& parts, bool takes_cache_control) {
    bool marked =
        takes_cache_control && std::any_of(parts.begin(), parts.end(), [](const Part& part) {
            return !part.cache_control.empty();
        });
    if (is_all_text(parts) && !marked) {
        out.push_back('"');
        append_joined_texts(out, parts);
        out.push_back('"');
        return;
    }
    out.push_back('[');
    for (const Part& part : parts) append_part(out, part, takes_cache_control);
    out.push_back(']');
}

void PartsReader::add_text(std::string inside, Parts& parts) {
    made_.push_back(std::move(inside));
    parts.push_back({Part::Kind::kText, made_.back(), {}, nullptr});
}

Result<void> PartsReader::read(
    const Content& content, const Place& place, bool said_by_assistant, Parts& parts
) {
    if (content.is_text) {
        parts.push_back({Part::Kind::kText, content.text, {}, nullptr});
        return {};
    }
    for (std::size_t i = 0; i < content.blocks.size(); ++i) {
        Result<void> read =
            read_block(content.blocks[i], place.element(i), said_by_assistant, parts);
        if (!read) return read;
    }
    return {};
}

Result<void> PartsReader::read_block(
    const Block& block, const Place& place, bool said_by_assistant, Parts& parts
) {
    if (!block.cache_control.empty() && !takes_.cache_control) notes_.add("cache_control");
    if (block.type == "text") {
        parts.push_back({Part::Kind::kText, block.text, block.cache_control, nullptr});
        return {};
    }
    if (block.type == "tool_use" || block.type == "tool_result")
        return {};  // the conversation's matter
    if (block.type == "thinking" || block.type == "redacted_thinking") {
        if (block.type == "redacted_thinking" || !takes_.thinking) notes_.add(block.type);
        return {};
    }
    if (is_of_server_tool(block.type)) {
        notes_.add("blocks of server tools");
        return {};
    }
    if (block.type == "tool_reference") {
        add_text("Tool " + std::string(block.tool_name) + " is now available.", parts);
        return {};
    }
    if (said_by_assistant) {
        notes_.add("blocks of an unknown type, said by the assistant");
        return {};
    }
    if (block.type == "image") return read_image(block, place, parts);
    if (block.type == "document") return read_document(block, place, parts);
    if (block.type == "search_result") return read_search_result(block, place, parts);
    return refusal(place, block.type.substr(0, 64), "are not known to a provider of type openai");
}

Result<void> PartsReader::read_image(const Block& block, const Place& place, Parts& parts) {
    if (!takes_.images) return refusal(place, "image", "are not taken by this provider");
    const Source& source = block.source;
    bool given = (source.type == "base64" && !source.media_type.empty() && !source.data.empty()) ||
                 (source.type == "url" && !source.url.empty());
    if (!given)
        return refusal(place, "image", "need a source of type base64 or url with this provider");
    parts.push_back({Part::Kind::kImage, {}, {}, &block});
    return {};
}

Result<void> PartsReader::read_document(const Block& block, const Place& place, Parts& parts) {
    const Source& source = block.source;
    if (source.type == "text" || source.type == "content") {
        if (!block.title.empty()) parts.push_back({Part::Kind::kText, block.title, {}, nullptr});
        if (!block.context.empty())
            parts.push_back({Part::Kind::kText, block.context, {}, nullptr});
        if (source.type == "content") {
            return read(source.content, place.member("source").member("content"), false, parts);
        }
        parts.push_back({Part::Kind::kText, source.data, block.cache_control, nullptr});
        return {};
    }
    if (!takes_.documents) return refusal(place, "document", "are not taken by this provider");
    if (source.type != "base64" || source.media_type.empty() || source.data.empty()) {
        return refusal(
            place, "document", "need a source of type base64 or text with this provider"
        );
    }
    parts.push_back({Part::Kind::kFile, {}, {}, &block});
    return {};
}

Result<void> PartsReader::read_search_result(const Block& block, const Place& place, Parts& parts) {
    if (!block.title.empty()) parts.push_back({Part::Kind::kText, block.title, {}, nullptr});
    if (!block.text.empty()) parts.push_back({Part::Kind::kText, block.text, {}, nullptr});
    return read(block.content, place.member("content"), false, parts);
}

}  // namespace balancer::wire::convert
