// The data planes that are connected, and the clockwork that keeps each of them at the head.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/publish/head_state.hpp"
#include "controlplane/publish/publisher.hpp"
#include "controlplane/publish/roster.hpp"
#include "controlplane/publish/subscription.hpp"
#include "controlplane/publish/sync_stream.hpp"

namespace balancer::controlplane {

// Lives in the Publisher, on its loop. A stream that is given up here is forgotten at once,
// whatever its transport does with the rest: a peer that is stopped can hold a call open until
// HTTP/2 keepalive gives up.
class Publisher::Registry {
  public:
    using Id = std::uint64_t;

    Registry(
        boost::asio::io_context& context,
        Log& log,
        const HeadState& head,
        std::string cp_id,
        PublisherTimes times
    );

    // A new call, whose Hello is awaited.
    Id open(std::shared_ptr<SyncStream> stream, std::string peer);

    // Messages of a stream that has been given up are ignored.
    void received(Id id, const v1::SyncRequest& request);

    // The transport has ended. Harmless when the stream had been given up already.
    void closed(Id id);

    // As told by the reports of this process.
    void signals_dropped(std::string_view dp_id, std::string_view instance_id, std::uint64_t count);

    // The head has moved: sends it to whoever has no Update outstanding.
    void head_changed();

    // Says goodbye to everyone and refuses who comes later.
    void shutdown();

    std::vector<v1::DataPlaneView> rows() const;
    std::vector<Member> members() const;
    void set_standings(const Standings& standings);

  private:
    void greet(Id id, Subscription& subscription, const v1::Hello& hello);
    bool refused(Id id, Subscription& subscription, const v1::Hello& hello);
    void take_place(Id id, Roster::Row& row, const v1::Hello& hello);
    void acknowledged(Subscription& subscription, const v1::Ack& ack);
    void refused_update(Subscription& subscription, const v1::Nack& nack);
    void note_quarantine(Roster::Row& row, const v1::Ack& ack);
    void end(Id id, v1::Goaway::Reason reason, Milliseconds retry_after, const std::string& detail);
    void mark_gone(Id id, const Subscription& subscription, std::string_view why);
    void ping(Subscription& subscription);
    void arm();
    void tick();

    Log& log_;
    const HeadState& head_;
    std::string cp_id_;
    PublisherTimes times_;
    Roster roster_;
    std::map<Id, Subscription> subscriptions_;
    Standings standings_;
    Id last_id_ = 0;
    bool shutting_down_ = false;
    boost::asio::steady_timer timer_;
    std::shared_ptr<const bool> alive_ =
        std::make_shared<const bool>(true);  // seen by the timer's handler
};

}  // namespace balancer::controlplane
