#include "controlplane/publish/registry.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <set>

#include "samples.hpp"

namespace balancer::controlplane {
namespace {

class FakeStream final : public SyncStream {
  public:
    void send(v1::SyncResponse message) override { sent.push_back(std::move(message)); }
    bool busy() const override { return stuck; }
    void finish() override { finished = true; }

    // Of the messages sent: the updates.
    std::vector<v1::Update> updates() const {
        std::vector<v1::Update> out;
        for (const v1::SyncResponse& message : sent) {
            if (message.has_update()) out.push_back(message.update());
        }
        return out;
    }

    std::vector<v1::SyncResponse> sent;
    bool stuck = false;
    bool finished = false;
};

class RegistryTest : public testing::Test {
  protected:
    RegistryTest() { log_.set_level(LogLevel::kError); }

    static PublisherTimes quick() {
        PublisherTimes times;
        times.ping_interval = Milliseconds(20);
        times.ack_max = Milliseconds(60);
        times.silence_max = Milliseconds(90);
        return times;
    }

    struct Peer {
        std::shared_ptr<FakeStream> stream = std::make_shared<FakeStream>();
        Publisher::Registry::Id id = 0;
    };

    Peer come(v1::Hello hello) {
        Peer peer;
        peer.id = registry().open(peer.stream, "ipv4:127.0.0.1:1");
        v1::SyncRequest message;
        *message.mutable_hello() = std::move(hello);
        registry().received(peer.id, message);
        return peer;
    }

    static v1::Hello hello(const std::string& dp_id, const std::string& instance = "i-1") {
        v1::Hello out;
        out.set_dp_id(dp_id);
        out.set_instance_id(instance);
        out.set_protocol_major(1);
        return out;
    }

    void acknowledge(const Peer& peer) {
        v1::Update last = peer.stream->updates().back();
        v1::SyncRequest message;
        message.mutable_ack()->set_nonce(last.nonce());
        *message.mutable_ack()->mutable_applied() = last.version();
        registry().received(peer.id, message);
    }

    void refuse(const Peer& peer, v1::NackCode code) {
        v1::Update last = peer.stream->updates().back();
        v1::SyncRequest message;
        v1::Nack& nack = *message.mutable_nack();
        nack.set_nonce(last.nonce());
        nack.set_code(code);
        nack.add_errors()->set_message("because");
        registry().received(peer.id, message);
    }

    void publish(const std::string& provider) {
        publisher_.publish_config(samples::config({provider}), {}, "test");
    }

    void publish_failures(std::uint32_t count) {
        v1::HealthSection health;
        health.add_providers()->set_failure_count(count);
        publisher_.publish_health(health, "test");
    }

    // Runs the loop until `done` says so, at most two seconds.
    template <class Done>
    bool run_until(Done done) {
        SteadyTime limit = steady_now() + std::chrono::seconds(2);
        while (!done() && steady_now() < limit) {
            context_.restart();
            context_.run_one_for(Milliseconds(10));
        }
        return done();
    }

    Publisher::Registry& registry() { return publisher_.registry(); }
    v1::DataPlaneView row(int index = 0) {
        return publisher_.data_planes().at(static_cast<std::size_t>(index));
    }

