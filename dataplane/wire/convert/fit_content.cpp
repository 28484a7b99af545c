#include "dataplane/wire/convert/fit_content.hpp"

#include <fmt/format.h>

#include "dataplane/wire/convert/json_text.hpp"

namespace balancer::wire::convert {
namespace {

bool is_thinking(std::string_view type) { return type == "thinking" || type == "redacted_thinking"; }

// What a server tool has left in a conversation.
bool is_of_server_tool(std::string_view type) {
    return type == "server_tool_use" || type == "mcp_tool_use" ||
           (type.ends_with("_tool_result") && type != "tool_result");
}

bool is_advanced(std::string_view member) {
    return member == "defer_loading" || member == "input_examples" || member == "allowed_callers" ||
           member == "eager_input_streaming";
}

}  // namespace

std::string_view ContentFitter::first_token(Value& value) {
    std::string_view token = value.raw_json_token();
    return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
}

// A scalar is its first token; reading one does not always move on to the next.
ByteSpan ContentFitter::span_from(std::string_view token) {
    bool is_scalar = !token.starts_with('{') && !token.starts_with('[');
    std::string_view text = is_scalar ? token : walk_.text_since(token.data());
    return {offset(text.data()), offset(text.data()) + text.size()};
}

bool ContentFitter::drop(Value& value, std::string_view note, bool takes) {
    walk_.raw(value);
    if (takes) return false;
    out_.notes.add(note);
    return true;
}

std::string_view ContentFitter::text_of(Value& value) {
    std::string_view raw = walk_.raw(value);
    return raw.starts_with('"') ? inside_of(raw) : std::string_view();
}

void ContentFitter::replace(std::string_view old, std::string with) {
    if (walk_.failed()) return;
    std::size_t begin = offset(old.data());
    out_.edits.push_back({{begin, begin + old.size()}, out_.texts.emplace_back(std::move(with))});
}

void ContentFitter::refuse(const Place& place, std::string_view why) {
    walk_.refuse(not_capable(fmt::format("{}: {}", place.text(), why)));
}

bool ContentFitter::fit_cache_control(Value& value) {
    if (!takes_.cache_control) return drop(value, "cache_control", false);
    if (walk_.kind(value) != JsonKind::kObject) return skip(value);
    cut_elements(
        members(
            value,
            [&](std::string_view name, Value& member) {
                if (name == "ttl") return drop(member, "cache_control.ttl", takes_.cache_ttl);
                if (name == "scope") return drop(member, "cache_control.scope", takes_.cache_scope);
                return skip(member);
            }
        ),
        out_.edits
    );
    return false;
}

void ContentFitter::fit_source(Value& value, const Place& place) {
    if (walk_.kind(value) != JsonKind::kObject) return void(skip(value));
    walk_.members(value, [&](std::string_view name, Value& member) {
        if (name == "content") {
            cut_elements(fit_content(member, place.member("content")), out_.edits);
        } else if (text_of(member) == "file" && name == "type" && !takes_.files) {
            refuse(place, "uploaded files are not taken by this provider");
        }
    });
}

void ContentFitter::judge_block(
    Element& block, std::string_view text, std::string_view tool_name, const Place& place
) {
    std::string_view type = block.kind;
    bool taken = true;
    if (type == "image") taken = takes_.images;
    if (type == "document") taken = takes_.documents;
    if (type == "tool_use" || type == "tool_result") taken = takes_.tools;
    if (type == "container_upload") taken = takes_.files;
    if (is_of_server_tool(type)) taken = takes_.server_tools;
    if (!taken) return refuse(place, fmt::format("\"{}\" blocks are not taken by this provider", type));
    if (is_thinking(type) && !takes_.thinking) {
        block.cut = true;
        out_.notes.add("thinking of earlier turns");
    } else if (type == "tool_reference" && !takes_.advanced_tools) {
        // As for a provider of type openai: the tool itself is there, since nothing is deferred.
        replace(text, fmt::format(R"({{"type":"text","text":"Tool {} is now available."}})", tool_name));
        out_.notes.add("tool_reference", "sent as text");
    }
}

Element ContentFitter::fit_block(Value& value, const Place& place) {
    Element block;
    std::string_view tool_name;
    std::string_view token = first_token(value);
    if (walk_.kind(value) != JsonKind::kObject) {
        skip(value);
    } else {
        cut_elements(
            members(
                value,
                [&](std::string_view name, Value& member) {
                    if (name == "cache_control") return fit_cache_control(member);
                    if (name == "type") {
                        block.kind = text_of(member);
                    } else if (name == "tool_name") {
                        tool_name = text_of(member);
                    } else if (name == "content") {
                        cut_elements(fit_content(member, place.member("content")), out_.edits);
                    } else if (name == "source") {
                        fit_source(member, place.member("source"));
                    } else {
                        skip(member);
                    }
                    return false;
                }
            ),
            out_.edits
        );
    }
    block.span = span_from(token);
    if (walk_.failed()) return block;
    judge_block(block, body_.substr(block.span.begin, block.span.size()), tool_name, place);
    return block;
}

std::vector<Element> ContentFitter::fit_content(Value& value, const Place& place) {
    std::vector<Element> blocks;
    if (walk_.kind(value) != JsonKind::kArray) {
        skip(value);
        return blocks;
    }
    walk_.elements(value, [&](std::size_t at, Value& block) {
        blocks.push_back(fit_block(block, place.element(at)));
    });
    return blocks;
}

Element ContentFitter::fit_message(Value& value, const Place& place) {
    Element message;
    std::string_view token = first_token(value);
    std::vector<Element> blocks;
    if (walk_.kind(value) != JsonKind::kObject) {
        skip(value);
    } else {
        cut_elements(
            members(
                value,
                [&](std::string_view name, Value& member) {
                    if (name == "output_config") {
                        return drop(member, "output_config of a turn", takes_.turn_control && takes_.effort);
                    }
                    if (name == "content") {
                        blocks = fit_content(member, place.member("content"));
                    } else if (std::string_view text = text_of(member);
                               name == "role" && text == "system" && !takes_.system_anywhere) {
                        replace(text, "user");
                        out_.notes.add("system messages", "sent as the user's");
                    }
                    return false;
                }
            ),
            out_.edits
        );
    }
    message.span = span_from(token);
    // A message without content is refused, so it goes as a whole.
    message.cut = all_are_cut(blocks);
    if (!message.cut) cut_elements(blocks, out_.edits);
    return message;
}

void ContentFitter::fit_messages(Value& value) {
    if (walk_.kind(value) != JsonKind::kArray) return void(skip(value));
    Place place{nullptr, "messages", 0};
    std::vector<Element> messages;
    walk_.elements(value, [&](std::size_t at, Value& message) {
        messages.push_back(fit_message(message, place.element(at)));
    });
    // Thinking alone is no conversation: the provider may say so.
    if (!all_are_cut(messages)) cut_elements(messages, out_.edits);
}

void ContentFitter::fit_tool(Value& value, const Place& place) {
    if (walk_.kind(value) != JsonKind::kObject) return void(skip(value));
    std::string_view type;
    cut_elements(
        members(
            value,
            [&](std::string_view name, Value& member) {
                if (name == "cache_control") return fit_cache_control(member);
                if (name == "strict") return drop(member, "strict", takes_.structured_output);
                if (is_advanced(name)) return drop(member, name, takes_.advanced_tools);
                if (name == "type") type = text_of(member);
                return name == "type" ? false : skip(member);
            }
        ),
        out_.edits
    );
    if (type.empty() || type == "custom" || takes_.server_tools || walk_.failed()) return;
    refuse(place, fmt::format("\"{}\" is a tool of Anthropic's own, which this provider does not have", type));
}

void ContentFitter::fit_tools(Value& value) {
    if (walk_.kind(value) != JsonKind::kArray) return void(skip(value));
    Place place{nullptr, "tools", 0};
    walk_.elements(value, [&](std::size_t at, Value& tool) {
        if (!takes_.tools) return refuse(place.element(at), "this provider takes no tools");
        fit_tool(tool, place.element(at));
    });
}

}  // namespace balancer::wire::convert
