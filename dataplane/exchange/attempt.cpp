// Candidates in turn: connect, send, read the head, judge; then relay, or the next one.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "base/ascii.hpp"
#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/exchange/probe_hold.hpp"
#include "dataplane/upstream/early_head.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::dataplane {
namespace {

constexpr Milliseconds kPermitPoll{20};
// A pooled connection that ends so soon behind the request was dead before it; later, somebody may be at work on the request.
constexpr std::chrono::seconds kDeadWithin{1};
// For a provider's count of tokens, where one of our own does as well.
constexpr std::chrono::seconds kCountPatience{10};

}  // namespace

net::awaitable<void> Exchange::try_candidates(const Plan& plan) {
    SteadyTime now = worker_.sweep.now();
    // A count costs its provider next to nothing: it neither takes from the budget nor adds to it.
    if (is_inference()) worker_.retry_budget.request(now);
    co_await simulate_delay();
    const tokens::Encoding* counts_here =
        operation_ == Operation::kCountTokens ? local_encoding(plan) : nullptr;
    // The best of those that could take the request, but were busy. It gets a second turn when nobody behind it can.
    const Candidate* busy = nullptr;
    std::size_t rounds = plan.candidates.size();
    for (std::size_t i = 0; i < rounds && !over(); ++i) {
        bool again = i == plan.candidates.size();
        const Candidate& candidate = again ? *busy : plan.candidates[i];
        const Provider& provider = *candidate.provider;
        bool last = i + 1 == rounds;
        others_left_ = !last;
        be_at(nullptr);
        auto place = static_cast<std::size_t>(&candidate - plan.candidates.data());
        turns_.push_back({place, CandidateFate::kPassedOver, record_.failed_attempts.size()});
        bool only_hope = last && attempts_ == 0 && counts_here == nullptr;
        if (!prepare(candidate)) {
            if (only_hope && !again && busy != nullptr) ++rounds;
            continue;
        }
        bool permitted = co_await take_permit(plan, candidate, only_hope);
        if (over()) break;
        if (!permitted) {
            if (busy == nullptr) busy = &candidate;
            continue;
        }
        ProbeHold probe(candidate.probe);
        // Half-open, and another request tries it already. The last hope goes there all the same.
        bool refused = candidate.probe != nullptr && !probe.held() && !plan.panic && !fields_.provider;
        if (refused && !(last && attempts_ == 0)) {
            turns_.back().why = "half-open, and another request is trying it";
            if (busy == nullptr) busy = &candidate;
            continue;
        }
        if (attempts_ > 0) {
            double min_per_s = static_cast<double>(settings().retry_budget_min_per_s) /
                               worker_.process.workers;
            bool allowed = !is_inference() ||
                           worker_.retry_budget.take(steady_now(), settings().retry_budget_percent, min_per_s);
            if (!allowed) {
                worker_.metrics.retries_denied.add();
                record_.outcome = Outcome::kRetryBudget;
                turns_.back().why = "the retry budget allows no further attempt";
                break;
            }
            worker_.metrics.retries.add();
        }
        be_at(&provider);
        ++attempts_;
        attempt_began_ = unix_now();
        turns_.back().fate = CandidateFate::kUnderWay;
        turns_.back().probe = probe.held();
        turns_.back().times.began = elapsed_ms(began_, steady_now());
        Verdict verdict = co_await attempt(candidate);
        if (deserted()) {
            end_turn(CandidateFate::kBrokenOff);
            break;
        }
        // This machine's own shortage is no verdict.
        bool ours = verdict.local_origin && !verdict.counted;
        const ProbeTicket* probing = ours ? nullptr : probe.settle();
        if (verdict.failure == FailureClass::kNone) {
            keep_session(provider);
            // A probe has its answer at the commit: a long stream must not keep the others waiting for it.
            if (probing != nullptr) report(provider, verdict, true, probing);
            good_so_far_ = true;
            co_await relay(candidate);
            // Only now: a provider that begins every answer well and breaks it is not in good health.
            if (good_so_far_) note(provider, verdict);
            co_return;
        }
        if (ending_) break;
        note(provider, verdict, probing);
        if (!moves_on(verdict, candidate)) {
            // The original's way: the client's retry goes to the same provider.
            if (verdict.try_next) keep_session(provider);
            if (response_) co_return co_await relay(candidate);
            break;
        }
        if (!last) worker_.metrics.provider(provider.slot).failovers.add();
    }
    if (deserted()) {
        record_.outcome = Outcome::kDownstreamDisconnect;
        co_return;
    }
    if (ending_) co_return co_await fail(shutting_down());
    if (counts_here != nullptr) co_return co_await count_locally(*counts_here);
    if (refusal_) co_return co_await fail(*std::move(refusal_));
    if (attempts_ == 0 && not_taken_ && busy == nullptr) co_return co_await refuse(plan);
    co_await give_up(plan);
}

