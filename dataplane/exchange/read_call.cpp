// The answer to a request whose upstream call another, identical one makes.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/net.hpp"
#include "dataplane/exchange/converted_answer.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/chunked.hpp"
#include "dataplane/wire/convert/openai_request.hpp"
#include "dataplane/wire/openai_error.hpp"
#include "dataplane/wire/usage.hpp"

namespace balancer::dataplane {

using wire::Framing;

namespace {

// What one write takes of what is there already.
constexpr std::size_t kTakeMax = 256U << 10;

// The error in place of an answer that a filter has put into Anthropic's shape.
std::optional<wire::LocalError> told_in(std::string_view body, bool stream) {
    if (!stream) return wire::is_error_object(body) ? std::optional(wire::anthropic_error(200, body)) : std::nullopt;
    wire::SseSplitter events;
    auto first = events.next(body);
    if (!first || first->kind != wire::SseKind::kError) return std::nullopt;
    return wire::anthropic_error(200, first->data);
}

}  // namespace

// What one client makes of a shared answer: the bytes as they are, or a whole that is converted first.
struct Exchange::Shown {
    std::shared_ptr<const AnswerHead> answer;
    wire::ResponseHead head;  // as this client gets it
    bool stream = false;
    std::unique_ptr<ConvertedAnswer> filter;
    bool whole = false;  // is shown when it is whole
    std::string body;    // of one that is shown whole
    std::string head_bytes;  // not sent yet
    wire::Usage usage;

