#include "dataplane/control/control.hpp"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "base/clock_watch.hpp"
#include "base/file.hpp"
#include "dataplane/control/applier.hpp"
#include "dataplane/control/lkg_custody.hpp"
#include "dataplane/control/local_breaker.hpp"
#include "dataplane/control/manage_client.hpp"
#include "dataplane/control/record_to_proto.hpp"
#include "dataplane/control/reporter.hpp"
#include "dataplane/control/status_board.hpp"
#include "dataplane/control/subscriber.hpp"
#include "model/from_proto.hpp"

namespace balancer::dataplane {

namespace net = boost::asio;

// Everything but report(), manage() and status() happens on the one thread that runs the loop. The
// loop is shared with the calls under way, whose last post may still be returning on a thread of
// gRPC when the Control is gone.
class Control::Impl {
  public:
    Impl(ControlOptions options, ControlCallbacks callbacks, Log& log);

    void start();
    void stop();
    void tell_state();
    void make_room(bool yes);
    void report(AttemptOutcome outcome);
    void manage(ManageCall call, std::function<void(ManageAnswer)> done);
    ControlStatus status() const { return board_.read(); }

  private:
    std::unique_ptr<LkgFolder> make_folder() const;
    Subscriber::Hooks hooks();
    void take(Applied& applied);
    void take_from_disk(Applied& applied);
    void log_snapshot(const Applied& applied);
    void stand_aside(const std::string& why);
    void follow_fleet(bool yes);
    void judge(const AttemptOutcome& outcome);
    void show_health();
    void look_up(const v1::Lookup& lookup, std::function<void(v1::LookupAnswer)> done);
    UnixMs now();