    boost::asio::io_context context_{1};
    Log log_{"test"};
    Publisher publisher_{context_, log_, samples::version(4, 10), "cp", quick()};
};

TEST_F(RegistryTest, SendsNothingBeforeAConfigurationIsPublished) {
    publish_failures(1);
    EXPECT_FALSE(publisher_.ready());
    Peer early = come(hello("dp-1"));
    ASSERT_EQ(early.stream->sent.size(), 1U);
    EXPECT_TRUE(early.stream->sent[0].has_goaway());
    EXPECT_TRUE(early.stream->finished);
    EXPECT_TRUE(publisher_.data_planes().empty());
}

TEST_F(RegistryTest, RaisesTheVersionOnlyWhenBytesChange) {
    publish("a");
    EXPECT_EQ(publisher_.head().epoch(), 4U);
    EXPECT_EQ(publisher_.head().seq(), 11U);
    publish("a");
    EXPECT_EQ(publisher_.head().seq(), 11U);
    publish_failures(1);
    EXPECT_EQ(publisher_.head().seq(), 12U);
}

TEST_F(RegistryTest, WelcomesThenSendsEverything) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    ASSERT_EQ(peer.stream->sent.size(), 2U);
    EXPECT_EQ(peer.stream->sent[0].welcome().epoch(), 4U);
    v1::Update update = peer.stream->updates().at(0);
    ASSERT_EQ(update.sections_size(), 3);
    for (const v1::Section& section : update.sections()) {
        EXPECT_FALSE(section.unchanged());
        EXPECT_EQ(section.sha256(), sha256(section.payload()));
    }
    EXPECT_FALSE(row().in_sync());
    acknowledge(peer);
    EXPECT_TRUE(row().in_sync());
}

TEST_F(RegistryTest, MergesWhatComesWhileAnUpdateIsOutstanding) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    for (std::uint32_t i = 1; i <= 5; ++i) publish_failures(i);
    EXPECT_EQ(peer.stream->updates().size(), 1U);
    acknowledge(peer);
    std::vector<v1::Update> updates = peer.stream->updates();
    ASSERT_EQ(updates.size(), 2U);
    EXPECT_EQ(updates[1].version().seq(), publisher_.head().seq());
    EXPECT_TRUE(updates[1].sections(0).unchanged());
    EXPECT_TRUE(updates[1].sections(0).payload().empty());
    EXPECT_FALSE(updates[1].sections(1).unchanged());
    v1::HealthSection health;
    ASSERT_TRUE(health.ParseFromString(updates[1].sections(1).payload()));
    EXPECT_EQ(health.providers(0).failure_count(), 5U);
}

TEST_F(RegistryTest, SendsOnlyUnchangedSectionsToWhoHasThemAll) {
    publish("a");
    Peer first = come(hello("dp-1"));
    v1::Hello again = hello("dp-1");
    *again.mutable_applied() = publisher_.head();
    v1::Update update = first.stream->updates()[0];
    for (const v1::Section& section : update.sections()) {
        (*again.mutable_section_sha256())[section.kind()] = section.sha256();
    }
    Peer second = come(again);
    EXPECT_TRUE(first.stream->finished) << "a newer stream of the same process takes its place";
    v1::Update elided = second.stream->updates().at(0);
    for (const v1::Section& section : elided.sections()) EXPECT_TRUE(section.unchanged());
    EXPECT_LT(elided.ByteSizeLong(), 300U);
}

TEST_F(RegistryTest, ShowsARefusalAndWaitsForTheNextVersion) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    refuse(peer, v1::NACK_CODE_INVALID);
    EXPECT_EQ(peer.stream->updates().size(), 1U);
    EXPECT_NE(row().last_nack().find("because"), std::string::npos);
    EXPECT_GT(row().last_nack_at_ms(), 0);
    EXPECT_FALSE(row().in_sync());
    publish("b");
    EXPECT_EQ(peer.stream->updates().size(), 2U);
}

TEST_F(RegistryTest, SendsAllInFullOnceAfterADigestIsRefused) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    acknowledge(peer);
    publish_failures(1);
    refuse(peer, v1::NACK_CODE_DIGEST);
    ASSERT_EQ(peer.stream->updates().size(), 3U);
    v1::Update full = peer.stream->updates().back();
    for (const v1::Section& section : full.sections()) EXPECT_FALSE(section.unchanged());
    refuse(peer, v1::NACK_CODE_DIGEST);
    EXPECT_EQ(peer.stream->updates().size(), 3U) << "nothing more can be done for it";
}

TEST_F(RegistryTest, IgnoresAnAnswerToAnotherUpdate) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    publish_failures(1);
    v1::SyncRequest message;
    message.mutable_ack()->set_nonce(77);
    registry().received(peer.id, message);
    EXPECT_EQ(peer.stream->updates().size(), 1U);
}

TEST_F(RegistryTest, ANewerInstanceTakesThePlaceAndKeepsIt) {
    publish("a");
    Peer older = come(hello("dp-1", "older"));
    Peer newer = come(hello("dp-1", "newer"));
    EXPECT_EQ(older.stream->sent.back().goaway().reason(), v1::Goaway::REPLACED);
    EXPECT_TRUE(older.stream->finished);
    EXPECT_EQ(row().instance_id(), "newer");
    EXPECT_TRUE(row().connected());

    // The two must not take turns.
    Peer back = come(hello("dp-1", "older"));
    EXPECT_EQ(back.stream->sent.back().goaway().reason(), v1::Goaway::REPLACED);
    EXPECT_FALSE(newer.stream->finished);

    registry().closed(newer.id);
    EXPECT_FALSE(row().connected());
    Peer alone = come(hello("dp-1", "older"));
    EXPECT_FALSE(alone.stream->finished);
}

