// The data planes that are connected, and the clockwork that keeps each of them at the head.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "controlplane/publish/head_state.hpp"
#include "controlplane/publish/publisher.hpp"
#include "controlplane/publish/roster.hpp"
#include "controlplane/publish/subscription.hpp"
#include "controlplane/publish/sync_stream.hpp"
#include "controlplane/publish/token_bucket.hpp"

namespace balancer::controlplane {

// Lives in the Publisher, on its loop. A stream that is given up here is forgotten at once,
// whatever its transport does with the rest: a peer that is stopped can hold a call open until
// HTTP/2 keepalive gives up.
class Publisher::Registry {
  public:
    using Id = std::uint64_t;

    // A fleet that comes back at once passes at once; what comes on top is asked to wait, so that
    // the loop has time for those who are in.
    static constexpr double kStreamBurst = 500;
    static constexpr double kStreamsPerSecond = 50;
    static constexpr std::size_t kStreamsMax = 5'000;

    static constexpr std::size_t kLookupsMax = 16;  // at once

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

    // This process has a stream and has said Hello on it. One whose place another has taken while it drained is still there.
    bool connected(std::string_view dp_id, std::string_view instance_id) const;

    // As told by the reports of this process.
    void signals_dropped(std::string_view dp_id, std::string_view instance_id, std::uint64_t count);

    // The head has moved: sends it to whoever has no Update outstanding.
    void head_changed();

    // Says goodbye to everyone and refuses who comes later.
    void shutdown();

    // Tells it to end, its streams first. The answer is what it was at; an error when it is not connected, or unknown.
    Result<v1::DataPlaneView> drain(const std::string& dp_id, const std::string& reason);

    // Asks every data plane that is connected what it remembers of a request, or is at; `what` needs no
    // nonce. `done` is called once, when all have answered, or after lookup_max with those that have
    // (registry_lookups.cpp). An error when too many ask at once.
    using LookupDone = std::function<void(v1::ListRequestsResponse)>;
    Result<void> look_up(v1::Lookup what, LookupDone done);

    std::vector<v1::DataPlaneView> rows() const;
    std::vector<Member> members() const;

    // Grows when members() may be others than before.
    std::uint64_t members_revision() const { return members_revision_; }
    const FleetTally& tally() const { return tally_; }
    void set_standings(const Standings& standings);

  private:
    void greet(Id id, Subscription& subscription, const v1::Hello& hello);
    bool refused(Id id, Subscription& subscription, const v1::Hello& hello);
    void take_place(Id id, Roster::Row& row, const v1::Hello& hello);
    std::size_t superseded_of(const std::string& dp_id) const;
    void supersede(Id older, Roster::Row& row, const v1::Hello& hello);
    bool too_many(Id id, Subscription& subscription, const v1::Hello& hello);
    void note_ahead(Roster::Row& row, const v1::Hello& hello);
    void send_head(Subscription& subscription);
    void take_heartbeat(Id id, const Subscription& subscription, const v1::Heartbeat& heartbeat);
    void answered(Id id, Subscription& subscription, const v1::SyncRequest& request);
    void acknowledged(Subscription& subscription, const v1::Ack& ack);
    void refused_update(Subscription& subscription, const v1::Nack& nack);
    void note_quarantine(Roster::Row& row, const v1::Ack& ack);
    void end(Id id, v1::Goaway::Reason reason, Milliseconds retry_after, const std::string& detail);
    void mark_gone(Id id, const Subscription& subscription, std::string_view why);
    static std::string asked_as(const Subscription& subscription);
    void complain(Roster::Row& row, LogLevel level, LogEvent event, const std::string& words);
    void ping(Subscription& subscription);
    void arm(const Subscription& subscription);
    void tick();

    struct Lookup {
        std::map<std::string, v1::AskedDataPlane> asked;  // by asked_as()
        std::vector<v1::RequestRecord> records;
        std::uint32_t left_out = 0;
        std::set<std::string> missing;  // who has been asked and has not answered
        LookupDone done;
        std::unique_ptr<boost::asio::steady_timer> timer;
    };
    bool looked_up(const std::string& asked_as, const v1::LookupAnswer& answer);
    void not_looked_up(const std::string& asked_as, std::string_view why);
    void finish_lookup(std::uint64_t nonce);

    boost::asio::io_context& context_;
    Log& log_;
    const HeadState& head_;
    std::string cp_id_;
    PublisherTimes times_;
    Roster roster_;
    std::map<Id, Subscription> subscriptions_;
    std::map<Id, v1::Heartbeat> superseded_;  // what those said last that drain while another has their id
    Standings standings_;
    FleetTally tally_;
    Id last_id_ = 0;
    std::uint64_t members_revision_ = 1;
    bool shutting_down_ = false;
    TokenBucket streams_{kStreamBurst, kStreamsPerSecond};
    // Lines about who is refused before it has a row of its own.
    TokenBucket refusals_{Roster::kComplaintBurst, Roster::kComplaintsPerSecond};
    std::map<std::uint64_t, Lookup> lookups_;  // by nonce
    std::uint64_t last_lookup_ = 0;
    SteadyTime crowd_logged_at_{};
    unsigned crowd_ = 0;  // who has been asked to come later
    boost::asio::steady_timer timer_;
    std::optional<SteadyTime> armed_;  // when the timer fires
    std::shared_ptr<const bool> alive_ =
        std::make_shared<const bool>(true);  // seen by the timer's handler
};

}  // namespace balancer::controlplane
