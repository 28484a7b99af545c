#include "dataplane/wire/convert/openai_messages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {
namespace {

// Claude Code's own first system block: it names the client's build, says nothing to a model, and
// its last letters differ between conversations, which defeats a provider's cache.
constexpr std::string_view kAttribution = "x-anthropic-billing-header:";

constexpr std::string_view kNoResult = "Error: the tool was interrupted and gave no result.";
constexpr std::string_view kSeeBelow = "The result follows in the next message.";

bool has_calls(const Content& content) {
    return std::any_of(content.blocks.begin(), content.blocks.end(), [](const Block& block) {
        return block.type == "tool_use";
    });
}

bool has_results(const Content& content) {
    return std::any_of(content.blocks.begin(), content.blocks.end(), [](const Block& block) {
        return block.type == "tool_result";
    });
}

}  // namespace

Result<void> OpenaiMessages::write() {
    find_results();
    open_member(out_, "messages");
    out_.push_back('[');
    if (Result<void> written = write_system(request_.system, Place{nullptr, "system", 0}, true);
        !written) {
        return written;
    }
    for (std::size_t i = 0; i < request_.messages.size(); ++i) {
        if (Result<void> written = write_turn(i); !written) return written;
    }
    out_.push_back(']');
    note_orphans();
    return {};
}

void OpenaiMessages::find_results() {
    for (std::size_t turn = 0; turn < request_.messages.size(); ++turn) {
        const std::vector<Block>& blocks = request_.messages[turn].content.blocks;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            if (blocks[i].type != "tool_result") continue;
            results_[blocks[i].tool_use_id].found.push_back({turn, i, &blocks[i]});
        }
    }
}

const OpenaiMessages::FoundResult* OpenaiMessages::take_result(
    std::string_view id, std::size_t after_turn
) {
    auto of_id = results_.find(id);
    if (of_id == results_.end()) return nullptr;
    Results& results = of_id->second;
    while (results.next < results.found.size() && results.found[results.next].turn <= after_turn)
        ++results.next;
    if (results.next == results.found.size()) return nullptr;
    ++results.used;
    return &results.found[results.next++];
}

void OpenaiMessages::note_orphans() {
    for (const auto& [id, results] : results_) {
        if (results.used < results.found.size())
            done_.notes.add("tool_result", "without its call, dropped");
    }
}

Result<void> OpenaiMessages::write_turn(std::size_t at) {
    const AnthropicTurn& turn = request_.messages[at];
    Place messages{nullptr, "messages", 0};
    Place place = messages.element(at);
    Place content = place.member("content");
    if (turn.role == "system") return write_system(turn.content, content, false);
    if (turn.role == "user") return write_user(turn.content, content);
    if (Result<void> written = write_assistant(turn.content, content); !written) return written;
    return write_results(at);
}

Result<void> OpenaiMessages::write_system(const Content& content, const Place& place, bool leads) {
    Parts parts;
    if (Result<void> read = parts_.read(content, place, false, parts); !read) return read;
    if (leads && !parts.empty() && parts.front().text.starts_with(kAttribution)) {
        parts.erase(parts.begin());
        done_.notes.add("attribution block");
    }
    bool is_empty = std::all_of(parts.begin(), parts.end(), [](const Part& part) {
        return part.kind == Part::Kind::kText && part.text.empty();
    });
    if (is_empty) return {};
    bool as_user = !leads && !takes_.system_anywhere;
    if (as_user) done_.notes.add("system message in the conversation", "sent as user");
    open_message(as_user ? "user" : "system");
    append_content(out_, parts, takes_.cache_control);
    out_.push_back('}');
    return {};
}

Result<void> OpenaiMessages::write_user(const Content& content, const Place& place) {
    Parts parts;
    if (Result<void> read = parts_.read(content, place, false, parts); !read) return read;
    if (has_calls(content)) done_.notes.add("tool_use in a user message");
    if (parts.empty() && has_results(content)) return {};
    open_message("user");
    append_content(out_, parts, takes_.cache_control);
    out_.push_back('}');
    return {};
}

