#include "dataplane/exchange/exchange.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/net.hpp"
#include "dataplane/wire/forwarded.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::string_view kChatPath = "/v1/chat/completions";

Operation operation_of(const wire::RequestHead& head) {
    bool post = head.method == "POST";
    bool get = head.method == "GET";
    if (head.path == "/v1/messages") return post ? Operation::kMessages : Operation::kUnknown;
    if (head.path == kChatPath) return post ? Operation::kChatCompletions : Operation::kUnknown;
    if (head.path == "/v1/messages/count_tokens" && post) return Operation::kCountTokens;
    if (head.path == "/v1/models" || head.path.starts_with("/v1/models/")) return Operation::kModels;
    bool probe = head.method == "HEAD";
    if (probe && (head.path == "/" || head.path == "/api/hello")) return Operation::kProbe;
    if (head.path == "/" && get) return Operation::kInfo;
    if (head.path == "/health" && (get || probe)) return Operation::kHealth;
    if (head.path == "/providers" || head.path.starts_with("/providers/")) return Operation::kManagement;
    if (head.path.starts_with("/oauth/") || is_login_callback(head.path)) return Operation::kManagement;
    return Operation::kUnknown;
}

}  // namespace

std::string_view name_of(Operation operation) {
    switch (operation) {
        case Operation::kMessages:
            return "messages";
        case Operation::kChatCompletions:
            return "chat_completions";
        case Operation::kCountTokens:
            return "count_tokens";
        default:
            return {};
    }
}

std::string make_request_id(WorkerState& worker) { return fmt::format("bal_{:016x}", worker.random()); }

Exchange::Exchange(
    WorkerState& worker,
    ClientStream& client,
    const wire::RequestHead& head,
    Buffer& input,
    std::size_t head_size
)
    : worker_(worker),
      client_(client),
      head_(head),
      input_(input),
      input_used_(head_size),
      operation_(operation_of(head)),
      format_(head.path == kChatPath ? wire::Format::kOpenai : wire::Format::kAnthropic),
      snapshot_(worker.snapshot),
      health_(worker.health),
      silence_(worker.sweep, [this] { on_silence(); }) {
    record_.request_id = make_request_id(worker);
    record_.at = unix_now();
    record_.remote = snapshot_ && !snapshot_->settings.trusted_proxies.empty()
                         ? wire::client_address(client.remote(), head.fields, snapshot_->settings.trusted_proxies)
                         : client.remote();
    record_.method = head.method;
    record_.path = head.path;
    record_.operation = name_of(operation_);
    record_.worker = worker.name;
    record_.snapshot_seq = snapshot_ ? snapshot_->version.seq : 0;
    body_read_ = head.framing == wire::Framing::kNone;
    worker_.metrics.in_flight.add();
}

Exchange::~Exchange() {
    release_body();
    worker_.metrics.in_flight.sub();
}

// The life of a request. Each step either goes on or ends with an answer; finish() follows on every path.
net::awaitable<void> Exchange::serve() {
    if (operation_ == Operation::kProbe) co_return co_await reply(200, "text/plain", "");
    if (!snapshot_) {
        wire::LocalError error;
        error.status = 503;
        error.type = "provider_error";
        error.code = "NOT_READY";
        error.message = "The balancer has no configuration from its control plane yet.";
        error.retry_after_seconds = 2;
        co_return co_await fail({Outcome::kNotReady, std::move(error)});
    }
    if (Refusal refused = authenticate()) co_return co_await fail(*std::move(refused));
    if (operation_ == Operation::kModels) co_return co_await serve_models();
    bool asks_provider = operation_ == Operation::kMessages || operation_ == Operation::kChatCompletions ||
                         operation_ == Operation::kCountTokens;
    if (!asks_provider) co_return co_await serve_page();
    Refusal unread = co_await read_body(settings().body_bytes);
    if (client_gone_) co_return;
    if (unread) co_return co_await fail(*std::move(unread));
    if (Refusal refused = inspect()) co_return co_await fail(*std::move(refused));

    plan_ = make_plan();
    client_.watch([this] { on_client_gone(); });
    if (plan_.candidates.empty()) {
        bool countable = operation_ == Operation::kCountTokens && !plan_.skipped.empty();
        const tokens::Encoding* encoding = countable ? local_encoding(plan_) : nullptr;
        if (encoding != nullptr) co_return co_await count_locally(*encoding);
        co_return co_await fail(no_candidate(plan_));
    }
    prefer_thinking(plan_);
    if (fields_.stream && is_inference()) silence_.arm(client_.last_write() + settings().ping_interval);
    if (co_await answered_by_another()) co_return;
    co_await try_candidates(plan_);
}

net::awaitable<Exchange::After> Exchange::run() {
    client_.set_deadline(SweepEntry::kNever);
    try {
        co_await serve();
    } catch (const std::exception& defect) {
        note_defect(defect.what());
    }
    silence_.disarm();
    active_ = nullptr;
    reader_ = nullptr;
    co_await client_.settle();
    finish();
    own_.reset();
    if (next_input_) {
        input_.swap(next_input_);
    } else {
        std::size_t rest = input_.size() - input_used_;
        std::memmove(input_.data(), input_.data() + input_used_, rest);
        input_.resize(rest);
    }
    if (client_gone_) co_return After::kClose;
    if (!body_read_) co_return After::kLinger;
    co_return wants_close() ? After::kClose : After::kKeepAlive;
}

bool Exchange::wants_close() const {
    return close_after_ || !head_.keep_alive || worker_.draining || !body_read_;
}

// A defect of ours ends this exchange and its connection; the record, the counters and the waits are seen to all the same.
void Exchange::note_defect(std::string_view what) {
    record_.outcome = Outcome::kInternalError;
    close_after_ = true;
    worker_.process.log.emit(
        LogLevel::kError, LogEvent::kTaskFailed, what, {{"request_id", record_.request_id}}
    );
    active_ = nullptr;  // it may have been a local of what has just been unwound
    if (response_) response_->stream().abort();
    client_.close();
}

void Exchange::end_early() {
    ending_ = true;
    if (active_ != nullptr) active_->abort();
    if (reader_ != nullptr) reader_->stop();
}

const Timeouts& Exchange::timeouts(const Provider& provider) const {
    return fields_.stream ? provider.streaming_timeouts : provider.non_streaming_timeouts;
}

}  // namespace balancer::dataplane
