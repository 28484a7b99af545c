#include <thread>
#include <utility>

#include "controlplane/publish/roster.hpp"
#include "registry_fixture.hpp"

namespace balancer::controlplane {
namespace {

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

// Each counted failure is a new version: somebody is always one behind.
TEST_F(RegistryTest, IsInSyncWhileHealthMovesAndBehindSinceTheFirstThatItLacks) {
    publish("a");
    Peer peer = come(hello("dp-1"));
    acknowledge(peer);
    publish_failures(1);
    publish_failures(2);
    EXPECT_TRUE(row().in_sync()) << "they are on their way";
    EXPECT_EQ(row().acknowledged().seq(), 11U);
    UnixMs first = row().behind_since_ms();
    EXPECT_GT(first, 0);
    std::this_thread::sleep_for(Milliseconds(30));
    publish_failures(3);
    EXPECT_LE(row().behind_since_ms() - first, 5) << "not since the last one";
    acknowledge(peer);
    EXPECT_EQ(row().acknowledged().seq(), 12U);
    EXPECT_LE(row().behind_since_ms() - first, 5) << "since what came right behind it";
    acknowledge(peer);
    EXPECT_EQ(row().behind_since_ms(), 0);

    publish_failures(4);
    refuse(peer, v1::NACK_CODE_INVALID);
    EXPECT_FALSE(row().in_sync()) << "it has refused it, so nothing is on its way";
}

TEST_F(RegistryTest, CountsWhatAProcessDroppedOnceWhateverItsStream) {
    publish("a");
    Peer first = come(hello("dp-1"));
    registry().signals_dropped("dp-1", "i-1", 5);
    registry().signals_dropped("dp-1", "i-1", 5);
    Peer second = come(hello("dp-1"));
    registry().signals_dropped("dp-1", "i-1", 7);
    registry().signals_dropped("dp-1", "another", 100);
    EXPECT_EQ(publisher_.tally().signals_dropped, 7U);
    come(hello("dp-1", "i-2"));
    registry().signals_dropped("dp-1", "i-2", 3);
    EXPECT_EQ(publisher_.tally().signals_dropped, 10U);
    EXPECT_EQ(row().signals_dropped(), 3U);
}

TEST(RosterTest, WhoIsBehindForLongerThanAMomentIsOutOfSync) {
    Roster roster{Milliseconds(60'000)};
    SteadyTime now = steady_now();
    Roster::Row& row = roster.admit("dp-1", now);
    row.subscription = 1;
    auto in_sync = [&](std::uint64_t head) {
        return roster.views(samples::version(1, head), now, 1'000'000).at(0).in_sync();
    };
    roster.published(samples::version(1, 1), now);
    roster.greeted(row, now);
    EXPECT_FALSE(in_sync(1)) << "it has acknowledged nothing";
    roster.acknowledged(row, samples::version(1, 1), samples::version(1, 1));
    for (std::uint64_t seq = 2; seq < 2'000; ++seq) {
        now += Milliseconds(50);
        roster.published(samples::version(1, seq), now);
        roster.acknowledged(row, samples::version(1, seq - 1), samples::version(1, seq));
        ASSERT_TRUE(in_sync(seq));
    }
    UnixMs since = roster.views(samples::version(1, 1'999), now, 1'000'000).at(0).behind_since_ms();
    EXPECT_EQ(since, 1'000'000);
    now += Milliseconds(2'000);
    EXPECT_TRUE(in_sync(1'999));
    now += Milliseconds(1);
    EXPECT_FALSE(in_sync(1'999));
    // However much is published meanwhile.
    for (std::uint64_t seq = 2'000; seq < 4'000; ++seq) roster.published(samples::version(1, seq), now);
    since = roster.views(samples::version(1, 3'999), now, 1'000'000).at(0).behind_since_ms();
    EXPECT_EQ(since, 1'000'000 - 2'001);
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

class LookupTest : public RegistryTest {
  protected:
    LookupTest() { publish("a"); }

    static v1::Lookup about(const std::string& request_id) {
        v1::Lookup what;
        what.set_request_id(request_id);
        return what;
    }

    void ask() {
        Result<void> asked = registry().look_up(about("bal_1"), [this](v1::ListRequestsResponse response) {
            EXPECT_FALSE(answer_) << "answered twice";
            answer_ = std::move(response);
        });
        ASSERT_TRUE(asked) << asked.error().text();
    }

    void say(const Peer& peer, const std::string& request_id) {
        for (const v1::SyncResponse& message : peer.stream->sent) {
            if (!message.has_lookup()) continue;
            EXPECT_EQ(message.lookup().request_id(), "bal_1");
            v1::SyncRequest out;
            out.mutable_lookup_answer()->set_nonce(message.lookup().nonce());
            out.mutable_lookup_answer()->set_plain_since_ms(17);
            if (!request_id.empty()) {
                v1::RequestRecord& record = *out.mutable_lookup_answer()->add_records();
                record.set_request_id(request_id);
                record.set_dp_id("somebody else");
            }
            registry().received(peer.id, out);
        }
    }

    std::optional<v1::ListRequestsResponse> answer_;
};

TEST_F(LookupTest, AsksEveryDataPlaneAndSaysWhoKnew) {
    Peer one = come(hello("dp-1"));
    Peer two = come(hello("dp-2"));
    ask();
    say(one, "");
    EXPECT_FALSE(answer_);
    say(two, "bal_1");
    ASSERT_TRUE(answer_);
    ASSERT_EQ(answer_->records_size(), 1);
    EXPECT_EQ(answer_->records(0).dp_id(), "dp-2");
    ASSERT_EQ(answer_->asked_size(), 2);
    EXPECT_TRUE(answer_->asked(0).answered());
    EXPECT_EQ(answer_->asked(0).plain_since_ms(), 17);
    // What comes after that, or was never asked for, is so much idle talk.
    say(one, "bal_1");
}

TEST_F(LookupTest, WhoDoesNotAnswerDelaysItByTheTimeAllowedAndIsNamed) {
    Peer one = come(hello("dp-1"));
    Peer mute = come(hello("dp-2"));
    Peer deaf = come(hello("dp-3"));
    deaf.stream->stuck = true;
    // It may only be busy with an Update of this moment: it is asked all the same.
    Peer gone = come(hello("dp-4"));
    registry().closed(gone.id);
    ask();
    say(one, "bal_1");
    ASSERT_TRUE(run_until([&] { return answer_.has_value(); }));
    EXPECT_EQ(answer_->records_size(), 1);
    ASSERT_EQ(answer_->asked_size(), 4);
    EXPECT_EQ(answer_->asked(0).why_not(), "");
    EXPECT_EQ(answer_->asked(1).why_not(), "no answer within 30 ms");
    EXPECT_EQ(answer_->asked(2).why_not(), "no answer within 30 ms");
    EXPECT_TRUE(deaf.stream->sent.back().has_lookup());
    EXPECT_EQ(answer_->asked(3).why_not(), "gone: its stream ended");
}

TEST_F(LookupTest, WhoGoesMeanwhileIsNotWaitedFor) {
    Peer one = come(hello("dp-1"));
    ask();
    registry().closed(one.id);
    ASSERT_TRUE(answer_);
    EXPECT_EQ(answer_->asked(0).why_not(), "gone: its stream ended");
}

TEST_F(LookupTest, WithoutDataPlanesThereIsAnAnswer) {
    ask();
    ASSERT_TRUE(run_until([&] { return answer_.has_value(); }));
    EXPECT_EQ(answer_->asked_size(), 0);
}

TEST_F(LookupTest, OnlySoManyAtOnceAndNoneIsLeftBehind) {
    Peer one = come(hello("dp-1"));
    std::size_t answered = 0;
    for (std::size_t i = 0; i < Publisher::Registry::kLookupsMax; ++i) {
        ASSERT_TRUE(registry().look_up(about("bal_1"), [&](const auto&) { ++answered; }));
    }
    EXPECT_FALSE(registry().look_up(about("bal_1"), [&](const auto&) { ++answered; }));
    registry().shutdown();
    EXPECT_EQ(answered, Publisher::Registry::kLookupsMax);
}

// What was refused for having no provider goes out again once it is meant, although its bytes are
// the same.
TEST_F(RegistryTest, TheSameConfigurationIsPublishedAgainWhenItsEmptinessIsMeant) {
    v1::ConfigSection none = samples::config({});
    publisher_.publish_config(none, {}, "test", {1, false});
    Peer peer = come(hello("dp-1"));
    EXPECT_FALSE(peer.stream->updates().back().may_be_empty());
    refuse(peer, v1::NACK_CODE_INVALID);
    publisher_.publish_config(none, {}, "test", {2, true});
    ASSERT_EQ(peer.stream->updates().size(), 2U);
    EXPECT_TRUE(peer.stream->updates().back().may_be_empty());
    EXPECT_EQ(peer.stream->updates().back().revision(), 2U);
    acknowledge(peer);
    // Whoever comes later is told as well.
    EXPECT_TRUE(come(hello("dp-2")).stream->updates().back().may_be_empty());
}

TEST_F(RegistryTest, TellsWhenItsMembersMayBeOthers) {
    publish("a");
    std::uint64_t known = registry().members_revision();
    auto news = [&] { return std::exchange(known, registry().members_revision()) != known; };
    auto beat = [&](const Peer& peer, bool ready) {
        v1::SyncRequest message;
        message.mutable_heartbeat()->set_ready(ready);
        registry().received(peer.id, message);
    };
    Peer first = come(hello("dp-1"));
    EXPECT_TRUE(news());
    acknowledge(first);
    EXPECT_FALSE(news());
    beat(first, true);
    EXPECT_FALSE(news()) << "as it was taken to be";
    beat(first, false);
    EXPECT_TRUE(news());
    beat(first, false);
    EXPECT_FALSE(news());
    Peer second = come(hello("dp-1", "i-2"));
    EXPECT_TRUE(news()) << "another process under its name";
    registry().closed(second.id);
    EXPECT_TRUE(news());
    EXPECT_TRUE(registry().members().empty());
}

}  // namespace
}  // namespace balancer::controlplane
