// The answer goes to the client, from the buffers it was read into. Streams are forwarded in whole events, so that a ping or
// an error can be put between two of them at any time.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/chunked.hpp"
#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/downstream_head.hpp"
#include "dataplane/wire/openai_error.hpp"

namespace balancer::dataplane {

using wire::Framing;

void Exchange::note_upstream_id(const wire::ResponseHead& head) {
    auto id = wire::find_field(head.fields, "request-id");
    if (!id) id = wire::find_field(head.fields, "x-request-id");  // OpenAI's
    if (id) record_.upstream_request_id = *id;
}

// Chooses the framing, writes the head (unless pings have sent one) and lets go of what a retry would need.
wire::BodyFraming Exchange::begin_relay(const Candidate& candidate, std::string& head) {
    const wire::ResponseHead& upstream = response_->head();
    wire::BodyFraming body;
    if (upstream.status == 204 || upstream.status == 304) {
        body = {Framing::kNone, 0};
    } else if (response_->complete()) {
        body = {Framing::kLength, response_->body().size()};
    } else if (upstream.framing == Framing::kLength) {
        body = {Framing::kLength, upstream.content_length};
    } else if (head_.http_1_0) {
        body = {Framing::kUntilClose, 0};
        close_after_ = true;
    } else {
        body = {Framing::kChunked, 0};
    }
    // An event stream that is cut must not look whole: a length would promise bytes that an error event replaces.
    if (wire::is_event_stream(upstream) && !head_.http_1_0) body = {Framing::kChunked, 0};
    if (wire::is_event_stream(upstream) && head_.http_1_0) {
        body = {Framing::kUntilClose, 0};
        close_after_ = true;
    }
    if (head_sent_) {
        body = {chunked_out_ ? Framing::kChunked : Framing::kUntilClose, 0};
    } else {
        chunked_out_ = body.framing == Framing::kChunked;
        until_close_out_ = body.framing == Framing::kUntilClose;
        record_.status = upstream.status;
        wire::append_relayed_head(head, upstream, body, own_headers());
    }
    record_.provider = candidate.provider->name;
    begin_call(upstream, body);
    note_upstream_id(upstream);
    record_.first_byte_ms = elapsed_ms(began_, steady_now());
    record_.outcome = upstream.status >= 400 ? Outcome::kUpstreamError : Outcome::kOk;
    record_.conversion = outgoing_.conversion.notes.list();
    head_sent_ = true;
    release_body();
    return body;
}

// How many bytes at the front of the held body are whole events.
std::size_t Exchange::whole_events() {
    while (auto event = next_event(events_, response_->body().substr(events_scanned_))) {
        events_scanned_ += event->size;
        if (event->kind == wire::SseKind::kFinish) saw_finish_ = true;
        if (event->kind == wire::SseKind::kMessageStop) saw_message_stop_ = true;
        if (event->kind == wire::SseKind::kError) {
            saw_error_event_ = true;
            error_event_ = event->data;
        }
    }
    return events_scanned_;
}

// Writes head (may be empty), the first `bytes` of the held body with their framing, and the body's end if `last`.
net::awaitable<ErrorCode> Exchange::forward(std::string_view head, std::size_t bytes, bool last) {
    if (is_shared()) co_return co_await forward_to_all(head, bytes, last);
    if (client_gone_) co_return ErrorCode();
    std::array<net::const_buffer, 4> buffers;
    std::size_t count = 0;
    if (!head.empty()) buffers[count++] = net::const_buffer(head.data(), head.size());
    if (bytes > 0) {
        char* data = response_->body_data();
        std::size_t prefix = chunked_out_ ? wire::write_chunk_prefix(data, bytes) : 0;
        buffers[count++] = net::const_buffer(data - prefix, prefix + bytes);
        if (chunked_out_) buffers[count++] = net::const_buffer("\r\n", 2);
    }
    if (last && chunked_out_) {
        buffers[count++] = net::const_buffer(wire::kLastChunk.data(), wire::kLastChunk.size());
    }
    if (count == 0) co_return ErrorCode();
    ErrorCode failed =
        co_await client_.write(std::span<const net::const_buffer>(buffers.data(), count));
    held_up_ = response_->stream().timed_out();
    count_held_back(0);
    if (failed) co_return failed;
    response_->consume(bytes);
    events_scanned_ -= std::min(events_scanned_, bytes);
    record_.bytes_out += bytes;
    worker_.metrics.bytes_to_clients.add(bytes);
    co_return failed;
}

net::awaitable<void> Exchange::relay(const Candidate& candidate) {
    bool stream = wire::is_event_stream(response_->head());
    committed_ = good_so_far_;
    counted_ = candidate.provider;
    worker_.metrics.provider(counted_->slot).in_flight.add();
    if (told_) co_return co_await relay_error(candidate);
    // Pings were promised an event stream: an answer of another kind cannot follow them.
    if (head_sent_ && !stream) co_return co_await relay_behind_pings(candidate);
    std::string head;
    wire::BodyFraming framing = begin_relay(candidate, head);
    if (!stream || !fields_.stream) silence_.disarm();
    for (;;) {
        std::size_t bytes = stream ? whole_events() : response_->body().size();
        bool last = response_->complete();
        // A stream that says it is complete, but has neither its end nor an error, was cut.
        bool was_cut = last && stream && !saw_finish_ && !saw_message_stop_ && !saw_error_event_;
        // Some servers send no empty line behind their last event.
        if (last && !was_cut) bytes = response_->body().size();
        if (saw_error_event_) note_error_event(*candidate.provider);
        // A stream that broke gets no clean end behind its error event.
        bool broken = saw_error_event_ && response_->stream_fault() != FailureClass::kNone;
        close_after_ = close_after_ || broken;
        ErrorCode failed = co_await forward(head, bytes, last && !was_cut && !broken);
        head.clear();
        if (failed) lose_client();
        if (deserted()) {
            record_.outcome = Outcome::kDownstreamDisconnect;
            co_return;
        }
        if (was_cut) {
            co_return co_await cut(
                candidate, {ReadStatus::Kind::kFailed, FailureClass::kBrokenStream, "the stream ended before the message did"}
            );
        }
        if (last || broken) break;
        ReadStatus status = co_await response_->read_more();
        if (deserted()) {
            record_.outcome = Outcome::kDownstreamDisconnect;
            co_return;
        }
        if (status.kind == ReadStatus::Kind::kFailed && (saw_message_stop_ || saw_error_event_)) {
            // The whole answer is here, or all that comes of it; only the transfer's end is missing.
            ErrorCode unsent = co_await forward({}, 0, true);
            if (unsent) lose_client();
            break;
        }
        if (status.kind == ReadStatus::Kind::kFailed) co_return co_await cut(candidate, status);
    }
    end_call({});
    if (framing.framing == Framing::kUntilClose) close_after_ = true;
}

// The provider's error object is what its client knows how to take: it goes out word for word, as an event.
net::awaitable<void> Exchange::relay_behind_pings(const Candidate& candidate) {
    const wire::ResponseHead& head = response_->head();
    note_error_answer(candidate);
    std::string event = event_of_answer(head.status, response_->body());
    if (response_->complete()) share_whole(head, response_->body());
    co_await end_with(std::move(event));
}

std::string Exchange::event_of_answer(unsigned status, std::string_view body) {
    if (wire::is_error_object(body) && wire::is_whole_json(body)) return wire::error_event_of(format_, body);
    wire::LocalError error;
    error.type = "api_error";
    error.message = fmt::format(
        "Provider {} answered {} with {} bytes that are neither an event stream nor an error of the API.",
        record_.provider,
        status,
        body.size()
    );
    return wire::error_event(format_, error, record_.request_id);
}

// The provider's error in the client's format, with the status that it has there: nothing has gone out yet but pings.
net::awaitable<void> Exchange::relay_error(const Candidate& candidate) {
    note_error_answer(candidate);
    wire::ResponseHead head = response_->head();
    head.status = wire::status_of(format_, *told_);
    wire::set_field(head.fields, "content-type", "application/json");
    std::erase_if(head.fields, [](const wire::HeaderField& field) {
        return wire::equals_lower(field.name, "content-encoding");  // of the provider's bytes
    });
    std::string body = wire::error_json(format_, *told_, record_.request_id);
    share_whole(head, body);
    if (head_sent_) co_return co_await end_with(wire::error_event(format_, *told_, record_.request_id));
    if (client_gone_) co_return;
    std::string out;
    wire::append_relayed_head(out, head, {Framing::kLength, body.size()}, own_headers());
    out.append(body);
    record_.status = head.status;
    record_.first_byte_ms = elapsed_ms(began_, steady_now());
    record_.bytes_out = body.size();
    worker_.metrics.bytes_to_clients.add(body.size());
    head_sent_ = true;
    release_body();
    ErrorCode failed = co_await client_.write(out);
    if (failed) client_gone_ = true;
}

void Exchange::note_error_answer(const Candidate& candidate) {
    record_.provider = candidate.provider->name;
    record_.outcome = Outcome::kUpstreamError;
    record_.conversion = outgoing_.conversion.notes.list();
    note_upstream_id(response_->head());
}

// The stream has ended with an error event: the provider's own, which goes to the client as it is, or one that its conversion
// has put where it broke.
void Exchange::note_error_event(const Provider& provider) {
    FailureClass fault = response_->stream_fault();
    record_.outcome = fault == FailureClass::kNone ? Outcome::kUpstreamError : Outcome::kStreamBroken;
    // Before the write: many clients leave as soon as they have read the error.
    if (!std::exchange(good_so_far_, false)) return;
    wire::LocalError told = format_ == wire::Format::kOpenai
                                ? wire::convert::error_to_anthropic(worker_.json_reader, 200, error_event_)
                                : wire::anthropic_error(200, error_event_);
    if (fault == FailureClass::kNone) {
        note(provider, classify_error_object(error_event_, told, provider, settings(), client_keys()));
        return;
    }
    log_failure(fmt::format("Provider {} broke its answer: {}", provider.name, told.message));
    note(provider, classify_transport(fault, told.message, settings()));
}

// The upstream broke after the commit. Nothing is replayed; the client learns of it by an `error` event (in a stream) and by
// a connection that ends before its body does.
net::awaitable<void> Exchange::cut(const Candidate& candidate, const ReadStatus& status) {
    good_so_far_ = false;
    close_after_ = true;
    const std::string& provider = candidate.provider->name;
    wire::LocalError error = shutting_down().error;
    if (ending_) {
        record_.outcome = Outcome::kShutdown;
    } else {
        record_.outcome = Outcome::kStreamBroken;
        log_failure(fmt::format("Provider {} broke its answer: {}", provider, status.detail));
        Verdict verdict = classify_transport(FailureClass::kBrokenStream, status.detail, settings());
        // The time for the whole answer ran out while the client took its time.
        if (response_->stream().timed_out() && held_up_) verdict.counted = false;
        note(*candidate.provider, verdict);
        error.code = "STREAM_BROKEN";
        error.message = fmt::format(
            "The balancer lost provider {} in the middle of its answer ({}); send the request again.",
            provider,
            status.detail
        );
    }
    end_call_with(error);
    if (client_gone_) co_return;
    co_await break_answer(wire::is_event_stream(response_->head()), {}, std::move(error));
}

// Of an answer that has begun to go out: an error event and no clean end; or just an end before its length does. `before` goes
// out first.
net::awaitable<void> Exchange::break_answer(bool stream, std::string_view before, wire::LocalError error) {
    close_after_ = true;
    if (!stream) {
        // Where the connection's end is the body's end, a clean one would say that this is all of it.
        if (until_close_out_) client_.break_off();
        co_return;
    }
    error.type = wire::kSendAgain;
    std::string event = wire::error_event(format_, error, record_.request_id);
    if (chunked_out_) event = fmt::format("{:x}\r\n{}\r\n", event.size(), event);
    event.insert(0, before);
    ErrorCode failed = co_await client_.write(event);
    if (failed) lose_client();
}

}  // namespace balancer::dataplane
