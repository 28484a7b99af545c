// How a data plane is let in.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controlplane/publish/registry.hpp"
#include "controlplane/publish/version_order.hpp"
#include "model/protocol.hpp"

namespace balancer::controlplane {
namespace {

constexpr Milliseconds kCrowdLogGap{30'000};

// Of one id: upgrades that come faster than streams end. A liar keeps no more streams than this.
constexpr std::size_t kSupersededMax = 4;

// When each of a crowd is to come again: one step after the other.
constexpr Milliseconds kCrowdWait{500};
constexpr Milliseconds kCrowdStep{20};
constexpr unsigned kCrowdPlaces = 250;

}  // namespace

void Publisher::Registry::greet(Id id, Subscription& subscription, const v1::Hello& hello) {
    if (refused(id, subscription, hello) || too_many(id, subscription, hello)) return;
    Roster::Row& row = roster_.admit(hello.dp_id(), steady_now());
    take_place(id, row, hello);
    subscription.greet(hello, head_.version);
    row.view.set_dp_id(hello.dp_id());
    row.view.set_instance_id(hello.instance_id());
    row.view.set_build(hello.build());
    *row.view.mutable_applied() = hello.applied();
    row.view.set_applied_source(hello.applied_source());
    row.view.set_connected_at_ms(unix_now());
    roster_.greeted(row, steady_now());
    row.view.set_last_heard_ms(unix_now());
    row.view.set_peer(subscription.peer());
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kDataPlaneConnected,
        fmt::format("data plane {} is connected", hello.dp_id()),
        {{"dp_id", hello.dp_id()},
         {"instance", hello.instance_id()},
         {"build", hello.build()},
         {"peer", subscription.peer()},
         {"applied_epoch", hello.applied().epoch()},
         {"applied_seq", hello.applied().seq()},
         {"source", v1::Hello::Source_Name(hello.applied_source())}}
    );
    note_ahead(row, hello);

