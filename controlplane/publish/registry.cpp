#include "controlplane/publish/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "model/protocol.hpp"

namespace balancer::controlplane {
namespace {

std::string words_of(const v1::Nack& nack) {
    std::string words = v1::NackCode_Name(nack.code());
    for (const v1::ResourceError& error : nack.errors()) {
        std::string place = error.resource();
        if (!error.field_path().empty()) place += "." + error.field_path();
        words += fmt::format(": {}: {}", place, error.message());
    }
    return words;
}

bool newer(const v1::Version& a, const v1::Version& b) {
    return std::pair(a.epoch(), a.seq()) > std::pair(b.epoch(), b.seq());
}

}  // namespace

Publisher::Registry::Registry(
    boost::asio::io_context& context,
    Log& log,
    const HeadState& head,
    std::string cp_id,
    PublisherTimes times
)
    : log_(log),
      head_(head),
      cp_id_(std::move(cp_id)),
      times_(times),
      roster_(times.row_kept),
      timer_(context) {}

Publisher::Registry::Id Publisher::Registry::open(
    std::shared_ptr<SyncStream> stream, std::string peer
) {
    Id id = ++last_id_;
    subscriptions_.emplace(id, Subscription(std::move(stream), std::move(peer), steady_now()));
    if (shutting_down_) {
        end(id, v1::Goaway::SHUTDOWN, Milliseconds(1'000), "the control plane is stopping");
    }
    arm();
    return id;
}

void Publisher::Registry::received(Id id, const v1::SyncRequest& request) {
    auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    Subscription& subscription = found->second;
    subscription.heard_at = steady_now();
    if (request.has_hello() == subscription.greeted()) {
        end(id, v1::Goaway::UNKNOWN, Milliseconds(5'000), "a stream has one Hello, and first");
        return;
    }
    if (request.has_hello()) {
        greet(id, subscription, request.hello());
        arm();
        return;
    }
    Roster::Row& row = *roster_.find(subscription.dp_id());
    row.view.set_last_heard_ms(unix_now());
    if (request.has_ack()) acknowledged(subscription, request.ack());
    if (request.has_nack()) refused_update(subscription, request.nack());
    if (request.has_heartbeat()) {
        *row.view.mutable_applied() = request.heartbeat().applied();
        *row.view.mutable_heard_version() = request.heartbeat().applied();
        row.view.set_in_flight(request.heartbeat().in_flight());
        *row.view.mutable_in_flight_at() = request.heartbeat().in_flight_at();
        row.view.set_ready(request.heartbeat().ready());
        row.heartbeat_seen = true;
    }
    arm();
}

void Publisher::Registry::closed(Id id) {
    auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    mark_gone(id, found->second, "its stream ended");
    subscriptions_.erase(found);
}

void Publisher::Registry::signals_dropped(
    std::string_view dp_id, std::string_view instance_id, std::uint64_t count
) {
    Roster::Row* row = roster_.find(dp_id);
    if (row == nullptr || row->view.instance_id() != instance_id) return;
    row->view.set_signals_dropped(count);
}

void Publisher::Registry::head_changed() {
    if (!head_.ready) return;
    for (auto& [id, subscription] : subscriptions_) {
        if (subscription.greeted()) subscription.update(head_, steady_now());
    }
    arm();
}

void Publisher::Registry::shutdown() {
    shutting_down_ = true;
    while (!subscriptions_.empty()) {
        end(subscriptions_.begin()->first,
            v1::Goaway::SHUTDOWN,
            Milliseconds(0),
            "the control plane is stopping");
    }
    timer_.cancel();
}

void Publisher::Registry::greet(Id id, Subscription& subscription, const v1::Hello& hello) {
    if (refused(id, subscription, hello)) return;
    Roster::Row& row = roster_.admit(hello.dp_id(), steady_now());
    take_place(id, row, hello);
    subscription.greet(hello, head_.version);
    row.view.set_dp_id(hello.dp_id());
    row.view.set_instance_id(hello.instance_id());
    row.view.set_build(hello.build());
    *row.view.mutable_applied() = hello.applied();
    row.view.set_connected_at_ms(unix_now());
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
         {"applied_seq", hello.applied().seq()}}
    );
    bool same_store = hello.applied().store_uuid() == head_.version.store_uuid();
    bool ahead = same_store && newer(hello.applied(), head_.version);
    if (ahead && !row.newer_than_head_logged) {
        // Seen when the state directory has been restored from a copy. The data plane refuses what
        // is older.
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

    v1::Welcome welcome;
    welcome.set_cp_id(cp_id_);
    welcome.set_epoch(head_.version.epoch());
    welcome.set_protocol_minor(kProtocolMinor);
    welcome.set_ping_interval_ms(static_cast<std::uint32_t>(times_.ping_interval.count()));
    welcome.set_report_interval_ms(static_cast<std::uint32_t>(times_.report_interval.count()));
    subscription.welcome(std::move(welcome));
    subscription.next_ping = steady_now() + times_.ping_interval;
    // Sent even when the data plane has it all: until the first Update it cannot know that.
    subscription.update(head_, steady_now());
}

bool Publisher::Registry::refused(Id id, Subscription& subscription, const v1::Hello& hello) {
    auto refuse = [&](v1::Goaway::Reason reason, Milliseconds retry_after, std::string detail) {
        log_.emit(
            LogLevel::kWarning,
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

void Publisher::Registry::take_place(Id id, Roster::Row& row, const v1::Hello& hello) {
    std::optional<Id> older = row.subscription;
    if (older && row.view.instance_id() != hello.instance_id()) {
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
    if (older) {
        end(*older, v1::Goaway::REPLACED, Milliseconds(30'000), "a newer stream came with this id");
    } else {
        row.replaced.clear();
    }
    std::string last_nack = std::move(*row.view.mutable_last_nack());
    UnixMs last_nack_at = row.view.last_nack_at_ms();
    v1::Version last_nack_version = row.view.last_nack_version();
    row.view.Clear();
    if (!last_nack.empty()) *row.view.mutable_last_nack_version() = last_nack_version;
    row.heartbeat_seen = false;
    row.view.set_last_nack(std::move(last_nack));
    row.view.set_last_nack_at_ms(last_nack_at);
    row.subscription = id;
}

void Publisher::Registry::acknowledged(Subscription& subscription, const v1::Ack& ack) {
    if (!subscription.acknowledge(ack)) return;
    Roster::Row& row = *roster_.find(subscription.dp_id());
    *row.view.mutable_applied() = ack.applied();
    note_quarantine(row, ack);
    log_.emit(
        LogLevel::kDebug,
        LogEvent::kUpdateAcknowledged,
        fmt::format(
            "data plane {} applied ({}, {})",
            subscription.dp_id(),
            ack.applied().epoch(),
            ack.applied().seq()
        ),
        {{"dp_id", subscription.dp_id()}, {"apply_us", ack.apply_us()}}
    );
    subscription.update(head_, steady_now());
}

void Publisher::Registry::refused_update(Subscription& subscription, const v1::Nack& nack) {
    if (!subscription.refuse(nack)) return;
    Roster::Row& row = *roster_.find(subscription.dp_id());
    std::string words = words_of(nack);
    log_.emit(
        LogLevel::kError,
        LogEvent::kUpdateRefused,
        fmt::format(
            "data plane {} refuses version ({}, {}) and stays on ({}, {}): {}",
            subscription.dp_id(),
            nack.rejected().epoch(),
            nack.rejected().seq(),
            nack.still_applied().epoch(),
            nack.still_applied().seq(),
            words
        ),
        {{"dp_id", subscription.dp_id()}}
    );
    *row.view.mutable_applied() = nack.still_applied();
    *row.view.mutable_last_nack_version() = nack.rejected();
    row.view.set_last_nack(std::move(words));
    row.view.set_last_nack_at_ms(unix_now());
    subscription.update(head_, steady_now());
}

void Publisher::Registry::note_quarantine(Roster::Row& row, const v1::Ack& ack) {
    bool same = std::equal(
        row.view.quarantined().begin(),
        row.view.quarantined().end(),
        ack.quarantined().begin(),
        ack.quarantined().end(),
        [](const v1::ResourceError& a, const v1::ResourceError& b) {
            return a.resource() == b.resource() && a.message() == b.message();
        }
    );
    *row.view.mutable_quarantined() = ack.quarantined();
    if (same) return;
    for (const v1::ResourceError& error : ack.quarantined()) {
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kProviderQuarantined,
            fmt::format(
                "data plane {} leaves out {}: {}: {}",
                row.view.dp_id(),
                error.resource(),
                error.field_path(),
                error.message()
            ),
            {{"dp_id", row.view.dp_id()}}
        );
    }
}

void Publisher::Registry::end(
    Id id, v1::Goaway::Reason reason, Milliseconds retry_after, const std::string& detail
) {
    auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    found->second.goaway(reason, retry_after, detail);
    mark_gone(id, found->second, detail);
    subscriptions_.erase(found);
}

void Publisher::Registry::mark_gone(Id id, const Subscription& subscription, std::string_view why) {
    Roster::Row* row = roster_.find(subscription.dp_id());
    if (!subscription.greeted() || row == nullptr || row->subscription != id) return;
    row->subscription.reset();
    row->gone_at = steady_now();
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kDataPlaneDisconnected,
        fmt::format("data plane {} is gone: {}", subscription.dp_id(), why),
        {{"dp_id", subscription.dp_id()}, {"peer", subscription.peer()}}
    );
}

void Publisher::Registry::arm() {
    if (subscriptions_.empty()) return;
    SteadyTime next = SteadyTime::max();
    for (const auto& [id, subscription] : subscriptions_) {
        next = std::min(next, subscription.heard_at + times_.silence_max);
        if (subscription.greeted()) next = std::min(next, subscription.next_ping);
        if (auto sent = subscription.sent_at()) next = std::min(next, *sent + times_.ack_max);
    }
    timer_.expires_at(next);
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const ErrorCode& ec) {
        if (!ec && !alive.expired()) tick();
    });
}

void Publisher::Registry::tick() {
    SteadyTime now = steady_now();
    std::vector<std::pair<Id, std::string>> late;
    for (auto& [id, subscription] : subscriptions_) {
        auto sent = subscription.sent_at();
        if (sent && now >= *sent + times_.ack_max) {
            late.emplace_back(
                id, fmt::format("no acknowledgement in {} ms", times_.ack_max.count())
            );
        } else if (now >= subscription.heard_at + times_.silence_max) {
            late.emplace_back(
                id, fmt::format("nothing heard in {} ms", times_.silence_max.count())
            );
        } else if (subscription.greeted() && now >= subscription.next_ping) {
            subscription.next_ping = now + times_.ping_interval;
            ping(subscription);
        }
    }
    for (const auto& [id, why] : late) {
        end(id, v1::Goaway::OVERLOADED, Milliseconds(1'000), why);
    }
    arm();
}

}  // namespace balancer::controlplane
