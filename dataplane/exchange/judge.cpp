// The commit barrier: how much of an answer is read before anything goes to the client, and what it turns out to be.
#include <fmt/format.h>

#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/convert/openai_events.hpp"
#include "dataplane/wire/openai_error.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::dataplane {
namespace {

// Errors are small; an answer that is larger than this is none.
constexpr std::size_t kHeldJsonMax = 64U << 10;
constexpr std::size_t kHeldErrorMax = 256U << 10;
// Where the status alone says enough to go on, nobody waits long for the words.
constexpr std::chrono::seconds kErrorBodyWait{2};

bool moves_on_whatever_it_says(unsigned status, const Provider& provider) {
    bool refused = status == 401 || status == 403;
    return status >= 500 || status == 402 || status == 408 || status == 429 ||
           (refused && provider.auth_type != AuthType::kPassthrough);
}

bool says_something(wire::SseKind kind) {
    return kind == wire::SseKind::kContent || kind == wire::SseKind::kFinish || kind == wire::SseKind::kMessageStop;
}

bool looks_like_json(std::string_view body) {
    std::size_t at = body.find_first_not_of(" \t\r\n");
    return at != std::string_view::npos && (body[at] == '{' || body[at] == '[');
}

}  // namespace

// Reads until the body is complete or `bytes_max` are held.
net::awaitable<ReadStatus> Exchange::hold_body(std::size_t bytes_max) {
    ReadStatus status;
    while (!response_->complete() && response_->body().size() < bytes_max) {
        status = co_await response_->read_more();
        if (status.kind != ReadStatus::Kind::kData) break;
    }
    co_return status;
}

// A complete 2xx answer whose framing cannot tell its end from a cut (until close), or that is no answer at all.
bool Exchange::ended_without_saying_so() const {
    std::string_view body = response_->body();
    if (is_inference() && response_->head().status == 200 && body.empty()) return true;
    return response_->head().framing == wire::Framing::kUntilClose && looks_like_json(body) &&
           !wire::is_whole_json(body);
}

std::vector<std::string_view> Exchange::client_keys() const {
    std::vector<std::string_view> keys;
    for (const wire::HeaderField& field : head_.fields) {
        if (wire::equals_lower(field.name, "authorization")) keys.push_back(wire::bearer_value(field.value));
        if (wire::equals_lower(field.name, "x-api-key")) keys.push_back(field.value);
    }
    return keys;
}

// The provider holds the request for faulty, and its words were cut: its status stands, and a retry would be no use.
LocalFailure Exchange::cut_refusal(const Provider& provider, unsigned status) const {
    wire::LocalError error;
    error.status = status;
    error.type = status == 404 ? "not_found_error" : status == 413 ? "request_too_large" : "invalid_request_error";
    error.message = fmt::format("Provider {} refused the request with {}, and its answer broke off.", provider.name, status);
    error.provider = provider.name;
    error.retry = false;
    return {Outcome::kUpstreamError, std::move(error)};
}

net::awaitable<Verdict> Exchange::judge(const Provider& provider) {
    const wire::ResponseHead& head = response_->head();
    if (head.status >= 300 && head.status < 400) {
        Verdict verdict = classify_redirect(head, provider, settings(), client_keys());
        // Passed on, it would send the client there, with all that it has sent here.
        let_go();
        co_return verdict;
    }
    auto coding = wire::find_field(head.fields, "content-encoding");
    bool coded = coding && !coding->empty() && !wire::equals_lower(*coding, "identity");
    if (wire::is_event_stream(head)) {
        // Without reading the events neither failover nor a clean end could be told from a cut.
        if (coded) {
            let_go();
            co_return classify_transport(
                FailureClass::kProtocol, "a compressed stream, although identity was asked for", settings()
            );
        }
        co_return co_await judge_stream(provider);
    }
    bool is_error = head.status >= 400;
    bool immediate = settings().failover == FailoverMode::kImmediate || head_sent_;
    if (is_error && others_left_ && immediate && moves_on_whatever_it_says(head.status, provider)) {
        response_->end_by(steady_now() + kErrorBodyWait);
    }
    bool until_close = head.framing == wire::Framing::kUntilClose;
    std::size_t held_max = is_error ? kHeldErrorMax : kHeldJsonMax;
    if (!is_error && until_close) held_max = UpstreamResponse::kBodyHeldMax;
    ReadStatus status = co_await hold_body(held_max);
    if (status.kind == ReadStatus::Kind::kFailed && !is_error) {
        let_go();
        co_return classify_transport(status.failure, std::move(status.detail), settings());
    }
    std::string_view body = response_->body();
    if (is_error) {
        // Nobody here reads compressed words: the status says what it can.
        std::string_view words = coded ? std::string_view() : body;
        wire::LocalError told = read_error(provider, head.status, words);
        Verdict verdict = classify_status(head, words, told, provider, settings(), unix_now(), client_keys());
        // An error that was cut cannot be passed on as it is; the verdict stands, the words are ours.
        if (status.kind == ReadStatus::Kind::kFailed) {
            if (verdict.failure == FailureClass::kClient) refusal_ = cut_refusal(provider, head.status);
            let_go();
        }
        co_return verdict;
    }
    if (response_->complete() && ended_without_saying_so()) {
        auto words = fmt::format("the answer ended after {} bytes, before its JSON did", body.size());
        let_go();
        co_return classify_transport(FailureClass::kBrokenStream, std::move(words), settings());
    }
    if (response_->complete() && !coded) {
        if (!looks_like_json(body)) {
            Verdict verdict = classify_plain_body(body, settings());
            if (verdict.failure != FailureClass::kNone) co_return verdict;
        } else if (wire::is_error_object(body)) {
            wire::LocalError told = read_error(provider, head.status, body);
            co_return classify_error_object(body, told, provider, settings(), client_keys());
        }
    }
    // Pings have promised a stream: somebody else may have one.
    if (head_sent_) {
        let_go();
        co_return classify_transport(FailureClass::kProtocol, "not the stream that was asked for", settings());
    }
    co_return Verdict{};
}

