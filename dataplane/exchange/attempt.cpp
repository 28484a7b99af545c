// Candidates in turn: connect, send, read the head, judge; then relay, or the next one.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "base/ascii.hpp"
#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::dataplane {
namespace {

constexpr Milliseconds kPermitPoll{20};
constexpr Milliseconds kEarlyAnswerPoll{250};

}  // namespace

net::awaitable<void> Exchange::try_candidates(const Plan& plan) {
    SteadyTime now = worker_.sweep.now();
    worker_.retry_budget.request(now);
    co_await simulate_delay();
    for (std::size_t i = 0; i < plan.candidates.size() && !client_gone_; ++i) {
        const Candidate& candidate = plan.candidates[i];
        const Provider& provider = *candidate.provider;
        bool last = i + 1 == plan.candidates.size();
        bool permitted = co_await take_permit(plan, candidate, last && attempts_ == 0);
        if (client_gone_) break;
        if (!permitted) continue;
        if (attempts_ > 0) {
            double min_per_s = static_cast<double>(settings().retry_budget_min_per_s) /
                               worker_.process.workers;
            if (!worker_.retry_budget.take(steady_now(), settings().retry_budget_percent, min_per_s)) {
                worker_.metrics.retries_denied.add();
                record_.outcome = Outcome::kRetryBudget;
                break;
            }
            worker_.metrics.retries.add();
        }
        ++attempts_;
        attempt_began_ = unix_now();
        Verdict verdict = co_await attempt(candidate);
        if (client_gone_) break;
        if (verdict.failure == FailureClass::kNone) {
            keep_session(provider);
            good_so_far_ = true;
            co_await relay(candidate);
            // Only now: a provider that begins every answer well and breaks it is not in good health.
            if (good_so_far_) note(provider, verdict);
            co_return;
        }
        note(provider, verdict);
        if (!moves_on(verdict, provider)) {
            // The original's way: the client's retry goes to the same provider.
            if (verdict.try_next) keep_session(provider);
            if (response_) co_return co_await relay(candidate);
            break;
        }
        if (!last) worker_.metrics.provider(provider.slot).failovers.add();
    }
    if (client_gone_) {
        record_.outcome = Outcome::kDownstreamDisconnect;
        co_return;
    }
    co_await give_up(plan);
}

// A place under the provider's limit, if it has one. Only the last hope waits for one (timeouts.pool).
net::awaitable<bool> Exchange::take_permit(const Plan& plan, const Candidate& candidate, bool wait) {
    const Provider& provider = *candidate.provider;
    if (permit_ != nullptr) {
        worker_.process.in_flight.give_back(permit_->slot);
        permit_ = nullptr;
    }
    std::uint32_t limit = provider.max_concurrency;
    if (plan.panic) limit = limit == 0 ? settings().panic_concurrency
                                       : std::min(limit, settings().panic_concurrency);
    if (limit == 0) co_return true;
    SteadyTime until = steady_now() + timeouts(provider).pool;
    for (;;) {
        if (worker_.process.in_flight.take(provider.slot, limit)) {
            permit_ = &provider;
            co_return true;
        }
        if (!wait || plan.panic || client_gone_ || steady_now() >= until) break;
        net::steady_timer timer(worker_.context, kPermitPoll);
        co_await timer.async_wait(kNoThrow);
    }
    record_.failed_attempts.push_back(
        {provider.name, FailureClass::kNone, 0, fmt::format("{} requests in flight already", limit)}
    );
    co_return false;
}

net::awaitable<ConnectFailure> Exchange::connect(
    const Provider& provider, PooledConnection& connection
) {
    connection.stream = std::make_unique<UpstreamStream>(worker_.context, worker_.sweep);
    connection.made_at = steady_now();
    connection.reused = false;
    active_ = connection.stream.get();
    ConnectFailure failed =
        co_await worker_.connector.connect(*connection.stream, provider, timeouts(provider).connect);
    active_ = nullptr;
    worker_.metrics.pool_made.add();
    co_return failed;
}

// Sends the request and reads the answer's head into response_.
net::awaitable<ReadStatus> Exchange::ask(PooledConnection connection, const Provider& provider) {
    std::string replacement;
    std::vector<std::string_view> pieces =
        wire::splice_body(body_.view(), fields_, record_.upstream_model, replacement);
    std::uint64_t length = 0;
    for (std::string_view piece : pieces) length += piece.size();
    std::string head;
    wire::append_upstream_head(head, {head_, provider, length, balancer_key_});
    std::vector<net::const_buffer> buffers;
    buffers.reserve(pieces.size() + 1);
    buffers.emplace_back(head.data(), head.size());
    for (std::string_view piece : pieces) buffers.emplace_back(piece.data(), piece.size());

    const Timeouts& limits = timeouts(provider);
    ReadTimes times;
    times.first_byte = limits.first_byte;
    times.idle = limits.idle;
    if (limits.total.count() > 0) times.total = steady_now() + limits.total;
    response_ = std::make_unique<UpstreamResponse>(std::move(connection), worker_.buffers, times);
    UpstreamStream& stream = response_->stream();
    active_ = &stream;
    if (limits.idle.count() > 0) stream.set_deadline(std::min(times.total, steady_now() + limits.idle));
    // A provider may answer (413, say) and stop reading before it has everything: its answer counts, not our write.
    SweepEntry early_answer(worker_.sweep, [&stream, &early_answer] {
        if (!stream.stop_writing_if_answered()) early_answer.arm(steady_now() + kEarlyAnswerPoll);
    });
    early_answer.arm(steady_now() + kEarlyAnswerPoll);
    ErrorCode unsent = co_await stream.write(buffers);
    early_answer.disarm();
    if (unsent) response_->spoil();
    if (stream.aborted()) {
        co_return ReadStatus{
            ReadStatus::Kind::kFailed,
            stream.timed_out() ? FailureClass::kTimeout : FailureClass::kConnect,
            "timeout while sending the request",
        };
    }
    co_return co_await response_->read_head();
}

