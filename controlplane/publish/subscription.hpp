// One data plane's place in the sync protocol: what it has, what it was sent, what it answered.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "controlplane/publish/head_state.hpp"
#include "controlplane/publish/sync_stream.hpp"

namespace balancer::controlplane {

// The protocol of one stream after its Hello, without timers and logs. Lives in the Registry.
class Subscription {
  public:
    Subscription(std::shared_ptr<SyncStream> stream, std::string peer, SteadyTime now);

    // Takes over what the data plane says it has.
    void greet(const v1::Hello& hello, const v1::Version& head);

    void welcome(v1::Welcome welcome);

    // Sends the head unless an Update is un-acknowledged or the head has been sent already.
    void update(const HeadState& head, SteadyTime now);

    // False: the nonce is not that of the outstanding Update; the answer counts for nothing.
    bool acknowledge(const v1::Ack& ack);

    // As acknowledge(). A refusal for a digest is answered once with every section in full.
    bool refuse(const v1::Nack& nack);

    void ping(v1::Ping ping);
    void goaway(v1::Goaway::Reason reason, Milliseconds retry_after, std::string detail);

    const std::string& dp_id() const { return dp_id_; }
    const std::string& instance_id() const { return instance_id_; }
    const std::string& peer() const { return peer_; }
    bool greeted() const { return !dp_id_.empty(); }

    // None: nothing is un-acknowledged.
    std::optional<SteadyTime> sent_at() const;

    SteadyTime heard_at;
    SteadyTime next_ping;

  private:
    struct Outstanding {
        std::uint64_t nonce = 0;
        std::map<int, std::string> sha256;  // of each section, by kind
        bool elided = false;
        SteadyTime sent_at;
    };

    std::shared_ptr<SyncStream> stream_;
    std::string peer_;
    std::string dp_id_;
    std::string instance_id_;
    std::map<int, std::string> held_;  // what the data plane has announced or acknowledged
    std::optional<Outstanding> outstanding_;
    std::optional<std::uint64_t> sent_seq_;
    std::uint64_t last_nonce_ = 0;
};

}  // namespace balancer::controlplane