// The next whole event of `bytes`, with its kind in the client's format.
std::optional<wire::SseEvent> Exchange::next_event(wire::SseSplitter& events, std::string_view bytes) {
    std::optional<wire::SseEvent> event = events.next(bytes);
    if (event && format_ == wire::Format::kOpenai) {
        event->kind = wire::convert::openai_event_kind(worker_.json_reader, *event, chunk_);
    }
    return event;
}

// What the provider says is wrong, in Anthropic's terms. Keeps it for the client when its bytes are not in the client's format.
wire::LocalError Exchange::read_error(const Provider& provider, unsigned status, std::string_view body) {
    wire::Format spoken = wire::format_of(provider);
    // A filter has put it into Anthropic's shape.
    bool openai = spoken == wire::Format::kOpenai && !response_->filtered();
    wire::LocalError error = openai ? wire::convert::error_to_anthropic(worker_.json_reader, status, body)
                                    : wire::anthropic_error(status, body);
    bool other_mode = format_ == wire::Format::kOpenai && response_->filtered();
    if (spoken != format_ || other_mode) told_ = error;
    return error;
}

// Whether a stream is collected at the provider's pace and shown when it is whole: auto does as the original meant it.
bool Exchange::is_held_back(const Provider& provider) const {
    if (!fields_.stream) return false;
    if (provider.streaming_mode != StreamingMode::kAuto) return provider.streaming_mode == StreamingMode::kBackground;
    return provider.type == ProviderType::kOpenai;
}

// What is held of the answer counts as bodies do, until it goes on.
void Exchange::count_held_back(std::uint64_t bytes) {
    if (bytes == held_back_) return;
    worker_.body_memory = worker_.body_memory - held_back_ + bytes;
    held_back_ = bytes;
    worker_.metrics.body_memory.set(worker_.body_memory);
}

bool Exchange::has_room_to_hold() {
    std::uint64_t left = memory_left();
    worker_.calls.make_room(left);
    return left > 0 && worker_.calls.chunk_bytes() <= left;
}

Verdict Exchange::judge_error_event(const Provider& provider, std::string_view data) {
    FailureClass fault = response_->stream_fault();
    if (fault != FailureClass::kNone) {
        // In place of a break behind the first content, which has not been shown.
        std::string why = wire::anthropic_error(200, data).message;
        let_go();
        return classify_transport(fault, std::move(why), settings());
    }
    wire::LocalError told = read_error(provider, response_->head().status, data);
    return classify_error_object(data, told, provider, settings(), client_keys());
}

// Reads on until the first content event: until then the stream can still be exchanged for another one. In background mode
// until its end, or until there is too much of it to be held.
net::awaitable<Verdict> Exchange::judge_stream(const Provider& provider) {
    bool holds = is_held_back(provider);
    bool said = false;
    bool finished = false;  // a clean end of the body would be the answer's
    wire::SseSplitter events;
    std::size_t scanned = 0;
    // Pings are a sign of life, but no answer: they do not put off the failover for ever.
    const Timeouts& limits = timeouts(provider);
    Milliseconds patience = std::max(limits.first_byte, limits.idle);
    bool limited = limits.first_byte.count() > 0 && limits.idle.count() > 0;
    SteadyTime content_due = limited ? steady_now() + patience : SweepEntry::kNever;
    response_->content_by(content_due);
    for (;;) {
        while (auto event = next_event(events, response_->body().substr(scanned))) {
            if (event->kind == wire::SseKind::kError) co_return judge_error_event(provider, event->data);
            if (event->kind == wire::SseKind::kMessageStop && format_ == wire::Format::kOpenai && !said) {
                let_go();
                co_return classify_transport(FailureClass::kProtocol, "the stream ended without an answer", settings());
            }
            if (says_something(event->kind)) {
                response_->content_by(SweepEntry::kNever);
                said = true;
                if (!holds || event->kind == wire::SseKind::kMessageStop) co_return Verdict{};
            }
            finished = finished || event->kind == wire::SseKind::kFinish;
            scanned += event->size;
        }
        if (holds && said) {
            count_held_back(response_->body().size());
            if (held_back_ >= provider.background_bytes || !has_room_to_hold()) co_return Verdict{};
        }
        ReadStatus status = co_await response_->read_more();
        if (status.kind == ReadStatus::Kind::kData) continue;
        if (status.kind == ReadStatus::Kind::kEnd && finished) co_return Verdict{};
        let_go();
        if (status.kind == ReadStatus::Kind::kEnd) {
            status.failure = FailureClass::kBrokenStream;
            status.detail = said ? "the stream ended before the message did" : "the stream ended before any content";
        } else if (status.failure == FailureClass::kTimeout && steady_now() >= content_due) {
            status.detail = fmt::format("timeout: no content within {} s, only signs of life", patience.count() / 1000);
        }
        co_return classify_transport(status.failure, std::move(status.detail), settings());
    }
}

}  // namespace balancer::dataplane
