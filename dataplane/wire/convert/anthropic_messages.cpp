#include "dataplane/wire/convert/anthropic_messages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/tool_input.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::string_view kNoResult = "The tool was interrupted and gave no result.";

bool is_system(const OpenaiMessage& message) {
    return message.role == "system" || message.role == "developer";
}

// What Anthropic takes as the id of a call; the same id always gives the same one.
std::string call_id(std::string_view inside) {
    std::string id(inside);
    std::replace_if(
        id.begin(), id.end(), [](char c) { return !is_plain(c); }, '_'
    );
    return id;
}

// Without parameters, and by the name that Anthropic knows: it takes no other.
std::string media_type_of(std::string_view declared) {
    std::string type = to_lower(declared.substr(0, declared.find(';')));
    return type == "image/jpg" || type == "image/pjpeg" ? "image/jpeg" : type;
}

}  // namespace

Result<void> AnthropicMessages::write() {
    std::size_t first = write_system();
    open_member(out_, "messages");
    out_.push_back('[');
    Place messages{nullptr, "messages", 0};
    for (std::size_t i = first; i < request_.messages.size(); ++i) {
        Result<void> written = write_message(request_.messages[i], messages.element(i));
        if (!written) return written;
    }
    write_missing_results();
    close_turn();
    if (out_.back() == '[')
        return invalid("messages: at least one message with content is required");
    out_.push_back(']');
    return {};
}

// The index of the first message that is not part of it.
std::size_t AnthropicMessages::write_system() {
    std::size_t end = 0;
    bool open = false;
    for (; end < request_.messages.size() && is_system(request_.messages[end]); ++end) {
        for (const OpenaiPart& part : request_.messages[end].parts) {
            if (part.type != "text") notes_.add("system message", "parts that are no text, dropped");
            if (is_blank(part.text)) continue;
            if (!open) {
                open_member(out_, "system");
                out_.push_back('[');
                open = true;
            }
            write_text(part.text);
        }
    }
    if (open) out_.push_back(']');
    return end;
}

Result<void> AnthropicMessages::write_message(const OpenaiMessage& message, const Place& place) {
    if (message.role == "tool") return write_result(message, place);
    write_missing_results();
    if (is_system(message)) notes_.add("system message in the conversation", "sent as user");
    open_turn(message.role == "assistant" ? "assistant" : "user");
    if (Result<void> written = write_parts(message, place); !written) return written;
    write_calls(message);
    return {};
}

Result<void> AnthropicMessages::write_parts(const OpenaiMessage& message, const Place& place) {
    Place content = place.member("content");
    for (std::size_t i = 0; i < message.parts.size(); ++i) {
        if (Result<void> written = write_part(message.parts[i], content.element(i)); !written)
            return written;
    }
    return {};
}

Result<void> AnthropicMessages::write_part(const OpenaiPart& part, const Place& place) {
    if (part.type == "text" || part.type == "refusal") {
        // Anthropic refuses texts of nothing but white space.
        if (!is_blank(part.text)) write_text(part.text);
        return {};
    }
    if (part.type == "image_url") {
        if (write_source("image", part.url, true)) return {};
        return invalid(
            fmt::format("{}: image_url must be an http(s) URL or a base64 data URL", place.text())
        );
    }
    if (part.type == "file") {
        if (write_source("document", part.file_data, false)) return {};
        return invalid(
            fmt::format("{}: file must have file_data, as a base64 data URL", place.text())
        );
    }
    return not_capable(fmt::format(
        "{}: parts of type {} are not taken by a provider of type anthropic",
        place.text(),
        unescaped(part.type.substr(0, 64))
    ));
}

bool AnthropicMessages::write_source(std::string_view block, std::string_view url, bool links) {
    constexpr std::string_view kBase64 = ";base64,";
    // Some clients write every slash as an escape.
    std::string plain;
    if (url.find('\\') != std::string_view::npos) {
        plain = unescaped(url);
        url = plain;
    }
    std::size_t data = url.find(kBase64);
    bool inlined = url.starts_with("data:") && data != std::string_view::npos;
    bool linked = links && (url.starts_with("https://") || url.starts_with("http://"));
    if (!inlined && !linked) return false;
    separate(out_);
    out_.push_back('{');
    inside_member(out_, "type", block);
    open_member(out_, "source");
    out_.push_back('{');
    if (inlined) {
        inside_member(out_, "type", "base64");
        text_member(out_, "media_type", media_type_of(url.substr(5, data - 5)));
        open_member(out_, "data");
        out_.push_back('"');
        append_inside(out_, url.substr(data + kBase64.size()));
        out_.push_back('"');
    } else {
        inside_member(out_, "type", "url");
        text_member(out_, "url", url);
    }
    out_.append("}}");
    return true;
}

