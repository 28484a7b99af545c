// Data planes that drain: told by an operator, and followed by another process of the same name.
#include <algorithm>

#include "registry_fixture.hpp"

namespace balancer::controlplane {
namespace {

class RegistryDrainTest : public RegistryTest {
  protected:
    RegistryDrainTest() { publish("a"); }

    void beat(const Peer& peer, bool draining, std::uint32_t in_flight = 0) {
        v1::SyncRequest message;
        v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
        heartbeat.set_draining(draining);
        heartbeat.set_ready(!draining);
        heartbeat.set_in_flight(in_flight);
        if (in_flight > 0) (*heartbeat.mutable_in_flight_at())["a"] = in_flight;
        registry().received(peer.id, message);
    }

    static bool was_sent_away(const Peer& peer) { return peer.stream->sent.back().has_goaway(); }
};

TEST_F(RegistryDrainTest, TellsADataPlaneToDrainAndShowsThatItDoes) {
    Peer peer = come(hello("dp-1"));
    acknowledge(peer);
    beat(peer, false, 3);
    Result<v1::DataPlaneView> told = registry().drain("dp-1", "upgrade of the host");
    ASSERT_TRUE(told);
    EXPECT_EQ(told->in_flight(), 3U);
    ASSERT_TRUE(peer.stream->sent.back().has_drain());
    EXPECT_EQ(peer.stream->sent.back().drain().reason(), "upgrade of the host");
    EXPECT_FALSE(row().draining()) << "until it says so";
    beat(peer, true, 3);
    EXPECT_TRUE(row().draining());
    registry().closed(peer.id);
    EXPECT_EQ(row().gone_reason(), "it has drained");
    EXPECT_FALSE(registry().drain("dp-1", ""));
    EXPECT_FALSE(registry().drain("nobody", ""));
}

TEST_F(RegistryDrainTest, OneThatDrainsIsFollowedWithoutBeingCutOff) {
    Peer older = come(hello("dp-1", "older"));
    acknowledge(older);
    beat(older, true, 5);
    Peer newer = come(hello("dp-1", "newer"));
    EXPECT_FALSE(older.stream->finished);
    EXPECT_FALSE(was_sent_away(older));
    acknowledge(newer);
    beat(newer, false, 2);
    EXPECT_EQ(row().instance_id(), "newer");
    EXPECT_FALSE(row().draining());
    EXPECT_EQ(row().in_flight(), 2U);
    EXPECT_EQ(row().draining_in_flight(), 5U);
    EXPECT_EQ(row().in_flight_at().at("a"), 7U) << "a drained provider is waited for at both";
    EXPECT_EQ(publisher_.members().size(), 1U);

    // It is let talk: what it says changes nothing of the other's, and its reports count.
    beat(older, true, 4);
    EXPECT_EQ(row().draining_in_flight(), 4U);
    EXPECT_EQ(row().in_flight(), 2U);
    EXPECT_TRUE(registry().connected("dp-1", "older"));
    EXPECT_TRUE(registry().connected("dp-1", "newer"));
    publish("b");
    acknowledge(older);
    EXPECT_FALSE(row().in_sync() && row().behind_since_ms() == 0) << "the older one's word is not the newer one's";
    acknowledge(newer);
    EXPECT_TRUE(row().in_sync());

    registry().closed(older.id);
    EXPECT_TRUE(row().connected());
    EXPECT_EQ(row().draining_in_flight(), 0U);
    EXPECT_FALSE(registry().connected("dp-1", "older"));
    // Should it come back, it is turned away.
    EXPECT_EQ(come(hello("dp-1", "older")).stream->sent.back().goaway().reason(), v1::Goaway::REPLACED);
    EXPECT_FALSE(newer.stream->finished);
}

TEST_F(RegistryDrainTest, AQuestionGoesToTheOlderOneToo) {
    Peer older = come(hello("dp-1", "older"));
    beat(older, true, 1);
    Peer newer = come(hello("dp-1", "newer"));
    std::optional<v1::ListRequestsResponse> answer;
    v1::Lookup what;
    what.set_in_flight(true);
    ASSERT_TRUE(registry().look_up(what, [&](v1::ListRequestsResponse found) { answer = std::move(found); }));
    for (const Peer& peer : {older, newer}) {
        v1::SyncRequest message;
        message.mutable_lookup_answer()->set_nonce(peer.stream->sent.back().lookup().nonce());
        message.mutable_lookup_answer()->add_records()->set_request_id(peer.id == older.id ? "bal_old" : "bal_new");
        registry().received(peer.id, message);
    }
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->records_size(), 2);
    EXPECT_EQ(answer->records(0).dp_id(), "dp-1/older");
    EXPECT_EQ(answer->records(1).dp_id(), "dp-1");
    EXPECT_EQ(answer->asked_size(), 2);
}

TEST_F(RegistryDrainTest, WhoSaysThatItDrainsAgainAndAgainKeepsFewStreams) {
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) {
        peers.push_back(come(hello("dp-1", "i-" + std::to_string(i))));
        beat(peers.back(), true);
    }
    auto open = std::count_if(peers.begin(), peers.end(), [](const Peer& peer) { return !peer.stream->finished; });
    EXPECT_EQ(open, 5) << "four, and the one that has the name";
    EXPECT_FALSE(peers.back().stream->finished);
}

}  // namespace
}  // namespace balancer::controlplane