    bool begun() const { return answer != nullptr; }
};

net::awaitable<Exchange::Reading> Exchange::read_call(CallReader& reader) {
    struct Counted {
        Counter& count;
        ~Counted() { count.sub(); }
    };
    worker_.metrics.coalesced.add();
    worker_.metrics.coalesced_now.add();
    Counted counted{worker_.metrics.coalesced_now};
    reader_ = &reader;
    Reading reading = co_await read_call_through(reader);
    reader_ = nullptr;
    if (client_gone_ || reader.was_cut()) reader.missed_it();
    if (reading == Reading::kDone && reader.is_replay()) worker_.metrics.replayed.add();
    co_return reading;
}

net::awaitable<Exchange::Reading> Exchange::read_call_through(CallReader& reader) {
    record_.coalesced_with = reader.maker();
    SweepEntry patience(worker_.sweep, [&reader] {
        if (!reader.head() && reader.end() == nullptr) reader.stop();
    });
    Milliseconds limit = settings().deduplication.timeout;
    if (limit.count() > 0) patience.arm(steady_now() + limit);
    Shown shown;
    std::vector<Chunk> chunks;
    for (;;) {
        Broadcast::Take take = co_await reader.next(chunks, kTakeMax);
        if (record_.coalesced_with.empty()) record_.coalesced_with = reader.maker();
        if (client_gone_) {
            record_.outcome = Outcome::kDownstreamDisconnect;
            co_return Reading::kDone;
        }
        if (ending_) {
            co_await fail_reader(shown, shutting_down());
            co_return Reading::kDone;
        }
        if (!shown.begun() && reader.head()) show(shown, reader.head());
        switch (take) {
            case Broadcast::Take::kWait:
                if (shown.begun()) continue;
                record_.coalesced_with.clear();
                co_return Reading::kTooLate;
            case Broadcast::Take::kCut:
                co_await fail_reader(shown, too_slow());
                co_return Reading::kDone;
            case Broadcast::Take::kChunks: {
                bool last = reader.end() != nullptr && reader.behind() == 0;
                co_await show_chunks(shown, chunks, last ? reader.end() : nullptr);
                if (client_gone_ || (last && reader.end()->kind == AnswerEnd::Kind::kWhole)) co_return Reading::kDone;
                continue;
            }
            case Broadcast::Take::kEnd:
                break;
        }
        const AnswerEnd& end = *reader.end();
        if (end.kind == AnswerEnd::Kind::kGone && !shown.begun()) {
            record_.coalesced_with.clear();
            co_return Reading::kGone;
        }
        if (end.kind == AnswerEnd::Kind::kFailed) {
            co_await fail_reader(shown, {end.outcome, end.error});
        } else if (end.kind == AnswerEnd::Kind::kGone) {
            co_await fail_reader(shown, lost_maker());
        } else {
            co_await show_chunks(shown, {}, &end);
        }
        co_return Reading::kDone;
    }
}

// The answer has begun: from now on this request stays with it.
void Exchange::show(Shown& shown, const std::shared_ptr<const AnswerHead>& answer) {
    shown.answer = answer;
    shown.head = answer->head();
    record_.provider = answer->provider();
    record_.first_byte_ms = elapsed_ms(began_, steady_now());
    note_upstream_id(shown.head);
    if (wire::is_event_stream(shown.head) != fields_.stream) {
        AnswerConversion conversion = conversion_for_client();
        conversion.from = format_;
        for (const wire::BodyMember& member : fields_.members) {
            if (member.key != "stream_options") continue;
            conversion.to_openai.include_usage = wire::convert::asks_for_usage(worker_.json_reader, member.value);
        }
        auto filter = std::make_unique<ConvertedAnswer>(worker_.json_reader, std::move(conversion));
        if (filter->begin(shown.head)) shown.filter = std::move(filter);
    }
    release_body();
    shown.stream = wire::is_event_stream(shown.head);
    // Pings were promised an event stream: what else comes must be put into one.
    shown.whole = shown.filter != nullptr || (head_sent_ && !shown.stream);
    if (!shown.stream || !fields_.stream) silence_.disarm();
    if (!shown.whole) begin_showing(shown, shown.head.framing == Framing::kLength ? shown.head.content_length : 0);
}

// Chooses the framing, as for an answer of one's own. `length` counts where it is known.
void Exchange::begin_showing(Shown& shown, std::uint64_t length) {
    if (head_sent_) return;
    bool known = !shown.stream && (shown.head.framing == Framing::kLength || shown.whole);
    wire::BodyFraming body{known ? Framing::kLength : Framing::kChunked, known ? length : 0};
    if (shown.head.framing == Framing::kNone) body = {Framing::kNone, 0};
    if (body.framing == Framing::kChunked && head_.http_1_0) body.framing = Framing::kUntilClose;
    chunked_out_ = body.framing == Framing::kChunked;
    until_close_out_ = body.framing == Framing::kUntilClose;
    close_after_ = close_after_ || until_close_out_;
    record_.status = shown.head.status;
    wire::append_relayed_head(shown.head_bytes, shown.head, body, own_headers());
    head_sent_ = true;
}

// `end`: nothing comes behind these.
net::awaitable<void> Exchange::show_chunks(Shown& shown, std::span<const Chunk> chunks, const AnswerEnd* end) {
    bool whole_end = end != nullptr && end->kind == AnswerEnd::Kind::kWhole;
    for (const Chunk& chunk : chunks) shown.usage.look_into(*chunk);
    if (whole_end) {
        record_.outcome = end->outcome;
        worker_.metrics.coalesced_input_tokens.add(shown.usage.input_tokens());
        worker_.metrics.coalesced_output_tokens.add(shown.usage.output_tokens());
    }
    if (shown.whole) {
        AnswerFilter::Step step;
        for (const Chunk& chunk : chunks) {
            if (!shown.filter) shown.body += *chunk;
            if (shown.filter && step.failure == FailureClass::kNone) step = shown.filter->feed(*chunk, shown.body);
        }
        if (whole_end && shown.filter && step.failure == FailureClass::kNone) step = shown.filter->end(shown.body);
        if (whole_end) co_await show_whole(shown, step);
        co_return;
    }
    // A stream that broke gets no clean end behind its error event.
    bool broken = whole_end && end->outcome == Outcome::kStreamBroken;
    close_after_ = close_after_ || broken;
    std::size_t bytes = 0;
    for (const Chunk& chunk : chunks) bytes += chunk->size();
    if (chunked_out_ && bytes > 0) fmt::format_to(std::back_inserter(shown.head_bytes), "{:x}\r\n", bytes);
    std::vector<net::const_buffer> buffers;
    buffers.reserve(chunks.size() + 3);
    buffers.emplace_back(shown.head_bytes.data(), shown.head_bytes.size());
    for (const Chunk& chunk : chunks) buffers.emplace_back(chunk->data(), chunk->size());
    if (chunked_out_ && bytes > 0) buffers.emplace_back("\r\n", 2);
    if (chunked_out_ && whole_end && !broken) buffers.emplace_back(wire::kLastChunk.data(), wire::kLastChunk.size());
    co_await show_bytes(buffers, bytes);
    shown.head_bytes.clear();
}

net::awaitable<void> Exchange::show_bytes(std::span<const net::const_buffer> buffers, std::size_t body_bytes) {
    ErrorCode failed = co_await client_.write(buffers);
    if (failed) {
        client_gone_ = true;
        record_.outcome = Outcome::kDownstreamDisconnect;
        co_return;
    }
    record_.bytes_out += body_bytes;
    worker_.metrics.bytes_to_clients.add(body_bytes);
    worker_.metrics.coalesced_bytes.add(body_bytes);
}

// The answer is whole, and in this client's mode or the reason why it cannot be.
net::awaitable<void> Exchange::show_whole(Shown& shown, const AnswerFilter::Step& step) {
    if (step.failure != FailureClass::kNone) {
        LocalFailure failure = lost_maker();
        failure.error.message = fmt::format("Provider {} broke its answer: {}", record_.provider, step.detail);
        co_return co_await fail(std::move(failure));
    }
    if (shown.filter) {
        if (auto told = told_in(shown.body, shown.stream)) {
            Outcome outcome = record_.outcome == Outcome::kOk ? Outcome::kUpstreamError : record_.outcome;
            co_return co_await fail({outcome, *std::move(told)});
        }
    } else if (head_sent_) {
        co_return co_await end_with(event_of_answer(shown.head.status, shown.body));
    }
    begin_showing(shown, shown.body.size());
    if (chunked_out_) fmt::format_to(std::back_inserter(shown.head_bytes), "{:x}\r\n", shown.body.size());
    std::string_view tail = chunked_out_ ? std::string_view("\r\n0\r\n\r\n") : std::string_view();
    std::array<net::const_buffer, 3> buffers = {
        net::const_buffer(shown.head_bytes.data(), shown.head_bytes.size()),
        net::const_buffer(shown.body.data(), shown.body.size()),
        net::const_buffer(tail.data(), tail.size()),
    };
    co_await show_bytes(buffers, shown.body.size());
}

// The same failure as the maker's client is told, and in the same way: before anything of the answer as an error of its own,
// behind it as a break.
net::awaitable<void> Exchange::fail_reader(const Shown& shown, LocalFailure failure) {
    if (!shown.begun() || shown.whole) co_return co_await fail(std::move(failure));
    record_.outcome = failure.outcome;
    co_await break_answer(shown.stream, shown.head_bytes, failure.error);
}

// Whoever makes the call has ended without a word.
LocalFailure Exchange::lost_maker() const {
    wire::LocalError error = overloaded(503, "STREAM_BROKEN", "The balancer lost this answer; send the request again.").error;
    return {Outcome::kStreamBroken, std::move(error)};
}

}  // namespace balancer::dataplane