void AnthropicMessages::write_text(std::string_view inside) {
    separate(out_);
    out_.push_back('{');
    inside_member(out_, "type", "text");
    inside_member(out_, "text", inside);
    out_.push_back('}');
}

void AnthropicMessages::write_calls(const OpenaiMessage& message) {
    if (message.role != "assistant") return;
    for (const OpenaiCall& call : message.calls) {
        if (call.id.empty() || call.name.empty()) {
            notes_.add("tool_calls", "without id or name, dropped");
            continue;
        }
        std::string id = call_id(call.id);
        std::string sent = unique_id(id);
        separate(out_);
        out_.push_back('{');
        inside_member(out_, "type", "tool_use");
        inside_member(out_, "id", sent);
        inside_member(out_, "name", call.name);
        open_member(out_, "input");
        if (call.arguments_object.empty()) {
            append_tool_input(reader_, unescaped(call.arguments), out_);
        } else {
            out_.append(call.arguments_object);
        }
        out_.push_back('}');
        waiting_[std::move(id)].push_back(calls_.size());
        calls_.push_back({std::move(sent), false});
    }
}

// Some servers count their calls anew in each turn, and Anthropic refuses an id that comes again. The same conversation
// always gives the same ids.
std::string AnthropicMessages::unique_id(const std::string& id) {
    std::size_t& times = used_[id];
    if (++times == 1) return id;
    notes_.add("tool_calls", "ids that come again, made unique");
    std::string made;
    std::size_t number = times;
    do {
        made = fmt::format("{}_{}", id, number++);
    } while (used_.contains(made));
    used_[id] = number - 1;
    used_[made] = 1;
    return made;
}

Result<void> AnthropicMessages::write_result(const OpenaiMessage& message, const Place& place) {
    auto waiting = waiting_.find(call_id(message.tool_call_id));
    if (waiting == waiting_.end()) {
        notes_.add("tool message", "without its call, dropped");
        return {};
    }
    Call& call = calls_[waiting->second.front()];
    call.answered = true;
    waiting->second.pop_front();
    if (waiting->second.empty()) waiting_.erase(waiting);
    open_turn("user");
    separate(out_);
    out_.push_back('{');
    inside_member(out_, "type", "tool_result");
    inside_member(out_, "tool_use_id", call.id);
    open_member(out_, "content");
    out_.push_back('[');
    if (Result<void> written = write_parts(message, place); !written) return written;
    out_.append("]}");
    return {};
}

void AnthropicMessages::write_missing_results() {
    for (const Call& call : calls_) {
        if (call.answered) continue;
        notes_.add("tool_calls", "without a result, given an error as their result");
        open_turn("user");
        separate(out_);
        out_.push_back('{');
        inside_member(out_, "type", "tool_result");
        inside_member(out_, "tool_use_id", call.id);
        inside_member(out_, "content", kNoResult);
        out_.append(",\"is_error\":true}");
    }
    calls_.clear();
    waiting_.clear();
}

void AnthropicMessages::open_turn(std::string_view role) {
    if (role == role_) return;
    close_turn();
    separate(out_);
    out_.push_back('{');
    inside_member(out_, "role", role);
    open_member(out_, "content");
    out_.push_back('[');
    role_ = role;
}

void AnthropicMessages::close_turn() {
    if (role_.empty()) return;
    // Nothing is left of it: Anthropic refuses messages without content.
    constexpr std::string_view kUserHead = "{\"role\":\"user\",\"content\":[";
    constexpr std::string_view kAssistantHead = "{\"role\":\"assistant\",\"content\":[";
    std::string_view head = role_ == "user" ? kUserHead : kAssistantHead;
    role_ = {};
    if (std::string_view(out_).ends_with(head)) {
        out_.resize(out_.size() - head.size());
        if (out_.back() == ',') out_.pop_back();
        return;
    }
    out_.append("]}");
}

}  // namespace balancer::wire::convert
