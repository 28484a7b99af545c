#include "controlplane/publish/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace balancer::controlplane {

Publisher::Registry::Registry(
    boost::asio::io_context& context,
    Log& log,
    const HeadState& head,
    std::string cp_id,
    PublisherTimes times
)
    : context_(context),
      log_(log),
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
    } else if (subscriptions_.size() > kStreamsMax) {
        end(id, v1::Goaway::OVERLOADED, Milliseconds(30'000), "too many streams are open");
    } else {
        arm(subscriptions_.at(id));
    }
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
        return;
    }
    if (!subscription.superseded) roster_.find(subscription.dp_id())->view.set_last_heard_ms(unix_now());
    if (request.has_ack() || request.has_nack()) {
        answered(id, subscription, request);
        return;
    }
    if (request.has_heartbeat()) take_heartbeat(id, subscription, request.heartbeat());
    if (request.has_lookup_answer() && looked_up(asked_as(subscription), request.lookup_answer())) {
        return;
    }
    if (!subscription.idle_talk(steady_now())) {
        end(id, v1::Goaway::OVERLOADED, Milliseconds(5'000), "it sends far more than it needs to");
    }
}

// The version in a heartbeat is not believed: what counts has been acknowledged.
void Publisher::Registry::take_heartbeat(
    Id id, const Subscription& subscription, const v1::Heartbeat& heartbeat
) {
    if (subscription.superseded) {
        superseded_[id] = heartbeat;
        return;
    }
    Roster::Row& row = *roster_.find(subscription.dp_id());
    *row.view.mutable_heard_version() = heartbeat.applied();
    row.view.set_in_flight(heartbeat.in_flight());
    *row.view.mutable_in_flight_at() = heartbeat.in_flight_at();
    row.view.set_draining(heartbeat.draining());
    const bool was_ready = row.view.ready() || !row.heartbeat_seen;
    if (was_ready != heartbeat.ready()) ++members_revision_;
    row.view.set_ready(heartbeat.ready());
    row.heartbeat_seen = true;
}

void Publisher::Registry::closed(Id id) {
    auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    mark_gone(id, found->second, "its stream ended");
    subscriptions_.erase(found);
}

bool Publisher::Registry::connected(std::string_view dp_id, std::string_view instance_id) const {
    const Roster::Row* row = roster_.find(dp_id);
    if (row != nullptr && row->subscription && row->view.instance_id() == instance_id) return true;
    return std::any_of(superseded_.begin(), superseded_.end(), [&](const auto& item) {
        const Subscription& older = subscriptions_.at(item.first);
        return older.dp_id() == dp_id && older.instance_id() == instance_id;
    });
}

void Publisher::Registry::signals_dropped(
    std::string_view dp_id, std::string_view instance_id, std::uint64_t count
) {
    Roster::Row* row = roster_.find(dp_id);
    if (row == nullptr || !row->subscription || row->view.instance_id() != instance_id) return;
    v1::DataPlaneView& view = row->view;
    if (count <= view.signals_dropped()) return;
    tally_.signals_dropped += count - view.signals_dropped();
    view.set_signals_dropped(count);
}

void Publisher::Registry::head_changed() {
    if (!head_.ready) return;
    roster_.published(head_.version, steady_now());
    for (auto& [id, subscription] : subscriptions_) {
        if (subscription.greeted()) send_head(subscription);
    }
}

Result<v1::DataPlaneView> Publisher::Registry::drain(const std::string& dp_id, const std::string& reason) {
    const Roster::Row* row = roster_.find(dp_id);
    if (row == nullptr || !row->subscription) {
        return invalid(fmt::format("data plane {} is not connected: stop it where it runs", dp_id));
    }
    v1::Drain drain;
    drain.set_reason(reason);
    subscriptions_.at(*row->subscription).drain(std::move(drain));
    return row->view;
}

void Publisher::Registry::shutdown() {
    shutting_down_ = true;
    while (!subscriptions_.empty()) {
        end(subscriptions_.begin()->first,
            v1::Goaway::SHUTDOWN,
            Milliseconds(0),
            "the control plane is stopping");
    }
    while (!lookups_.empty()) finish_lookup(lookups_.begin()->first);
    timer_.cancel();
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
    if (superseded_.erase(id) > 0) not_looked_up(asked_as(subscription), why);
    Roster::Row* row = roster_.find(subscription.dp_id());
    if (!subscription.greeted() || row == nullptr || row->subscription != id) return;
    if (row->view.draining()) why = "it has drained";
    row->subscription.reset();
    ++members_revision_;
    row->gone_at = steady_now();
    row->view.set_gone_at_ms(unix_now());
    row->view.set_gone_reason(std::string(why));
    not_looked_up(asked_as(subscription), why);
    log_.emit(
        row->view.draining() ? LogLevel::kInfo : LogLevel::kWarning,
        LogEvent::kDataPlaneDisconnected,
        fmt::format("data plane {} is gone: {}", subscription.dp_id(), why),
        {{"dp_id", subscription.dp_id()}, {"peer", subscription.peer()}}
    );
}

void Publisher::Registry::send_head(Subscription& subscription) {
    subscription.update(head_, steady_now());
    arm(subscription);
}

// One data plane that misbehaves must not fill the log: what comes too often is for debug only.
void Publisher::Registry::complain(
    Roster::Row& row, LogLevel level, LogEvent event, const std::string& words
) {
    if (!row.complaints.take(steady_now())) level = LogLevel::kDebug;
    log_.emit(level, event, words, {{"dp_id", row.view.dp_id()}});
}

// A deadline that moves away needs nothing: the timer then fires for nothing, and tick() looks at
// all of them. So a message costs the same however many data planes there are.
void Publisher::Registry::arm(const Subscription& subscription) {
    SteadyTime at = subscription.deadline(times_.ack_max, times_.silence_max);
    if (armed_ && *armed_ <= at) return;
    armed_ = at;
    timer_.expires_at(at);
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const ErrorCode& ec) {
        if (!ec && !alive.expired()) tick();
    });
}

void Publisher::Registry::tick() {
    armed_.reset();
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
    for (const auto& [id, subscription] : subscriptions_) arm(subscription);
}

}  // namespace balancer::controlplane