// Nobody here can take the request. That is its own fault only if no benched provider could.
net::awaitable<void> Exchange::refuse(const Plan& plan) {
    LocalFailure failure = *std::exchange(not_taken_, std::nullopt);
    if (is_inference()) {
        bool comes_back = std::any_of(plan.skipped.begin(), plan.skipped.end(), [this](const SkippedCandidate& skipped) {
            return prepare({skipped.provider, skipped.model});
        });
        if (comes_back) failure = no_candidate(plan);
    }
    co_await fail(std::move(failure));
}

// Which provider has this request now; null: none.
void Exchange::be_at(const Provider* provider) {
    if (at_ != nullptr) worker_.metrics.provider(at_->slot).attempts_in_flight.sub();
    at_ = provider;
    if (at_ != nullptr) worker_.metrics.provider(at_->slot).attempts_in_flight.add();
}

// A place under the provider's limit, if it has one. Only the last hope waits for one (timeouts.pool).
net::awaitable<bool> Exchange::take_permit(const Plan& plan, const Candidate& candidate, bool wait) {
    const Provider& provider = *candidate.provider;
    give_permit_back();
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
        if (!wait || plan.panic || over() || steady_now() >= until) break;
        net::steady_timer timer(worker_.context, kPermitPoll);
        co_await timer.async_wait(kNoThrow);
    }
    record_.failed_attempts.push_back(
        {provider.name, FailureClass::kNone, 0, fmt::format("{} requests in flight already", limit)}
    );
    co_return false;
}

void Exchange::give_permit_back() {
    if (permit_ != nullptr) worker_.process.in_flight.give_back(permit_->slot);
    permit_ = nullptr;
}

net::awaitable<ConnectFailure> Exchange::connect(
    const Provider& provider, PooledConnection& connection
) {
    connection.stream = std::make_unique<UpstreamStream>(worker_.context, worker_.sweep);
    connection.made_at = steady_now();
    active_ = connection.stream.get();
    ConnectFailure failed =
        co_await worker_.connector.connect(*connection.stream, provider, patience(timeouts(provider).connect));
    active_ = nullptr;
    turns_.back().times.connect = elapsed_ms(connection.made_at, steady_now());
    if (failed.failure == FailureClass::kNone) worker_.metrics.pool_made.add();
    co_return failed;
}

// Sends the request and reads the answer's head into response_.
net::awaitable<Exchange::Asked> Exchange::ask(PooledConnection connection, const Provider& provider) {
    std::string head;
    wire::append_upstream_head(head, {head_, provider, outgoing_.size(), balancer_keys_, fields_.stream, format_});
    std::vector<net::const_buffer> buffers;
    buffers.reserve(outgoing_.pieces.size() + 1);
    buffers.emplace_back(head.data(), head.size());
    for (std::string_view piece : outgoing_.pieces) buffers.emplace_back(piece.data(), piece.size());

    const Timeouts& limits = timeouts(provider);
    ReadTimes times;
    times.first_byte = patience(limits.first_byte);
    times.idle = limits.idle;
    if (limits.total.count() > 0) times.total = steady_now() + limits.total;
    response_ = std::make_unique<UpstreamResponse>(std::move(connection), worker_.buffers, times);
    response_->filter_through(answer_filter(provider));
    asked_ = &provider;
    UpstreamStream& stream = response_->stream();
    active_ = &stream;
    EarlyHead early(worker_.context, worker_.sweep, worker_.tasks, *response_);
    ErrorCode unsent = co_await stream.write(buffers, times.total, times.idle);
    SteadyTime written = steady_now();
    if (unsent) response_->spoil();
    bool timed_out = stream.timed_out();
    Asked asked;
    asked.status = co_await early.finish();
    if (asked.status.kind != ReadStatus::Kind::kFailed) co_return asked;
    if (timed_out) asked.status.detail = "timeout while sending the request";
    asked.dead = !response_->saw_bytes() && !stream.timed_out() &&
                 (unsent || steady_now() - written < kDeadWithin);
    co_return asked;
}

// Done with the answer in hand. Its connection goes back to the pool if it can carry another request.
void Exchange::let_go() {
    active_ = nullptr;
    count_held_back(0);
    if (response_ && response_->reusable()) {
        worker_.pool.give_back(*asked_, response_->take_connection(), steady_now());
    }
    response_.reset();
}