TEST_F(RegistryTest, RefusesAnotherProtocol) {
    publish("a");
    v1::Hello other = hello("dp-1");
    other.set_protocol_major(2);
    Peer peer = come(other);
    ASSERT_EQ(peer.stream->sent.size(), 1U);
    EXPECT_EQ(peer.stream->sent[0].goaway().reason(), v1::Goaway::INCOMPATIBLE);
}

TEST_F(RegistryTest, StillSendsToADataPlaneThatIsAhead) {
    publish("a");
    v1::Hello ahead = hello("dp-1");
    *ahead.mutable_applied() = samples::version(4, 9'999);
    log_.set_level(LogLevel::kError);
    EXPECT_EQ(come(ahead).stream->updates().size(), 1U);
}

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

TEST_F(RegistryTest, EndsAStreamWithoutAcknowledgement) {
    publish("a");
    Peer silent = come(hello("silent"));
    EXPECT_TRUE(run_until([&] { return silent.stream->finished; }));
    EXPECT_NE(
        silent.stream->sent.back().goaway().detail().find("acknowledgement"), std::string::npos
    );
    EXPECT_FALSE(row().connected());
    // What it still says is not listened to.
    std::size_t sent = silent.stream->sent.size();
    acknowledge(silent);
    EXPECT_EQ(silent.stream->sent.size(), sent);
}

TEST_F(RegistryTest, EndsAStreamThatNeverSaysHello) {
    publish("a");
    Peer mute;
    mute.id = registry().open(mute.stream, "peer");
    EXPECT_TRUE(run_until([&] { return mute.stream->finished; }));
}

TEST_F(RegistryTest, PingsWithTheHeadButNotWhoDoesNotRead) {
    publish("a");
    Peer reader = come(hello("reader"));
    Peer stuck = come(hello("stuck"));
    acknowledge(reader);
    acknowledge(stuck);
    stuck.stream->stuck = true;
    EXPECT_TRUE(run_until([&] { return reader.stream->sent.back().has_ping(); }));
    EXPECT_EQ(reader.stream->sent.back().ping().head().seq(), publisher_.head().seq());
    EXPECT_TRUE(stuck.stream->sent.back().has_update());
}

TEST_F(RegistryTest, ShowsHeartbeatsAndDroppedSignals) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    v1::SyncRequest message;
    message.mutable_heartbeat()->set_in_flight(12);
    message.mutable_heartbeat()->set_ready(true);
    message.mutable_heartbeat()->mutable_applied()->set_seq(3);
    (*message.mutable_heartbeat()->mutable_in_flight_at())["alpha"] = 5;
    registry().received(peer.id, message);
    registry().signals_dropped("dp-1", "i-1", 4);
    registry().signals_dropped("dp-1", "another instance", 9);
    EXPECT_EQ(row().in_flight(), 12U);
    EXPECT_EQ(row().in_flight_at().at("alpha"), 5U);
    EXPECT_EQ(row().heard_version().seq(), 3U);
    EXPECT_TRUE(row().ready());
    EXPECT_EQ(row().signals_dropped(), 4U);
    EXPECT_EQ(row().peer(), "ipv4:127.0.0.1:1");
}

TEST_F(RegistryTest, SaysGoodbyeToEveryoneAtShutdown) {
    publish("a");
    Peer one = come(hello("dp-1"));
    Peer two = come(hello("dp-2"));
    registry().shutdown();
    EXPECT_EQ(one.stream->sent.back().goaway().reason(), v1::Goaway::SHUTDOWN);
    EXPECT_TRUE(two.stream->finished);
    Peer late = come(hello("dp-3"));
    EXPECT_EQ(late.stream->sent.back().goaway().reason(), v1::Goaway::SHUTDOWN);
}

}  // namespace
}  // namespace balancer::controlplane