Result<void> OpenaiMessages::write_assistant(const Content& content, const Place& place) {
    Parts parts;
    if (Result<void> read = parts_.read(content, place, true, parts); !read) return read;
    bool calls = has_calls(content);
    // Nothing is left of it: a message without content is refused by many.
    if (parts.empty() && !calls) return {};
    open_message("assistant");
    if (parts.empty()) {
        out_.append("null");
    } else {
        out_.push_back('"');
        append_joined_texts(out_, parts);
        out_.push_back('"');
    }
    if (takes_.thinking) write_reasoning(content);
    if (calls) write_calls(content);
    out_.push_back('}');
    return {};
}

void OpenaiMessages::write_reasoning(const Content& content) {
    bool open = false;
    for (const Block& block : content.blocks) {
        if (block.type != "thinking" || block.thinking.empty()) continue;
        if (open) {
            out_.append("\\n");
        } else {
            open_member(out_, "reasoning_content");
            out_.push_back('"');
        }
        open = true;
        out_.append(block.thinking);
    }
    if (open) out_.push_back('"');
}

void OpenaiMessages::write_calls(const Content& content) {
    open_member(out_, "tool_calls");
    out_.push_back('[');
    for (const Block& call : content.blocks) {
        if (call.type != "tool_use") continue;
        separate(out_);
        out_.push_back('{');
        inside_member(out_, "id", fit_name(call.id, kToolIdBytesMax));
        inside_member(out_, "type", "function");
        open_member(out_, "function");
        out_.push_back('{');
        inside_member(out_, "name", done_.tool_names.to_openai(call.name));
        open_member(out_, "arguments");
        out_.push_back('"');
        append_inside(out_, call.input.empty() ? "{}" : call.input);
        out_.append("\"}}");
    }
    out_.push_back(']');
}

Result<void> OpenaiMessages::write_results(std::size_t turn) {
    Parts attached;
    for (const Block& call : request_.messages[turn].content.blocks) {
        if (call.type != "tool_use") continue;
        Result<void> written = write_result(call, take_result(call.id, turn), attached);
        if (!written) return written;
    }
    if (attached.empty()) return {};
    // Messages of role tool hold text only.
    open_message("user");
    append_content(out_, attached, takes_.cache_control);
    out_.push_back('}');
    return {};
}

Result<void> OpenaiMessages::write_result(
    const Block& call, const FoundResult* found, Parts& attached
) {
    Parts parts;
    if (found != nullptr) {
        Place messages{nullptr, "messages", 0};
        Place turn = messages.element(found->turn);
        Place content = turn.member("content");
        Place block = content.element(found->at);
        Result<void> read =
            parts_.read(found->block->content, block.member("content"), false, parts);
        if (!read) return read;
        if (!found->block->cache_control.empty() && !takes_.cache_control)
            done_.notes.add("cache_control");
        bool moved = !is_all_text(parts);
        if (moved) attached.push_back({Part::Kind::kText, label(call), {}, nullptr});
        for (const Part& part : parts) {
            if (part.kind != Part::Kind::kText) attached.push_back(part);
        }
        std::erase_if(parts, [](const Part& part) { return part.kind != Part::Kind::kText; });
        if (parts.empty() && moved) parts.push_back({Part::Kind::kText, kSeeBelow, {}, nullptr});
    } else {
        parts.push_back({Part::Kind::kText, kNoResult, {}, nullptr});
        done_.notes.add("tool_use", "without a result, given an error as its result");
    }
    separate(out_);
    out_.push_back('{');
    inside_member(out_, "role", "tool");
    inside_member(out_, "tool_call_id", fit_name(call.id, kToolIdBytesMax));
    open_member(out_, "content");
    out_.push_back('"');
    if (found != nullptr && found->block->is_error) out_.append("Error: ");
    append_joined_texts(out_, parts);
    out_.append("\"}");
    return {};
}

// Says in front of what is attached which call it is of: there may be several.
std::string_view OpenaiMessages::label(const Block& call) {
    return labels_.emplace_back(fmt::format(
        "The result of {} (call {}), as an attachment:",
        done_.tool_names.to_openai(call.name),
        fit_name(call.id, kToolIdBytesMax)
    ));
}

void OpenaiMessages::open_message(std::string_view role) {
    separate(out_);
    out_.push_back('{');
    inside_member(out_, "role", role);
    open_member(out_, "content");
}

}  // namespace balancer::wire::convert
