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
#include "controlplane/publish/token_bucket.hpp"

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

    // What an acknowledgement or a refusal is worth.
    enum class Answer {
        kTaken,
        kIgnored,  // of no Update that is outstanding: it counts for nothing
        kFalse,    // it names a version that was not sent, or contradicts itself
    };

    Answer acknowledge(const v1::Ack& ack);

    // A refusal for a digest is answered once with every section in full.
    Answer refuse(const v1::Nack& nack);

    // Counts one message that moves nothing (a heartbeat, an answer to nothing). False: so many
    // come that they can only do harm.
    bool idle_talk(SteadyTime now);

    // The earliest time at which something has to be done about it.
    SteadyTime deadline(Milliseconds ack_max, Milliseconds silence_max) const;

    void ping(v1::Ping ping);

    // Queues behind what is unread, as right after an Update. Questions are few (Registry::kLookupsMax
    // at once, each for lookup_max), and who reads nothing is let go after ack_max or silence_max.
    void look_up(v1::Lookup lookup);
    void drain(v1::Drain drain);
    void goaway(v1::Goaway::Reason reason, Milliseconds retry_after, std::string detail);

    const std::string& dp_id() const { return dp_id_; }
    const std::string& instance_id() const { return instance_id_; }
    const std::string& peer() const { return peer_; }
    bool greeted() const { return !dp_id_.empty(); }

    // None: nothing is un-acknowledged.
    std::optional<SteadyTime> sent_at() const;

    SteadyTime heard_at;
    SteadyTime next_ping;

    // Another process has its id by now, which it knew before: it drains, and is let alone until it ends.
    bool superseded = false;

  private:
    struct Outstanding {
        std::uint64_t nonce = 0;
        std::map<int, std::string> sha256;  // of each section, by kind
        bool elided = false;
        SteadyTime sent_at;
        v1::Version version;
    };

    std::shared_ptr<SyncStream> stream_;
    std::string peer_;
    std::string dp_id_;
    std::string instance_id_;
    std::map<int, std::string> held_;  // what the data plane has announced or acknowledged
    std::optional<Outstanding> outstanding_;
    std::optional<std::uint64_t> sent_seq_;
    std::uint64_t last_nonce_ = 0;
    TokenBucket idle_talk_;
};

}  // namespace balancer::controlplane
