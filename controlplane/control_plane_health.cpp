// What data planes report, and what follows from it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "controlplane/config/find_provider.hpp"
#include "controlplane/control_plane.hpp"
#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

// How often the fleet is judged when no circuit asks for it sooner.
constexpr Milliseconds kTick{1'000};

// Between two publications of health that nobody asked for: in an outage each report has news, and
// each version goes to every data plane.
constexpr Milliseconds kHealthGap{50};

}  // namespace

void ControlPlane::on_report(
    const std::string& dp_id, const std::string& instance_id, const v1::ReportRequest& report
) {
    UnixMs at = now();
    bool changed = follow_members() || clock_set_;
    for (const v1::Signal& signal : report.signals()) {
        ++tally_.signals_received;
        const v1::Provider* provider = find_provider(published_, signal.provider());
        if (provider == nullptr || provider->etag() != signal.etag()) {
            ++tally_.signals_ignored;
            continue;
        }
        // A copy: news of an account are published, which makes the providers anew.
        const std::string account = provider->account();
        if (!account.empty() && !take_account_news(dp_id, account, signal)) {
            ++tally_.signals_ignored;
            continue;
        }
        if (!signal.ok()) {
            log_.emit(
                LogLevel::kDebug,
                LogEvent::kProviderFailure,
                signal.detail(),
                {{"provider", signal.provider()},
                 {"class", name_of(to_outcome(signal).failure)},
                 {"status", signal.http_status()},
                 {"data_plane", dp_id},
                 {"request_id", signal.request_id()}}
            );
        }
        if (merger_.signal(dp_id, signal, at)) changed = true;
    }
    merger_.counters(dp_id, instance_id, report.counters(), at);
    note_uses(dp_id, report);
    if (changed) publish_health_soon(fmt::format("report of {}", dp_id));
}

// Reports come by the hundred, data planes seldom.
bool ControlPlane::follow_members() {
    const std::uint64_t revision = publisher_.members_revision();
    if (std::exchange(members_revision_, revision) == revision) return false;
    return merger_.set_members(publisher_.members());
}

void ControlPlane::publish_health_soon(const std::string& cause) {
    if (stopped_ || health_waits_) return;
    SteadyTime at = health_published_at_ + kHealthGap;
    if (health_published_at_ == SteadyTime{} || steady_now() >= at) {
        publish_health(cause);
        return;
    }
    arm_ticker();
    health_waits_ = true;
    health_timer_.expires_at(at);
    health_timer_.async_wait([this, cause](ErrorCode ec) {
        if (!ec) publish_health(cause);
    });
}

// When accounts were used, whatever their answers told.
void ControlPlane::note_uses(const std::string& dp_id, const v1::ReportRequest& report) {
    for (const v1::Counters& counters : report.counters()) {
        const v1::Provider* provider = find_provider(published_, counters.provider());
        if (provider == nullptr || custody_.find(provider->account()) == nullptr) continue;
        UnixMs& used_at = account_used_at_[provider->account()];
        used_at = std::max(used_at, merger_.last_use(dp_id, counters.provider()));
    }
}

// What an answer says about the account. False: it is about an access token that is not in use any more.
bool ControlPlane::take_account_news(const std::string& dp_id, const std::string& name, const v1::Signal& signal) {
    // A fault of one data plane, or of its way out, is no word of the provider, and no reason to spend a refresh token.
    const bool weighs = merger_.weighs(dp_id);
    if (weighs && signal.has_account_use()) custody_.used(name, to_outcome(signal).account_use, signal.model());
    const Account* account = custody_.find(name);
    if (account == nullptr) return true;
    if (signal.ok() || signal.failure() != v1::FAILURE_CLASS_AUTH) return true;
    // Without a generation it is of a build that knows no accounts, and says nothing of this one's token.
    if (signal.credential_generation() < account->generation) return false;
    // A 403 is about what the account may do: another token would be told the same.
    if (weighs && signal.http_status() == 401) custody_.unauthorized(name, signal.credential_generation());
    return true;
}

void ControlPlane::publish_health(const std::string& cause) {
    if (std::exchange(health_waits_, false)) health_timer_.cancel();
    health_published_at_ = steady_now();
    clock_set_ = false;
    log_circuits();
    hold_custody_.keep(merger_.holds());
    publisher_.publish_health(merger_.section(), cause);
    arm_ticker();
}

// The wall clock, with everything that the merger keeps moved along when it has been set.
UnixMs ControlPlane::now() {
    ClockReading reading = read_clocks();
    Milliseconds step = clock_.look(reading);
    if (step.count() == 0) return reading.wall;
    merger_.shift(step);
    clock_set_ = true;
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kNotice,
        fmt::format(
            "the wall clock was set {} by {} s: benches keep their length, the times in events and "
            "revisions do not",
            step.count() > 0 ? "forwards" : "backwards",
            std::abs(step.count()) / 1000
        )
    );
    return reading.wall;
}

void ControlPlane::log_circuits() {
    for (const CircuitChange& change : merger_.take_changes()) {
        const v1::HealthTransition& transition = change.transition;
        bool worse = transition.to() == v1::CIRCUIT_OPEN;
        std::string model = transition.model().empty() ? "" : " for model " + transition.model();
        log_.emit(
            worse ? LogLevel::kWarning : LogLevel::kInfo,
            LogEvent::kProviderStateChanged,
            fmt::format(
                "provider '{}'{} went from {} to {}: {}",
                change.provider,
                model,
                name_of(circuit_from_proto(transition.from())),
                name_of(circuit_from_proto(transition.to())),
                transition.cause()
            ),
            {{"provider", change.provider},
             {"model", transition.model()},
             {"circuit", name_of(circuit_from_proto(transition.to()))},
             {"until_ms", change.until},
             {"cause", transition.cause()}}
        );
    }
}

// Tells data planes, and the log, who has become suspect or is no more.
void ControlPlane::publish_standings() {
    const Standings& now = merger_.standings();
    for (const auto& [dp_id, standing] : now) {
        if (standings_.contains(dp_id)) continue;
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kDataPlaneSuspect,
            fmt::format(
                "data plane {} is suspect, its evidence weighs nothing: {}", dp_id, standing.reason
            ),
            {{"dp_id", dp_id}, {"may_turn_unready", standing.may_turn_unready}}
        );
    }
    for (const auto& [dp_id, standing] : standings_) {
        if (now.contains(dp_id)) continue;
        log_.emit(
            LogLevel::kInfo,
            LogEvent::kDataPlaneSuspect,
            fmt::format("data plane {} is in good standing again", dp_id),
            {{"dp_id", dp_id}}
        );
    }
    standings_ = now;
    publisher_.set_standings(standings_);
}

void ControlPlane::tick() {
    ticker_armed_ = false;
    bool changed = follow_members();
    changed = merger_.age(now()) || changed;
    publish_standings();
    hold_custody_.keep(merger_.holds());
    if (changed || clock_set_) {
        publish_health_soon("time passed");
    } else {
        arm_ticker();
    }
}

void ControlPlane::arm_ticker() {
    if (stopped_) return;
    Milliseconds wait = kTick;
    if (std::optional<UnixMs> due = merger_.next_change()) {
        wait = std::clamp(Milliseconds(*due - now()), Milliseconds(1), kTick);
    }
    // Reports that come all the time must not put it off.
    SteadyTime at = steady_now() + wait;
    if (ticker_armed_ && ticker_.expiry() <= at) return;
    ticker_armed_ = true;
    ticker_.expires_at(at);
    ticker_.async_wait([this](ErrorCode ec) {
        if (!ec) tick();
    });
}

}  // namespace balancer::controlplane
