// Data planes that do not keep to the protocol.
#include <set>

#include "registry_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(RegistryTest, BelievesAnAcknowledgementOnlyOfWhatWasSent) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    v1::SyncRequest message;
    message.mutable_ack()->set_nonce(peer.stream->updates().back().nonce());
    *message.mutable_ack()->mutable_applied() = samples::version(4, 9'999);
    registry().received(peer.id, message);
    EXPECT_TRUE(peer.stream->finished);
    EXPECT_FALSE(row().connected());
    EXPECT_EQ(row().applied().seq(), 0U);
    EXPECT_NE(row().gone_reason().find("was not sent"), std::string::npos);
    EXPECT_GT(row().gone_at_ms(), 0);
}

TEST_F(RegistryTest, NeitherAHelloNorAHeartbeatPutsADataPlaneInSync) {
    publish("a");
    v1::Hello boast = hello("dp-1");
    *boast.mutable_applied() = publisher_.head();
    boast.set_applied_source(v1::Hello::DISK);
    Peer peer = come(boast);
    v1::SyncRequest message;
    *message.mutable_heartbeat()->mutable_applied() = publisher_.head();
    registry().received(peer.id, message);
    EXPECT_FALSE(row().in_sync());
    EXPECT_GT(row().behind_since_ms(), 0);
    EXPECT_EQ(row().applied_source(), v1::Hello::DISK);
    acknowledge(peer);
    EXPECT_TRUE(row().in_sync());
    EXPECT_EQ(row().behind_since_ms(), 0);
    EXPECT_EQ(row().applied_source(), v1::Hello::MEMORY);
    EXPECT_GT(row().acknowledged_at_ms(), 0);
}

TEST_F(RegistryTest, ARefusalThatContradictsItselfEndsTheStream) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    v1::Update sent = peer.stream->updates().back();
    v1::SyncRequest message;
    message.mutable_nack()->set_nonce(sent.nonce());
    message.mutable_nack()->set_code(v1::NACK_CODE_INVALID);
    *message.mutable_nack()->mutable_still_applied() = sent.version();
    registry().received(peer.id, message);
    EXPECT_TRUE(peer.stream->finished);
    EXPECT_FALSE(row().in_sync());
}

TEST_F(RegistryTest, CutsOffWhoTalksWithoutEnd) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    acknowledge(peer);
    v1::SyncRequest message;
    message.mutable_heartbeat()->set_ready(true);
    int taken = 0;
    while (!peer.stream->finished && taken < 1'000) {
        registry().received(peer.id, message);
        ++taken;
    }
    EXPECT_GE(taken, 50) << "a few too many do no harm";
    EXPECT_LT(taken, 1'000);
    EXPECT_EQ(peer.stream->sent.back().goaway().reason(), v1::Goaway::OVERLOADED);
    EXPECT_GT(peer.stream->sent.back().goaway().retry_after_ms(), 0U);
}

TEST_F(RegistryTest, OneThatComesAgainAndAgainIsAskedToWaitAndTheOthersAreNot) {
    publish("a");
    Peer last;
    int welcomed = 0;
    for (int i = 0; i < 50; ++i) {
        last = come(hello("loop"));
        welcomed += last.stream->updates().empty() ? 0 : 1;
        registry().closed(last.id);
    }
    EXPECT_GE(welcomed, 10);
    EXPECT_LT(welcomed, 20);
    EXPECT_EQ(last.stream->sent.back().goaway().reason(), v1::Goaway::OVERLOADED);
    EXPECT_GE(last.stream->sent.back().goaway().retry_after_ms(), 1'000U);
    EXPECT_EQ(come(hello("other")).stream->updates().size(), 1U);
}

TEST_F(RegistryTest, RefusedHellosFillNoLog) {
    publish("a");
    int lines = 0;
    log_.set_tap([&](const LogRecord& record) {
        lines += record.event == LogEvent::kDataPlaneRefused ? 1 : 0;
    });
    for (int i = 0; i < 500; ++i) {
        v1::Hello other = hello("dp-" + std::to_string(i));
        other.set_protocol_major(2);
        EXPECT_EQ(come(other).stream->sent.back().goaway().reason(), v1::Goaway::INCOMPATIBLE);
    }
    EXPECT_GE(lines, 10);
    EXPECT_LE(lines, 25);
}

TEST_F(RegistryTest, ACrowdBeyondTheBurstIsSpreadOverTime) {
    publish("a");
    std::set<std::uint32_t> waits;
    unsigned welcomed = 0;
    for (int i = 0; i < 800; ++i) {
        Peer peer = come(hello("dp-" + std::to_string(i)));
        if (peer.stream->updates().empty()) {
            waits.insert(peer.stream->sent.back().goaway().retry_after_ms());
        } else {
            ++welcomed;
        }
    }
    EXPECT_GE(welcomed, 500U);
    EXPECT_LT(welcomed, 800U);
    EXPECT_GT(waits.size(), 100U) << "they must not come back together";
}

TEST_F(RegistryTest, EndsAStreamWithoutAcknowledgementEvenBesideManyThatTalk) {
    publish("a");
    Peer silent = come(hello("silent"));
    std::vector<Peer> talkers;
    for (int i = 0; i < 5; ++i) talkers.push_back(come(hello("talker-" + std::to_string(i))));
    for (const Peer& talker : talkers) acknowledge(talker);
    v1::SyncRequest message;
    message.mutable_heartbeat()->set_ready(true);
    int said = 0;
    EXPECT_TRUE(run_until([&] {
        for (const Peer& talker : talkers) {
            if (said < 200) registry().received(talker.id, message);
        }
        said += 5;
        return silent.stream->finished;
    }));
}

}  // namespace
}  // namespace balancer::controlplane
