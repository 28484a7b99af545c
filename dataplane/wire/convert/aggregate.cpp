#include "dataplane/wire/convert/aggregate.hpp"

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/tool_input.hpp"
#include "dataplane/wire/openai_error.hpp"

namespace balancer::wire::convert {
namespace {

// What later events add may be without end.
void set(MemberList& members, std::string_view name, std::string_view raw) {
    if (!members.full() || !members.get(name).empty()) members.set(name, raw);
}

}  // namespace

void Aggregate::feed(std::string_view bytes) {
    if (state_.over()) return;
    input_.add(bytes);
    while (!state_.over()) {
        std::optional<SseEvent> event = input_.next();
        if (!event) break;
        read(*event);
    }
    if (input_.too_large())
        break_off(StreamFault::kTooLarge, "The provider sent an event over 8 MiB");
}

void Aggregate::end() {
    if (state_.over()) return;
    ended_ = true;
    if (std::optional<SseEvent> event = input_.last()) read(*event);
    break_off(StreamFault::kCut, "The provider's stream ended before its answer did");
}

void Aggregate::break_off(StreamFault fault, std::string_view why) {
    if (state_.over()) return;
    state_.fault = fault;
    state_.error.status = 502;
    state_.error.type = kSendAgain;
    state_.error.message = why;
}

void Aggregate::read(const SseEvent& event) {
    if (event.kind == SseKind::kComment || event.kind == SseKind::kPing || event.data.empty())
        return;
    Result<void> good = read_anthropic_event(reader_, event.data, event_);
    if (event.kind == SseKind::kError || (good && event_.is_error)) {
        state_.error = anthropic_error(200, event.data);
        state_.fault = StreamFault::kProviderError;
        return;
    }
    if (!good) {
        if (ended_) return;  // half an event
        return break_off(
            StreamFault::kMalformed, "The provider sent an event that is no JSON object"
        );
    }
    bytes_ += event.data.size();
    if (bytes_ > kMessageBytesMax)
        return break_off(StreamFault::kTooLarge, "The provider's answer is over 64 MiB");
    take();
}

void Aggregate::take() {
    if (event_.type == "message_start") {
        if (started_)
            return break_off(StreamFault::kMalformed, "The provider began its answer twice");
        started_ = true;
        for (const auto& [name, raw] : event_.message) message_.set(name, raw);
        for (const auto& [name, raw] : event_.message_usage) {
            usage_.set(name, raw);
            take_anthropic_count(state_.usage, name, raw);
            state_.has_usage = true;
        }
        return;
    }
    if (event_.type == "message_stop" && started_) {
        state_.finished = true;
    } else if (event_.type == "content_block_start" && started_) {
        start_block();
    } else if (event_.type == "content_block_delta") {
        add_delta();
    } else if (event_.type == "content_block_stop") {
        stop_block();
    } else if (event_.type == "message_delta") {
        for (const auto& [name, raw] : event_.end) set(message_, name, raw);
        for (const auto& [name, raw] : event_.usage) {
            if (raw != "null") set(usage_, name, raw);
            take_anthropic_count(state_.usage, name, raw);
            state_.has_usage = true;
        }
    } else if (!started_) {
        break_off(
            StreamFault::kMalformed, "The provider's stream does not begin with message_start"
        );
    }
}

void Aggregate::start_block() {
    if (event_.index != blocks_.size()) {
        return break_off(
            StreamFault::kMalformed, "The provider numbers its content blocks wrongly"
        );
    }
    state_.begun = true;
    Building& block = blocks_.emplace_back();
    for (const auto& [name, raw] : event_.block) block.members.set(name, raw);
    block.text = inside_of(block.members.get("text"));
    block.thinking = inside_of(block.members.get("thinking"));
    block.signature = inside_of(block.members.get("signature"));
}

void Aggregate::add_delta() {
    if (event_.index >= blocks_.size() || !blocks_[event_.index].open) {
        return break_off(
            StreamFault::kMalformed, "The provider went on with a content block that is not open"
        );
    }
    Building& block = blocks_[event_.index];
    if (event_.delta == "text_delta") {
        block.text.append(event_.text);
    } else if (event_.delta == "thinking_delta") {
        block.thinking.append(event_.text);
    } else if (event_.delta == "signature_delta") {
        block.signature.append(event_.text);
    } else if (event_.delta == "input_json_delta") {
        append_unescaped(block.input, event_.text);
    } else if (event_.delta == "citations_delta" && !event_.citation.empty()) {
        if (!block.citations.empty()) block.citations.push_back(',');
        block.citations.append(event_.citation);
    }
}

void Aggregate::stop_block() {
    if (event_.index >= blocks_.size()) return;
    Building& block = blocks_[event_.index];
    if (!block.open) return;
    block.open = false;
    auto set_text = [&block](std::string_view name, const std::string& inside) {
        if (!inside.empty()) block.members.set(name, "\"" + inside + "\"");
    };
    set_text("text", block.text);
    set_text("thinking", block.thinking);
    set_text("signature", block.signature);
    if (!block.input.empty()) {
        std::string input;
        append_tool_input(reader_, block.input, input);
        block.members.set("input", input);
    }
    if (!block.citations.empty()) block.members.set("citations", "[" + block.citations + "]");
    block.text = block.thinking = block.signature = block.input = block.citations = {};
}

void Aggregate::append_message(std::string& out) const {
    std::string content = "[";
    for (const Building& block : blocks_) {
        separate(content);
        block.members.append(content);
    }
    content.push_back(']');
    MemberList message = message_;
    message.set("content", content);
    std::string usage;
    usage_.append(usage);
    message.set("usage", usage);
    message.append(out);
}

}  // namespace balancer::wire::convert
