// Answers of our own, pings while a stream is silent, and the words for a request that nobody could serve.
#include <fmt/format.h>

#include <algorithm>

#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/chunked.hpp"
#include "dataplane/wire/downstream_head.hpp"

namespace balancer::dataplane {

using wire::Framing;

LocalFailure refusal(unsigned status, std::string type, std::string message) {
    wire::LocalError error;
    error.status = status;
    error.type = std::move(type);
    error.message = std::move(message);
    error.retry = false;
    return {Outcome::kBadRequest, std::move(error)};
}

LocalFailure overloaded(unsigned status, std::string code, std::string message) {
    wire::LocalError error;
    error.status = status;
    error.type = "overloaded_error";
    error.code = std::move(code);
    error.message = std::move(message);
    error.retry_after_seconds = 2;
    return {Outcome::kOverloaded, std::move(error)};
}

wire::OwnHeaders Exchange::own_headers() const {
    return {record_.request_id, record_.provider, wants_close(), record_.coalesced_with};
}

net::awaitable<void> Exchange::reply(
    unsigned status,
    std::string_view content_type,
    std::string_view body,
    std::string_view more_lines
) {
    record_.status = status;
    std::string out;
    wire::append_local_head(
        out, status, content_type, {Framing::kLength, body.size()}, {record_.request_id, {}, wants_close()}
    );
    out.insert(out.size() - 2, more_lines);
    if (head_.method != "HEAD") out.append(body);
    head_sent_ = true;
    ErrorCode failed = co_await client_.write(out);
    if (failed) client_gone_ = true;
}

net::awaitable<void> Exchange::fail(LocalFailure failure) {
    record_.outcome = failure.outcome;
    said_ = failure.error.message;
    end_call_with(failure.error);
    if (failure.outcome == Outcome::kNoHealthyUpstream || failure.outcome == Outcome::kRetryBudget) {
        log_failure(failure.error.message);
    }
    if (head_sent_) {
        if (failure.error.retry) failure.error.type = wire::kSendAgain;
        co_return co_await end_with(wire::error_event(format_, failure.error, record_.request_id));
    }
    if (client_gone_) co_return;
    record_.status = wire::status_of(format_, failure.error);
    record_.provider.clear();
    std::string out = wire::error_reply(
        format_,
        failure.error,
        {record_.request_id, {}, wants_close(), record_.coalesced_with},
        head_.method == "HEAD"
    );
    head_sent_ = true;
    ErrorCode failed = co_await client_.write(out);
    if (failed) client_gone_ = true;
}

// The status is gone: pings have been sent. A well-formed error event, and a clean end behind it.
net::awaitable<void> Exchange::end_with(std::string event) {
    if (client_gone_) co_return;
    if (chunked_out_) event = fmt::format("{:x}\r\n{}\r\n{}", event.size(), event, wire::kLastChunk);
    close_after_ = close_after_ || !chunked_out_;
    ErrorCode failed = co_await client_.write(event);
    if (failed) client_gone_ = true;
}

// What an operator must see without searching the access log: requests that failed for want of a provider.
void Exchange::log_failure(std::string_view why) {
    std::optional<std::uint64_t> left_out = worker_.failures_logged.take(steady_now());
    if (!left_out) return;
    worker_.process.log.emit(
        LogLevel::kWarning,
        LogEvent::kRequestFailed,
        why,
        {{"request_id", record_.request_id}, {"model", record_.model}, {"more_left_out", *left_out}}
    );
}

LocalFailure Exchange::shutting_down() const {
    wire::LocalError error;
    error.status = 503;
    error.type = "overloaded_error";
    error.code = "SHUTTING_DOWN";
    error.message = "This data plane is stopping; send the request again.";
    error.retry_after_seconds = 1;
    return {Outcome::kShutdown, std::move(error)};
}

// Every candidate was tried. A route of one provider: its own answer, unmodified, is the best there is. Several: one sentence that names
// each, and the soonest time at which one may be back.
net::awaitable<void> Exchange::give_up(const Plan& plan) {
    if (attempts_ == 1 && response_ && plan.candidates.size() == 1 && plan.skipped.empty()) {
        co_return co_await relay(plan.candidates.front());
    }
    bool denied = record_.outcome == Outcome::kRetryBudget;
    wire::LocalError error;
    error.status = 503;
    error.type = "provider_error";
    error.code = denied ? "RETRY_BUDGET" : "PROVIDER_UNAVAILABLE";
    error.attempts = record_.failed_attempts;
    UnixMs now = unix_now();
    UnixMs soonest = 0;  // now, when a provider that is not benched has failed: the next try may do
    bool benched_all = true;
    auto consider = [&](const Provider& provider, std::string_view model) {
        UnixMs until = worker_.health->benched_until(provider.slot, model_sent(model));
        const WindowHold* hold = provider.credential ? provider.credential->held(model_sent(model), now) : nullptr;
        if (hold != nullptr) until = std::max(until, hold->until);
        // What this very request was told has not come back from the control thread yet.
        for (const wire::AttemptNote& note : record_.failed_attempts) {
            if (note.provider == provider.name) until = std::max(until, note.retry_at);
        }
        benched_all = benched_all && until > now;
        if (until > now && (soonest == 0 || until < soonest)) soonest = until;
    };
    for (const Candidate& candidate : plan.candidates) consider(*candidate.provider, candidate.model);
    for (const SkippedCandidate& skipped : plan.skipped) consider(*skipped.provider, skipped.model);
    error.retry_after_seconds = benched_all && soonest > now ? (soonest - now + 999) / 1000 : 1;
    std::string words;
    for (const wire::AttemptNote& note : record_.failed_attempts) {
        words += fmt::format("{}{}:", words.empty() ? "" : "; ", note.provider);
        if (note.failure != FailureClass::kNone) words += fmt::format(" {}", name_of(note.failure));
        if (note.http_status != 0) words += fmt::format(" ({})", note.http_status);
        if (!note.detail.empty()) words += " " + note.detail;
    }
    error.provider = record_.failed_attempts.empty() ? std::string()
                                                     : record_.failed_attempts.back().provider;
    error.message = fmt::format(
        "{} {}",
        denied ? "The retry budget forbids another attempt after"
               : "All configured providers for model '" + record_.model + "' failed:",
        words
    );
    co_await fail({denied ? Outcome::kRetryBudget : Outcome::kNoHealthyUpstream, std::move(error)});
}

// Called when the client of a stream may have heard nothing for ping_interval.
void Exchange::on_silence() {
    Milliseconds interval = settings().ping_interval;
    if (interval.count() <= 0 || client_gone_) return;
    SteadyTime since = std::max(client_.last_write(), began_);
    if (client_.writing() || steady_now() - since < interval) {
        silence_.arm(std::max(since + interval, steady_now() + Milliseconds(100)));
        return;
    }
    std::string out;
    if (!head_sent_) {
        // The status is given away, the answer is not: until content arrives, failover still works.
        chunked_out_ = !head_.http_1_0;
        close_after_ = close_after_ || !chunked_out_;
        wire::BodyFraming framing{chunked_out_ ? Framing::kChunked : Framing::kUntilClose, 0};
        wire::append_local_head(
            out, 200, "text/event-stream; charset=utf-8", framing, {record_.request_id, {}, wants_close()}
        );
        head_sent_ = true;
        record_.status = 200;
    }
    std::string_view ping = wire::ping_of(format_);
    if (chunked_out_) {
        fmt::format_to(std::back_inserter(out), "{:x}\r\n{}\r\n", ping.size(), ping);
    } else {
        out.append(ping);
    }
    client_.write_behind({std::move(out)});
    worker_.metrics.pings_sent.add();
    silence_.arm(steady_now() + interval);
}

}  // namespace balancer::dataplane
