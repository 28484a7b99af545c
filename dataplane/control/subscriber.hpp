// Keeps one Sync stream to a control plane, whichever of them can be reached.
#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "dataplane/control/applier.hpp"
#include "dataplane/control/backoff.hpp"
#include "dataplane/control/client_stream.hpp"
#include "dataplane/control/status_board.hpp"

namespace balancer::dataplane {

// How long things may take. The defaults are the protocol's; tests shorten them.
struct SubscriberTimes {
    Milliseconds heartbeat{2'000};     // also how often the limits below are looked at
    Milliseconds connect_max{5'000};   // from the first try of an address to its Welcome
    Milliseconds silence_max{15'000};  // the control plane pings every 5 s
    Milliseconds behind_max{10'000};   // behind the head that a Ping told of
};

// Lives on the control thread. A stream that falls silent, or that stays behind the head it tells
// of, is torn down: keepalive sees a dead connection, but not a live one on which nothing moves.
class Subscriber {
  public:
    struct Identity {
        std::string dp_id;
        std::string instance_id;
        std::string token;
    };
    struct Hooks {
        std::function<void(Applied&)> on_applied;
        std::function<void(std::shared_ptr<grpc::Channel>, const v1::Welcome&)> on_connected;
        std::function<void()> on_lost;
        std::function<void(const v1::Ping&)> on_ping = [](const v1::Ping&) {};
        std::function<void()> on_unreachable;  // once: every address has been tried, none welcomed
        std::function<std::uint32_t()> in_flight;
        std::function<std::vector<std::pair<std::string, std::uint32_t>>()> in_flight_at;
        std::function<bool()> ready;
        std::function<bool()> draining = [] { return false; };
        std::function<void(const v1::Drain&)> on_drain = [](const v1::Drain&) {};
        // Answers what the control plane asks of a request, later, on the loop.
        std::function<void(const v1::Lookup&, std::function<void(v1::LookupAnswer)>)> look_up =
            [](const v1::Lookup&, const std::function<void(v1::LookupAnswer)>&) {};
    };

    Subscriber(
        std::shared_ptr<boost::asio::io_context> loop,
        std::vector<std::string> addresses,
        Identity identity,
        Hooks hooks,
        Applier& applier,
        StatusBoard& board,
        Log& log,
        SubscriberTimes times = {}
    );

    void start();

    // A heartbeat out of turn: ready() or draining() is another than before.
    void tell_state();

    // For good; no hook runs any more.
    void stop();

  private:
    using Stream = ClientStream<v1::SyncRequest, v1::SyncResponse>;
    using Order = std::pair<std::uint64_t, std::uint64_t>;  // (epoch, seq)

    void connect();
    void say_hello();
    void received(const v1::SyncResponse& response);
    void welcomed(const v1::Welcome& welcome);
    void apply(const v1::Update& update);
    void pinged(const v1::Ping& ping);
    void asked(const v1::Lookup& lookup);
    void told_to_go(const v1::Goaway& goaway);
    void note_head();
    void tick();
    void send_heartbeat();
    std::optional<std::string> complaint(SteadyTime now) const;
    void give_up(std::string why, Milliseconds not_before = Milliseconds(0));
    void log_loss(const std::string& why);

    std::shared_ptr<boost::asio::io_context> loop_;
    std::vector<std::string> addresses_;
    Identity identity_;
    Hooks hooks_;
    Applier& applier_;
    StatusBoard& board_;
    Log& log_;
    SubscriberTimes times_;
    Backoff backoff_;

    std::size_t next_address_ = 0;
    std::size_t failures_ = 0;  // of streams before the first Welcome
    std::string address_;
    std::shared_ptr<grpc::Channel> channel_;
    std::shared_ptr<Stream> stream_;
    std::string leaving_;  // why this stream is being left; empty: it is not
    bool welcomed_ = false;
    bool told_ready_ = false;  // by the last heartbeat
    bool ever_welcomed_ = false;
    SteadyTime opened_at_;
    SteadyTime heard_at_;
    Order head_;
    Order answered_;  // the newest version that has been applied or refused
    std::optional<SteadyTime> behind_since_;
    std::string
        loss_logged_;  // the last reason that was logged; empty: none since the last Welcome
    bool stopped_ = false;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer retry_timer_;
};

}  // namespace balancer::dataplane
