// Streams in both directions: every split gives the same bytes, and these are a well-formed
// sequence of events that ends whole or in one error, or nothing at all.
#include <set>
#include <string>

#include "dataplane/wire/convert/aggregate.hpp"
#include "dataplane/wire/convert/openai_events.hpp"
#include "dataplane/wire/convert/stream_to_anthropic.hpp"
#include "dataplane/wire/convert/stream_to_openai.hpp"
#include "tests/fuzz/convert_check.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/support/event_sequence.hpp"

namespace balancer::fuzz {
namespace {

namespace convert = wire::convert;

struct Outcome {
    std::string out;
    convert::StreamState state;
};

template <class Machine, class Feed>
Outcome run(Machine& machine, std::string_view bytes, std::size_t step, Feed&& feed) {
    Outcome outcome;
    for (std::size_t at = 0; at < bytes.size(); at += step)
        feed(bytes.substr(at, step), outcome.out);
    machine.end(outcome.out);
    outcome.state = machine.state();
    return outcome;
}

template <class Machine, class Options>
Outcome convert_all(std::string_view bytes, std::size_t step, const Options& options) {
    Machine machine(converting_reader(), options);
    return run(machine, bytes, step, [&](std::string_view piece, std::string& out) {
        machine.feed(piece, out);
    });
}

Outcome aggregate_all(std::string_view bytes, std::size_t step) {
    convert::Aggregate whole(converting_reader());
    for (std::size_t at = 0; at < bytes.size(); at += step) whole.feed(bytes.substr(at, step));
    whole.end();
    Outcome outcome{{}, whole.state()};
    if (outcome.state.finished) whole.append_message(outcome.out);
    return outcome;
}

void check_same(const Outcome& one, const Outcome& other) {
    BALANCER_CHECK(one.out == other.out && one.state.fault == other.state.fault);
    BALANCER_CHECK(
        one.state.finished == other.state.finished && one.state.usage == other.state.usage
    );
}

void check_state(const Outcome& outcome) {
    BALANCER_CHECK(outcome.state.over());
    BALANCER_CHECK(outcome.state.finished == (outcome.state.fault == convert::StreamFault::kNone));
    BALANCER_CHECK(outcome.state.finished || !outcome.state.error.message.empty());
    if (!outcome.state.finished && !outcome.state.begun) BALANCER_CHECK(outcome.out.empty());
}

// No client takes two calls with one id.
void check_ids(const nlohmann::json& message) {
    std::set<std::string> ids;
    for (const nlohmann::json& block : message["content"]) {
        if (block["type"] != "tool_use") continue;
        BALANCER_CHECK(ids.insert(block["id"].get<std::string>()).second);
    }
}

void check_events(const Outcome& outcome, std::string_view bytes) {
    check_state(outcome);
    if (outcome.state.finished) {
        Outcome whole = aggregate_all(outcome.out, outcome.out.size());
        BALANCER_CHECK(whole.state.finished);
        check_well_formed(whole.out, bytes);
    }
    if (!is_for_full_parser(bytes)) return;
    tests::SequenceCheck check;
    BALANCER_CHECK(check.check(outcome.out).empty());
    BALANCER_CHECK(check.is_whole() == outcome.state.finished);
    BALANCER_CHECK(check.has_error() == (outcome.state.begun && !outcome.state.finished));
    if (check.is_whole()) check_ids(check.message());
    if (check.has_broken_input())
        BALANCER_CHECK(
            check.has_error() || check.message()["stop_reason"] == "max_tokens" ||
            check.message()["stop_reason"] == "refusal" ||
            check.message()["stop_reason"] == "model_context_window_exceeded"
        );
}

// Lost behind these bytes, an answer is whole, or nothing is written.
void check_lost(std::string_view bytes) {
    convert::StreamToAnthropic machine(converting_reader(), {"msg_1", "m"});
    Outcome outcome;
    machine.feed(bytes, outcome.out);
    std::size_t before = outcome.out.size();
    if (machine.finish(outcome.out)) {
        outcome.state = machine.state();
        return check_events(outcome, bytes);
    }
    BALANCER_CHECK(outcome.out.size() == before || machine.state().fault != convert::StreamFault::kNone);
}

void check_chunks(const Outcome& outcome, std::string_view bytes) {
    check_state(outcome);
    std::string_view stream = outcome.out;
    bool done = false;
    while (!stream.empty()) {
        std::size_t end = stream.find("\n\n");
        BALANCER_CHECK(!done && stream.starts_with("data: ") && end != std::string_view::npos);
        std::string_view data = stream.substr(6, end - 6);
        done = data == "[DONE]";
        if (!done) check_well_formed(data, bytes);
        stream.remove_prefix(end + 2);
    }
    BALANCER_CHECK(done == outcome.state.finished);
}

// Who holds a stream back must have seen its content when the converter has: what commits for one client commits for all.
void check_kinds(std::string_view bytes) {
    convert::StreamToAnthropic machine(converting_reader(), {"msg_1", "m"});
    convert::OpenaiAnswer chunk;
    wire::SseSplitter splitter;
    std::string out;
    bool said = false;
    while (auto event = splitter.next(bytes)) {
        std::string_view text = bytes.substr(0, event->size);
        bytes.remove_prefix(event->size);
        wire::SseKind kind = convert::openai_event_kind(converting_reader(), *event, chunk);
        // The kind goes by the first line of data alone.
        if (text.find("data:", text.find("data:") + 1) != std::string_view::npos) return;
        said = said || kind == wire::SseKind::kContent || kind == wire::SseKind::kFinish ||
               kind == wire::SseKind::kMessageStop;
        machine.feed(text, out);
        if (machine.state().begun) BALANCER_CHECK(said);
        if (machine.state().over()) return;
    }
}

}  // namespace

void convert_streams(std::string_view bytes) {
    std::size_t all = bytes.size() + 1;
    convert::ToAnthropicOptions to_anthropic{"msg_1", "m"};
    Outcome events = convert_all<convert::StreamToAnthropic>(bytes, all, to_anthropic);
    check_events(events, bytes);
    check_lost(bytes);
    convert::ToOpenaiAnswerOptions to_openai{"c", "m", 1, true};
    Outcome chunks = convert_all<convert::StreamToOpenai>(bytes, all, to_openai);
    check_chunks(chunks, bytes);
    check_kinds(bytes);
    Outcome message = aggregate_all(bytes, all);
    if (message.state.finished) check_well_formed(message.out, bytes);
    for (std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{61}}) {
        check_same(events, convert_all<convert::StreamToAnthropic>(bytes, step, to_anthropic));
        check_same(chunks, convert_all<convert::StreamToOpenai>(bytes, step, to_openai));
        check_same(message, aggregate_all(bytes, step));
    }
}

}  // namespace balancer::fuzz