    v1::Welcome welcome;
    welcome.set_cp_id(cp_id_);
    welcome.set_epoch(head_.version.epoch());
    welcome.set_protocol_minor(kProtocolMinor);
    welcome.set_ping_interval_ms(static_cast<std::uint32_t>(times_.ping_interval.count()));
    welcome.set_report_interval_ms(static_cast<std::uint32_t>(times_.report_interval.count()));
    subscription.welcome(std::move(welcome));
    subscription.next_ping = steady_now() + times_.ping_interval;
    // Sent even when the data plane has it all: until the first Update it cannot know that.
    send_head(subscription);
}

// Seen when the state directory has been restored from a copy. The data plane refuses what is
// older.
void Publisher::Registry::note_ahead(Roster::Row& row, const v1::Hello& hello) {
    bool same_store = hello.applied().store_uuid() == head_.version.store_uuid();
    bool ahead = same_store && newer(hello.applied(), head_.version);
    if (ahead && !row.newer_than_head_logged) {
        log_.emit(
            LogLevel::kError,
            LogEvent::kDataPlaneRefused,
            fmt::format(
                "data plane {} has applied version ({}, {}), newer than this control plane's ({}, "
                "{}): was its state directory restored from a copy? Restart the data plane to make "
                "it accept the older state",
                hello.dp_id(),
                hello.applied().epoch(),
                hello.applied().seq(),
                head_.version.epoch(),
                head_.version.seq()
            )
        );
    }
    row.newer_than_head_logged = ahead;
}

bool Publisher::Registry::refused(Id id, Subscription& subscription, const v1::Hello& hello) {
    auto refuse = [&](v1::Goaway::Reason reason, Milliseconds retry_after, std::string detail) {
        // Names cost nothing, and whoever is refused may come again at once.
        log_.emit(
            refusals_.take(steady_now()) ? LogLevel::kWarning : LogLevel::kDebug,
            LogEvent::kDataPlaneRefused,
            fmt::format("data plane {} is refused: {}", hello.dp_id(), detail),
            {{"dp_id", hello.dp_id()}, {"peer", subscription.peer()}, {"build", hello.build()}}
        );
        end(id, reason, retry_after, detail);
        return true;
    };
    if (hello.protocol_major() != kProtocolMajor) {
        return refuse(
            v1::Goaway::INCOMPATIBLE,
            Milliseconds(30'000),
            fmt::format(
                "it speaks protocol {}, this control plane {}: run the same release on both",
                hello.protocol_major(),
                kProtocolMajor
            )
        );
    }
    if (!head_.ready) {
        // Quiet: a start-up race that ends by itself.
        end(id, v1::Goaway::UNKNOWN, Milliseconds(500), "the control plane has no configuration yet"
        );
        return true;
    }
    Roster::Row* row = roster_.find(hello.dp_id());
    if (row == nullptr || !row->subscription) return false;
    if (row->view.instance_id() == hello.instance_id()) return false;
    if (!Roster::was_replaced(*row, hello.instance_id())) return false;
    return refuse(
        v1::Goaway::REPLACED,
        Milliseconds(30'000),
        fmt::format(
            "instance {} took its id; give each data plane its own", row->view.instance_id()
        )
    );
}

// A crowd is spread over the time that it takes at this pace; one data plane in a loop waits alone.
bool Publisher::Registry::too_many(Id id, Subscription& subscription, const v1::Hello& hello) {
    SteadyTime now = steady_now();
    Roster::Row* row = roster_.find(hello.dp_id());
    if (row != nullptr && !row->streams.take(now)) {
        std::string words = fmt::format(
            "data plane {} opens one stream after the other; it is asked to wait", hello.dp_id()
        );
        complain(*row, LogLevel::kWarning, LogEvent::kDataPlaneRefused, words);
        end(id, v1::Goaway::OVERLOADED, Milliseconds(5'000), "too many streams of this data plane");
        return true;
    }
    if (streams_.take(now)) return false;
    if (crowd_logged_at_ == SteadyTime{} || now - crowd_logged_at_ > kCrowdLogGap) {
        crowd_logged_at_ = now;
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kDataPlaneRefused,
            fmt::format(
                "data planes come faster than {} in a second: some are asked to come later",
                kStreamsPerSecond
            ),
            {{"dp_id", hello.dp_id()}, {"peer", subscription.peer()}}
        );
    }
    Milliseconds wait = kCrowdWait + (++crowd_ % kCrowdPlaces) * kCrowdStep;
    end(id, v1::Goaway::OVERLOADED, wait, "too many data planes come at once");
    return true;
}

std::size_t Publisher::Registry::superseded_of(const std::string& dp_id) const {
    return static_cast<std::size_t>(std::count_if(superseded_.begin(), superseded_.end(), [&](const auto& item) {
        return subscriptions_.at(item.first).dp_id() == dp_id;
    }));
}

// The older process drains, and this is who comes after it (an upgrade, a restart that does not wait). It keeps its stream, for
// what it still has to report; should it lose that, it is turned away as one that was replaced.
void Publisher::Registry::supersede(Id older, Roster::Row& row, const v1::Hello& hello) {
    Roster::mark_replaced(row, row.view.instance_id());
    subscriptions_.at(older).superseded = true;
    v1::Heartbeat& said = superseded_[older];
    said.set_in_flight(row.view.in_flight());
    *said.mutable_in_flight_at() = row.view.in_flight_at();
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kDataPlaneConnected,
        fmt::format(
            "data plane {}: instance {} takes over from {}, which drains",
            hello.dp_id(),
            hello.instance_id(),
            row.view.instance_id()
        ),
        {{"dp_id", hello.dp_id()}}
    );
}

void Publisher::Registry::take_place(Id id, Roster::Row& row, const v1::Hello& hello) {
    std::optional<Id> older = row.subscription;
    const bool other = older && row.view.instance_id() != hello.instance_id();
    if (other && row.view.draining() && superseded_of(hello.dp_id()) < kSupersededMax) {
        supersede(*older, row, hello);
    } else if (other) {
        Roster::mark_replaced(row, row.view.instance_id());
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kDataPlaneRefused,
            fmt::format(
                "two data planes call themselves {}: instance {} replaces {}; give each its own id",
                hello.dp_id(),
                hello.instance_id(),
                row.view.instance_id()
            ),
            {{"dp_id", hello.dp_id()}}
        );
    }
    if (older && !superseded_.contains(*older)) {
        end(*older, v1::Goaway::REPLACED, Milliseconds(30'000), "a newer stream came with this id");
    } else if (!older) {
        row.replaced.clear();
    }
    std::string last_nack = std::move(*row.view.mutable_last_nack());
    UnixMs last_nack_at = row.view.last_nack_at_ms();
    v1::Version last_nack_version = row.view.last_nack_version();
    // Cumulative of a process, whichever stream it has.
    bool same_process = row.view.instance_id() == hello.instance_id();
    std::uint64_t signals_dropped = same_process ? row.view.signals_dropped() : 0;
    row.view.Clear();
    row.view.set_signals_dropped(signals_dropped);
    row.heartbeat_seen = false;
    if (!last_nack.empty()) *row.view.mutable_last_nack_version() = last_nack_version;
    row.view.set_last_nack(std::move(last_nack));
    row.view.set_last_nack_at_ms(last_nack_at);
    row.subscription = id;
    ++members_revision_;
}

}  // namespace balancer::controlplane