net::awaitable<Verdict> Exchange::attempt(const Candidate& candidate) {
    const Provider& provider = *candidate.provider;
    record_.provider = provider.name;
    record_.upstream_model = std::string(candidate.model);
    response_.reset();
    SteadyTime asked = steady_now();
    ReadStatus status;
    PooledConnection connection = worker_.pool.take(provider, asked);
    bool pooled = connection.stream != nullptr;
    if (pooled) {
        worker_.metrics.pool_reused.add();
        status = co_await ask(std::move(connection), provider);
    }
    // A pooled connection that turns out dead before a byte of an answer counts against nobody.
    bool dead = pooled && status.kind == ReadStatus::Kind::kFailed && !response_->saw_bytes() &&
                status.failure != FailureClass::kTimeout;
    if ((!pooled || dead) && !client_gone_) {
        active_ = nullptr;
        response_.reset();
        PooledConnection fresh;
        ConnectFailure failed = co_await connect(provider, fresh);
        if (failed.failure != FailureClass::kNone) {
            co_return classify_transport(failed.failure, std::move(failed.detail), settings());
        }
        status = co_await ask(std::move(fresh), provider);
    }
    Verdict verdict;
    if (status.kind == ReadStatus::Kind::kFailed) {
        active_ = nullptr;
        response_.reset();
        co_return classify_transport(status.failure, std::move(status.detail), settings());
    }
    worker_.metrics.provider(provider.slot)
        .first_byte.observe(static_cast<std::uint64_t>(elapsed_ms(asked, steady_now())));
    verdict = co_await judge(provider);
    co_return verdict;
}

bool Exchange::moves_on(const Verdict& verdict, const Provider& provider) const {
    if (!verdict.try_next) return false;
    if (settings().failover == FailoverMode::kImmediate || head_sent_) return true;
    // The original's way: only the failure that benches the provider moves on.
    const ProviderCondition* condition = health_->find(provider.slot);
    unsigned count = condition == nullptr ? 0 : condition->failure_count;
    return verdict.counted && count + 1 >= settings().health.unhealthy_threshold;
}

void Exchange::keep_session(const Provider& provider) {
    // A pinned request says nothing about where its session belongs, and counting tokens leaves no prompt cache.
    if (fields_.provider || operation_ == Operation::kCountTokens) return;
    worker_.process.sticky.put(session_.key, StickyTable::provider_hash(provider.name), record_.at);
}

// Counts how the attempt ended, and tells the control thread what health must know.
void Exchange::note(const Provider& provider, const Verdict& verdict) {
    worker_.metrics.provider(provider.slot)
        .attempts[static_cast<std::size_t>(verdict.failure)]
        .add();
    bool good = verdict.failure == FailureClass::kNone;
    if (!good) {
        record_.failed_attempts.push_back(
            {provider.name, verdict.failure, verdict.http_status, verdict.detail}
        );
    }
    // Counting tokens says nothing about the health of inference, and an answer that its client left nothing at all.
    if (operation_ == Operation::kCountTokens || client_gone_) return;
    const ProviderCondition* condition = worker_.health->find(provider.slot);
    bool news = good ? condition != nullptr && condition->watch_success
                     : verdict.counted || verdict.retry_at > 0;
    if (!news) return;
    worker_.process.report(AttemptOutcome{
        provider.name,
        provider.etag,
        record_.upstream_model.empty() ? record_.model : record_.upstream_model,
        record_.request_id,
        good,
        verdict.failure,
        verdict.counted,
        verdict.http_status,
        attempt_began_,
        unix_now(),
        verdict.retry_at,
        verdict.detail,
    });
}

// settings.testing: a sleep before the upstream call, for requests that hold one of the words.
net::awaitable<void> Exchange::simulate_delay() {
    if (!settings().simulate_delay) co_return;
    const std::vector<std::string>& words = settings().delay_trigger_keywords;
    if (!words.empty()) {
        std::string text = to_lower(body_.view());
        bool found = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
            return text.find(word) != std::string::npos;
        });
        if (!found) co_return;
    }
    SteadyTime until = steady_now() + settings().delay;
    while (steady_now() < until && !client_gone_) {
        net::steady_timer timer(worker_.context);
        timer.expires_at(std::min(until, steady_now() + Milliseconds(100)));
        co_await timer.async_wait(kNoThrow);
    }
}

}  // namespace balancer::dataplane