    const ControlOptions options_;
    const std::string instance_id_ = random_hex(8);
    ControlCallbacks callbacks_;
    Log& log_;
    std::shared_ptr<net::io_context> loop_ = std::make_shared<net::io_context>(1);
    std::optional<net::executor_work_guard<net::io_context::executor_type>> work_;
    StatusBoard board_;
    ProviderSlots slots_;
    std::mt19937_64 random_{std::random_device{}()};  // before the breaker, which draws from it
    Applier applier_{slots_};
    LocalBreaker breaker_;
    LkgCustody custody_;
    Reporter reporter_;
    ManageClient manage_;
    Subscriber subscriber_;
    net::steady_timer age_timer_{*loop_};
    ClockWatch clock_;
    bool stopping_ = false;
    bool follows_fleet_ = false;  // the last Update of the stream that stands was accepted
    std::string last_refusal_;  // as logged
    std::thread thread_;
};

Control::Impl::Impl(ControlOptions options, ControlCallbacks callbacks, Log& log)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      log_(log),
      breaker_(
          slots_,
          options_.id,
          [this] { return std::uniform_real_distribution<double>(0, 1)(random_); }
      ),
      custody_(
          loop_, make_folder(), applier_, board_, log, [this](Applied& applied) { take_from_disk(applied); }
      ),
      reporter_(
          loop_, {options_.id, instance_id_, options_.token}, callbacks_.collect_totals, board_, log
      ),
      manage_(loop_, options_.token),
      subscriber_(
          loop_,
          options_.addresses,
          {options_.id, instance_id_, options_.token},
          hooks(),
          applier_,
          board_,
          log
      ) {}

void Control::Impl::start() {
    work_.emplace(loop_->get_executor());
    net::post(*loop_, [this] {
        custody_.start();
        subscriber_.start();
    });
    thread_ = std::thread([this] { loop_->run(); });
}

void Control::Impl::stop() {
    if (!thread_.joinable()) return;
    net::post(*loop_, [this] {
        stopping_ = true;
        custody_.stop();
        subscriber_.stop();
        reporter_.stop();
        manage_.stop();
        age_timer_.cancel();
        // The loop runs on until each cancelled call has said its last word.
        work_.reset();
    });
    thread_.join();
    custody_.join();
}

void Control::Impl::tell_state() {
    net::post(*loop_, [this] {
        if (!stopping_) subscriber_.tell_state();
    });
}

void Control::Impl::make_room(bool yes) {
    net::post(*loop_, [this, yes] {
        if (!stopping_) custody_.rest(yes);
    });
}

std::unique_ptr<LkgFolder> Control::Impl::make_folder() const {
    if (options_.state_dir.empty()) return nullptr;
    return std::make_unique<LkgFolder>(options_.state_dir, options_.id);
}

void Control::Impl::report(AttemptOutcome outcome) {
    net::post(*loop_, [this, outcome = std::move(outcome)] { judge(outcome); });
}

void Control::Impl::manage(ManageCall call, std::function<void(ManageAnswer)> done) {
    net::post(*loop_, [this, call = std::move(call), done = std::move(done)]() mutable {
        manage_.call(std::move(call), std::move(done));
    });
}

Subscriber::Hooks Control::Impl::hooks() {
    Subscriber::Hooks hooks;
    hooks.on_applied = [this](Applied& applied) {
        if (applied.accepted) custody_.applied(applied);
        follow_fleet(applied.accepted);
        take(applied);
    };
    hooks.on_unreachable = [this] { custody_.unreachable(); };
    hooks.on_connected =
        [this](std::shared_ptr<grpc::Channel> channel, const v1::Welcome& welcome) {
            manage_.set_channel(channel);
            reporter_.connected(std::move(channel), Milliseconds(welcome.report_interval_ms()));
        };
    hooks.on_lost = [this] {
        manage_.set_channel(nullptr);
        reporter_.lost();
        stand_aside({});
        follow_fleet(false);
    };
    hooks.on_ping = [this](const v1::Ping& ping) {
        // Often enough to see a step of the clock before a bench ends by it, and what became due while the machine
        // slept: timers stand still meanwhile.
        if (breaker_.age(now())) show_health();
        bool aside = ping.suspect() && ping.may_turn_unready();
        stand_aside(aside ? ping.suspect_reason() : std::string());
    };
    hooks.in_flight = callbacks_.in_flight;
    hooks.in_flight_at = callbacks_.in_flight_at;
    hooks.ready = callbacks_.ready;
    if (callbacks_.draining) hooks.draining = callbacks_.draining;
    hooks.on_drain = [this](const v1::Drain& drain) {
        if (callbacks_.on_drain) callbacks_.on_drain(drain.reason());
    };
    hooks.look_up = [this](const v1::Lookup& lookup, std::function<void(v1::LookupAnswer)> done) {
        look_up(lookup, std::move(done));
    };
    return hooks;
}

void Control::Impl::take(Applied& applied) {
    log_snapshot(applied);
    bool health_changed = false;
    if (applied.snapshot) {
        breaker_.configure(*applied.snapshot);
        callbacks_.on_snapshot(std::move(applied.snapshot));
        health_changed = true;
    }
    // Each time, changed or not: a provider that has just come in needs what was said of it before.
    if (applied.health) {
        health_changed =
            breaker_.fleet(
                *applied.health, applier_.version().epoch(), now(), applied.sender_time
            ) ||
            health_changed;
    }
    if (health_changed) show_health();
}

// No control plane has answered: what the fleet held when it was written ends by our own clock and probes.
void Control::Impl::take_from_disk(Applied& applied) {
    take(applied);
    breaker_.connected(false, now());
    show_health();
}

void Control::Impl::log_snapshot(const Applied& applied) {
    const v1::Version& version = applier_.version();
    if (!applied.accepted) {
        std::uint64_t seq = applied.answer.nack().rejected().seq();
        std::string line = fmt::format("version seq {}: {}", seq, applied.refusal);
        // A control plane that must not be followed offers the same at each reconnect.
        if (line == std::exchange(last_refusal_, line)) return;
        log_.emit(
            LogLevel::kError,
            LogEvent::kSnapshotRefused,
            fmt::format(
                "an update is refused, version ({}, {}) stays in force: {}",
                version.epoch(),
                version.seq(),
                applied.refusal
            )
        );
        return;
    }
    last_refusal_.clear();
    if (!applied.left_store.empty()) {
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kNotice,
            fmt::format(
                "the control plane is of store {}, the state from disk was of store {}: "
                "the control plane is followed",
                version.store_uuid(),
                applied.left_store
            )
        );
    }
    if (!applied.snapshot) return;
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kSnapshotApplied,
        fmt::format(
            "configuration of version ({}, {}) is in force: {} providers, {} routes",
            version.epoch(),
            version.seq(),
            applied.snapshot->providers.size(),
            applied.snapshot->routes.size()
        ),
        {{"epoch", version.epoch()}, {"seq", version.seq()}}
    );
    for (const Quarantined& item : applied.quarantined) {
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kProviderQuarantined,
            fmt::format("{} is left out: {}: {}", item.resource, item.field_path, item.message)
        );
    }
}