net::awaitable<Verdict> Exchange::attempt(const Candidate& candidate) {
    const Provider& provider = *candidate.provider;
    record_.provider = provider.name;
    record_.upstream_model = std::string(candidate.model);
    told_.reset();
    account_use_ = {};
    let_go();
    Asked asked;
    SteadyTime began = steady_now();
    PooledConnection connection = worker_.pool.take(provider, began);
    bool pooled = connection.stream != nullptr;
    turns_.back().pooled = pooled;
    if (pooled) {
        worker_.metrics.pool_reused.add();
        asked = co_await ask(std::move(connection), provider);
    }
    // A pooled connection that turns out dead counts against nobody.
    if ((!pooled || asked.dead) && !over()) {
        let_go();
        turns_.back().pooled = false;
        PooledConnection fresh;
        ConnectFailure failed = co_await connect(provider, fresh);
        if (failed.failure != FailureClass::kNone) {
            Verdict verdict = classify_transport(failed.failure, std::move(failed.detail), settings());
            verdict.local_origin = true;
            if (failed.ours) verdict.counted = false;
            co_return verdict;
        }
        // An abort at the very end of connecting leaves a good connection behind.
        if (over()) co_return classify_transport(FailureClass::kConnect, "given up", settings());
        began = steady_now();
        asked = co_await ask(std::move(fresh), provider);
    }
    if (asked.status.kind == ReadStatus::Kind::kFailed) {
        let_go();
        co_return classify_transport(asked.status.failure, std::move(asked.status.detail), settings());
    }
    if (!is_inference()) response_->end_by(steady_now() + kCountPatience);
    std::int64_t first_byte = elapsed_ms(began, steady_now());
    turns_.back().times.first_byte = first_byte;
    worker_.metrics.provider(provider.slot).first_byte.observe(static_cast<std::uint64_t>(first_byte));
    if (!provider.account.empty()) account_use_ = read_account_use(response_->head());
    co_return co_await judge(provider);
}

// How long of `limit` (0: however long) a provider has: a count must not wait for a provider that hangs.
Milliseconds Exchange::patience(Milliseconds limit) const {
    if (operation_ != Operation::kCountTokens) return limit;
    return limit.count() > 0 ? std::min<Milliseconds>(limit, kCountPatience) : kCountPatience;
}

bool Exchange::moves_on(const Verdict& verdict, const Candidate& candidate) const {
    // Many that speak Messages do not count. What is the request's own fault would be one anywhere.
    if (operation_ == Operation::kCountTokens) {
        return verdict.try_next || (verdict.http_status != 400 && verdict.http_status != 413);
    }
    if (!verdict.try_next) return false;
    if (settings().failover == FailoverMode::kImmediate || head_sent_) return true;
    // The original's way: only the failure that benches the provider moves on.
    unsigned count = health_->failure_count(
        candidate.provider->slot, model_sent(candidate.model), verdict.failure
    );
    return verdict.counted && count + 1 >= settings().health.unhealthy_threshold;
}

void Exchange::keep_session(const Provider& provider) {
    if (!is_inference()) return;
    worker_.process.sticky.put(sticky_key(), StickyTable::provider_hash(provider.name), began_);
}

// Counts how the attempt ended, and tells the control thread what health must know.
void Exchange::note(const Provider& provider, const Verdict& verdict, const ProbeTicket* probe) {
    worker_.metrics.provider(provider.slot)
        .attempts[static_cast<std::size_t>(verdict.failure)]
        .add();
    bool good = verdict.failure == FailureClass::kNone;
    end_turn(good ? CandidateFate::kAnswered : CandidateFate::kFailed);
    if (!good) {
        turns_.back().note = record_.failed_attempts.size();
        record_.failed_attempts.push_back(
            {provider.name, verdict.failure, verdict.http_status, verdict.detail, verdict.retry_at}
        );
    }
    // An answer that its clients left says nothing.
    if (!is_inference() || deserted()) return;
    std::string_view model = model_sent(record_.upstream_model);
    bool news = good ? worker_.health->watch_success(provider.slot, model)
                     : verdict.counted || verdict.retry_at > 0;
    news = worker_.account_use.is_news(provider.slot, account_use_) || news;
    if (!news && probe == nullptr) return;
    // To a probe, an answer that finds fault with the request is as good as any.
    bool well = good || (probe != nullptr && verdict.failure == FailureClass::kClient);
    report(provider, verdict, well, probe);
}

void Exchange::report(
    const Provider& provider, const Verdict& verdict, bool good, const ProbeTicket* probe
) {
    if (verdict.failure == FailureClass::kAuth && is_replaced(provider)) return;
    worker_.process.report(AttemptOutcome{
        provider.name,
        provider.etag,
        std::string(model_sent(record_.upstream_model)),
        record_.request_id,
        good,
        good ? FailureClass::kNone : verdict.failure,
        verdict.counted,
        verdict.http_status,
        attempt_began_,
        unix_now(),
        verdict.retry_at,
        verdict.detail,
        probe == nullptr ? std::string() : probe->id(),
        probe == nullptr ? 0 : probe->epoch(),
        verdict.local_origin,
        provider.credential ? provider.credential->generation : 0,
        account_use_,
    });
}

// Its access token is not in use any more: that it is refused says nothing about the one that is.
bool Exchange::is_replaced(const Provider& provider) const {
    if (provider.account.empty() || !provider.credential) return false;
    const Provider* now = worker_.snapshot->find_provider(provider.name);
    return now != nullptr && now->credential && now->credential->generation > provider.credential->generation;
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
    while (steady_now() < until && !over()) {
        net::steady_timer timer(worker_.context);
        timer.expires_at(std::min(until, steady_now() + Milliseconds(100)));
        co_await timer.async_wait(kNoThrow);
    }
}

}  // namespace balancer::dataplane
