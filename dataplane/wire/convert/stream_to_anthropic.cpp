#include "dataplane/wire/convert/stream_to_anthropic.hpp"

#include <fmt/format.h>

#include <utility>

#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/convert/openai_events.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::string_view kEndedEarly = "The provider's stream ended before its answer did";

std::string_view trimmed(std::string_view text) {
    std::size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

}  // namespace

StreamToAnthropic::StreamToAnthropic(JsonReader& reader, ToAnthropicOptions options)
    : reader_(reader), options_(std::move(options)), calls_(reader_, options_, events_) {}

void StreamToAnthropic::feed(std::string_view bytes, std::string& out) {
    if (state_.over()) return;
    input_.add(bytes);
    while (!state_.over()) {
        std::optional<SseEvent> event = input_.next();
        if (!event) break;
        read(*event, out);
    }
    if (input_.too_large()) {
        break_off(StreamFault::kTooLarge, "The provider sent an event over 8 MiB", out);
    }
}

void StreamToAnthropic::end(std::string& out) {
    if (state_.over()) return;
    ended_ = true;
    if (std::optional<SseEvent> event = input_.last()) read(*event, out);
    if (state_.over()) return;
    if (!finish_reason_.empty()) return complete(out);
    break_off(StreamFault::kCut, kEndedEarly, out);
}

bool StreamToAnthropic::finish(std::string& out) {
    // Usage and [DONE] are missing at most.
    if (!state_.over() && !finish_reason_.empty()) complete(out);
    return state_.finished;
}

void StreamToAnthropic::fail(StreamFault fault, LocalError error, std::string& out) {
    if (state_.over()) return;
    state_.fault = fault;
    state_.error = std::move(error);
    if (state_.begun) out.append(error_event(Format::kAnthropic, state_.error, options_.request_id));
}

void StreamToAnthropic::break_off(StreamFault fault, std::string_view why, std::string& out) {
    LocalError error;
    error.status = 502;
    // Bad arguments come again when the same is asked again; an answer that is not streamed can
    // show them to the model.
    error.type = fault == StreamFault::kBadArguments ? "api_error" : kSendAgain;
    error.message = why;
    fail(fault, std::move(error), out);
}

void StreamToAnthropic::read(const SseEvent& event, std::string& out) {
    std::string_view data = trimmed(event.data);
    if (event.kind == SseKind::kComment || data.empty()) return;
    if (is_done_mark(data)) {
        if (!finish_reason_.empty()) return complete(out);
        // Proxies put the mark behind whatever has come, a stream that was cut too.
        if (state_.begun) return break_off(StreamFault::kCut, kEndedEarly, out);
        return break_off(
            StreamFault::kMalformed, "The provider's stream ended without an answer", out
        );
    }
    Result<void> good = read_openai_chunk(reader_, data, chunk_);
    bool is_error = event.kind == SseKind::kError || (good && chunk_.is_error);
    if (is_error) {
        return fail(StreamFault::kProviderError, error_to_anthropic(reader_, 200, data), out);
    }
    if (!good) {
        if (ended_) return;  // half an event
        return break_off(
            StreamFault::kMalformed, "The provider sent an event that is no JSON object", out
        );
    }
    read_chunk(out);
}

void StreamToAnthropic::read_chunk(std::string& out) {
    if (chunk_.usage) {
        take_greater(state_.usage, *chunk_.usage);
        state_.has_usage = true;
    }
    if (!chunk_.has_choice) return;
    if (!chunk_.is_whole_message || !state_.begun) add_content(out);
    if (state_.over()) return;
    if (!chunk_.finish_reason.empty()) finish_reason_ = chunk_.finish_reason;
    if (!chunk_.stop_text.empty()) stop_text_ = chunk_.stop_text;
    if (!chunk_.finish_reason.empty() && !anthropic_end(ending())) {
        return break_off(
            StreamFault::kProviderError, "The provider broke its answer off with an error", out
        );
    }
    if (holds_too_much())
        break_off(StreamFault::kTooLarge, "The provider sent a tool call over 8 MiB", out);
}

void StreamToAnthropic::add_content(std::string& out) {
    for (std::string_view text : chunk_.reasoning) add_reasoning(text, out);
    for (std::string_view text : chunk_.texts) add_text(text, out);
    if (!chunk_.refusal.empty()) {
        refused_ = true;
        add_text(chunk_.refusal, out);
    }
    for (const OpenaiCall& call : chunk_.calls) {
        if (call.empty()) continue;
        begin(out);
        if (events_.open() != AnthropicEvents::Open::kTool) close_block(out);
        if (!calls_.add(call, out)) {
            return break_off(
                StreamFault::kMalformed, "The provider went on with a tool call that had ended", out
            );
        }
    }
}

OpenaiEnd StreamToAnthropic::ending() const {
    return {finish_reason_, stop_text_, refused_, calls_.any()};
}

bool StreamToAnthropic::holds_too_much() const {
    return calls_.bytes_held() + held_text_.size() + held_reasoning_.size() > kEventBytesMax;
}

void StreamToAnthropic::begin(std::string& out) {
    state_.begun = true;
    if (!events_.started())
        events_.start_message(out, options_.message_id, options_.model, state_.usage);
}

void StreamToAnthropic::close_block(std::string& out) {
    if (events_.open() == AnthropicEvents::Open::kThinking)
        events_.signature(out, kConvertedSignature);
    events_.stop_block(out);
}

void StreamToAnthropic::add_text(std::string_view inside, std::string& out) {
    if (inside.empty()) return;
    begin(out);
    if (!calls_.close_if_whole(out)) {
        held_text_.append(inside);
        return;
    }
    if (events_.open() != AnthropicEvents::Open::kText) {
        close_block(out);
        events_.start_text(out);
    }
    events_.text(out, inside);
}

void StreamToAnthropic::add_reasoning(std::string_view inside, std::string& out) {
    if (inside.empty()) return;
    begin(out);
    if (!calls_.close_if_whole(out)) {
        held_reasoning_.append(inside);
        return;
    }
    if (events_.open() != AnthropicEvents::Open::kThinking) {
        close_block(out);
        events_.start_thinking(out);
    }
    events_.thinking(out, inside);
}

void StreamToAnthropic::complete(std::string& out) {
    begin(out);
    if (events_.open() != AnthropicEvents::Open::kTool) close_block(out);
    // One that was given up has been broken off before.
    AnthropicEnd end = anthropic_end(ending()).value_or(AnthropicEnd{});
    if (!calls_.finish(end.cut_short(), out)) {
        return break_off(
            StreamFault::kBadArguments,
            "The provider sent a tool call whose arguments are no JSON",
            out
        );
    }
    add_reasoning(std::exchange(held_reasoning_, {}), out);
    add_text(std::exchange(held_text_, {}), out);
    close_block(out);
    std::string sequence =
        end.stop_sequence.empty() ? "null" : fmt::format("\"{}\"", end.stop_sequence);
    events_.finish(out, end.stop_reason, sequence, state_.usage);
    state_.finished = true;
}

}  // namespace balancer::wire::convert