// Leave to be unready for the time being; empty: none. It ends with the stream that brought it, so
// that a fleet whose control plane has gone is never short of replicas for an old suspicion.
void Control::Impl::stand_aside(const std::string& why) {
    if (board_.read().stand_aside == why) return;
    board_.change([&](ControlStatus& status) { status.stand_aside = why; });
    log_.emit(
        why.empty() ? LogLevel::kInfo : LogLevel::kWarning,
        LogEvent::kDataPlaneSuspect,
        why.empty() ? "this data plane is no suspect any more, and ready again"
                    : "this data plane turns unready: " + why
    );
}

// What the fleet said last is of use only while more of it comes: each Update brings the fleet's health whole, and one
// that is refused brings none. Told of changes only: to be alone once more must not make it later.
void Control::Impl::follow_fleet(bool yes) {
    if (std::exchange(follows_fleet_, yes) == yes) return;
    breaker_.connected(yes, now());
    if (!yes) show_health();
}

void Control::Impl::judge(const AttemptOutcome& outcome) {
    if (stopping_) return;
    if (breaker_.record(outcome, now())) show_health();
    reporter_.signal(to_signal(outcome));
}

// Posts the view, and again when the first thing in it is over.
void Control::Impl::show_health() {
    UnixMs at = now();
    // First what is due: the timer that would have seen to it is set anew below.
    breaker_.age(at);
    callbacks_.on_health(breaker_.view());
    std::optional<UnixMs> expiry = breaker_.next_expiry(at);
    if (!expiry) {
        age_timer_.cancel();
        return;
    }
    age_timer_.expires_after(Milliseconds(*expiry - at));
    age_timer_.async_wait([this](const ErrorCode& ec) {
        if (ec || stopping_) return;
        breaker_.age(now());
        show_health();
    });
}

// The wall clock, with everything that the breaker keeps moved along when it has been set. Workers compare no times of
// health: to them a view is what it says, and only words hold its absolute times.
UnixMs Control::Impl::now() {
    ClockReading reading = read_clocks();
    Milliseconds step = clock_.look(reading);
    if (step.count() == 0) return reading.wall;
    breaker_.shift(step);
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kNotice,
        fmt::format(
            "the wall clock was set {} by {} s: benches keep their length, credentials that expire "
            "go by the new time",
            step.count() > 0 ? "forwards" : "backwards",
            std::abs(step.count()) / 1000
        )
    );
    // For the times in its words.
    net::post(*loop_, [this] {
        if (!stopping_) show_health();
    });
    return reading.wall;
}

void Control::Impl::look_up(
    const v1::Lookup& lookup, std::function<void(v1::LookupAnswer)> done
) {
    if (lookup.in_flight()) {
        if (!callbacks_.list_requests) return;
        callbacks_.list_requests([loop = loop_, nonce = lookup.nonce(), done = std::move(done)](RequestsFound found) {
            net::post(*loop, [nonce, done, found = std::move(found)]() mutable { done(to_list(std::move(found), nonce)); });
        });
        return;
    }
    if (!callbacks_.find_request) return;
    callbacks_.find_request(
        lookup.request_id(),
        [loop = loop_, nonce = lookup.nonce(), done = std::move(done)](RequestsFound found) {
            net::post(*loop, [nonce, done, found = std::move(found)] {
                done(to_answer(found, nonce));
            });
        }
    );
}

Control::Control(ControlOptions options, ControlCallbacks callbacks, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(callbacks), log)) {}

Control::~Control() {
    stop();
}

void Control::start() {
    impl_->start();
}

void Control::stop() {
    impl_->stop();
}

void Control::tell_state() {
    impl_->tell_state();
}

void Control::make_room(bool yes) {
    impl_->make_room(yes);
}

void Control::report(AttemptOutcome outcome) {
    impl_->report(std::move(outcome));
}

void Control::manage(ManageCall call, std::function<void(ManageAnswer)> done) {
    impl_->manage(std::move(call), std::move(done));
}

ControlStatus Control::status() const {
    return impl_->status();
}

}  // namespace balancer::dataplane
