#include "controlplane/service/peer_bounds.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "controlplane/publish/token_bucket.hpp"
#include "controlplane/service/peer_clock.hpp"
#include "model/failure.hpp"

namespace balancer::controlplane {
namespace {

TEST(PeerBounds, LeaveAloneWhatAGoodDataPlaneSays) {
    v1::SyncRequest hello;
    hello.mutable_hello()->set_dp_id("dp1");
    hello.mutable_hello()->set_build("0.1.0");
    hello.mutable_hello()->mutable_applied()->set_store_uuid("7068ed7e-9a6b-465a-9723-8906b1b6dda5"
    );
    (*hello.mutable_hello()->mutable_section_sha256())[1] = std::string(32, 'd');
    v1::SyncRequest before = hello;
    bound(hello);
    EXPECT_EQ(hello.SerializeAsString(), before.SerializeAsString());

    v1::ReportRequest report;
    report.add_signals()->set_provider("a");
    report.mutable_signals(0)->set_started_at_ms(90);
    report.mutable_signals(0)->set_at_ms(100);
    report.add_counters()->set_provider("a");
    report.mutable_counters(0)->set_attempts(1'000'000'000'000);
    v1::ReportRequest same = report;
    bound(report, 100);
    EXPECT_EQ(report.SerializeAsString(), same.SerializeAsString());
}

TEST(PeerBounds, CutTextsBetweenCharacters) {
    v1::SyncRequest nack;
    std::string words;
    while (words.size() < 5'000) words += "\xe2\x82\xac";  // three bytes each
    nack.mutable_nack()->add_errors()->set_message(words);
    bound(nack);
    const std::string& cut = nack.nack().errors(0).message();
    EXPECT_LE(cut.size(), 1'024U);
    EXPECT_EQ(cut.size() % 3, 0U);
}

TEST(PeerBounds, DropWhatNobodyNeeds) {
    v1::SyncRequest hello;
    (*hello.mutable_hello()->mutable_section_sha256())[1] = "short";
    (*hello.mutable_hello()->mutable_section_sha256())[2] = std::string(32, 'd');
    (*hello.mutable_hello()->mutable_section_sha256())[4'000'000] = std::string(32, 'd');
    for (int i = 0; i < 1'000; ++i) hello.mutable_hello()->add_features("f");
    bound(hello);
    EXPECT_EQ(hello.hello().section_sha256_size(), 1);
    EXPECT_EQ(hello.hello().features_size(), 0);

    v1::SyncRequest ack;
    for (int i = 0; i < 1'000; ++i) ack.mutable_ack()->add_quarantined()->set_resource("r");
    bound(ack);
    EXPECT_EQ(ack.ack().quarantined_size(), 50);
}

TEST(PeerBounds, DropCountsThatNobodyCanHaveCounted) {
    v1::ReportRequest report;
    report.add_counters()->set_provider("absurd");
    report.mutable_counters(0)->set_attempts(~0ULL);
    report.add_counters()->set_provider("good");
    (*report.mutable_counters(1)->mutable_failures())[2] = 7;
    (*report.mutable_counters(1)->mutable_failures())[kFailureClasses] = 7;
    report.add_counters()->set_provider("absurd too");
    (*report.mutable_counters(2)->mutable_failures())[2] = ~0ULL;
    report.add_counters()->set_provider(std::string(10'000, 'n'));
    bound(report, 0);
    ASSERT_EQ(report.counters_size(), 1);
    EXPECT_EQ(report.counters(0).provider(), "good");
    EXPECT_EQ(report.counters(0).failures_size(), 1);
    for (int i = 0; i < 5'000; ++i) report.add_counters();
    bound(report, 0);
    EXPECT_EQ(report.counters_size(), 1'024);
}

TEST(PeerBounds, MoveSignalsOfTheFutureBackTogether) {
    v1::ReportRequest report;
    for (int i = 0; i < 300; ++i) {
        v1::Signal& signal = *report.add_signals();
        signal.set_at_ms(5'000'000 - i);
        signal.set_started_at_ms(6'000'000);
    }
    report.mutable_signals(1)->set_at_ms(-5);
    report.mutable_signals(1)->set_started_at_ms(-9);
    bound(report, 1'000);
    ASSERT_EQ(report.signals_size(), 200);
    EXPECT_EQ(report.signals(0).at_ms(), 1'000);
    EXPECT_EQ(report.signals(0).started_at_ms(), 1'000) << "nothing begins after its end";
    EXPECT_EQ(report.signals(150).at_ms(), 850);
    EXPECT_EQ(report.signals(1).at_ms(), 0);
    EXPECT_EQ(report.signals(1).started_at_ms(), 0);
}

TEST(PeerBounds, HeartbeatsAndProbesGrowNowhere) {
    v1::SyncRequest message;
    v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
    heartbeat.mutable_applied()->set_store_uuid(std::string(1 << 20, 'u'));
    auto& in_flight = *heartbeat.mutable_in_flight_at();
    for (std::uint32_t i = 0; i < 5'000; ++i) in_flight["p-" + std::to_string(i)] = i;
    in_flight[std::string(257, 'n')] = 1;
    bound(message);
    EXPECT_EQ(heartbeat.applied().store_uuid().size(), 256U);
    EXPECT_EQ(heartbeat.in_flight_at_size(), 1'024);
    EXPECT_EQ(heartbeat.in_flight_at().count(std::string(257, 'n')), 0U);

    v1::SyncRequest ack;
    ack.mutable_ack()->mutable_applied()->set_store_uuid(std::string(1 << 20, 'u'));
    bound(ack);
    EXPECT_EQ(ack.ack().applied().store_uuid().size(), 256U);

    v1::ReportRequest report;
    report.add_signals()->set_probe_id(std::string(1 << 20, 'p'));
    bound(report, 0);
    EXPECT_EQ(report.signals(0).probe_id().size(), 256U);
}

TEST(TokenBucket, GivesABurstAndThenItsRate) {
    SteadyTime now = steady_now();
    TokenBucket bucket(3, 2);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
    EXPECT_FALSE(bucket.take(now));
    EXPECT_GT(bucket.wait(now), Milliseconds(400));
    EXPECT_LE(bucket.wait(now), Milliseconds(502));
    now += Milliseconds(510);
    EXPECT_TRUE(bucket.take(now));
    EXPECT_FALSE(bucket.take(now));
    now += std::chrono::hours(1);
    int taken = 0;
    while (bucket.take(now)) ++taken;
    EXPECT_EQ(taken, 3) << "never more than the burst";
}

// A data plane whose clock is an hour ahead, or behind.
TEST(PeerBounds, BringTheTimesOfSignalsToOurClock) {
    constexpr UnixMs kNow = 1'700'000'000'000;
    for (UnixMs skew : {3'600'000LL, -3'600'000LL}) {
        v1::ReportRequest report;
        report.set_sent_at_ms(kNow + skew);
        v1::Signal& signal = *report.add_signals();
        signal.set_started_at_ms(kNow + skew - 20);
        signal.set_at_ms(kNow + skew - 10);
        signal.set_retry_at_ms(kNow + skew + 30'000);
        bound(report, kNow);
        EXPECT_EQ(signal.started_at_ms(), kNow - 20);
        EXPECT_EQ(signal.at_ms(), kNow - 10);
        EXPECT_EQ(signal.retry_at_ms(), kNow + 30'000);
    }
}

// A report that was 20 s on its way: the success in it began before the bench that opened meanwhile.
TEST(PeerBounds, ASuccessThatComesLateDidNotBeginLate) {
    constexpr UnixMs kNow = 1'700'000'000'000;
    auto late = [] {
        v1::ReportRequest report;
        report.set_sent_at_ms(kNow - 20'000);
        v1::Signal& success = *report.add_signals();
        success.set_ok(true);
        success.set_started_at_ms(kNow - 21'000);
        success.set_at_ms(kNow - 20'500);
        return report;
    };
    PeerClock clock;
    v1::ReportRequest first = late();
    clock.heard(first.sent_at_ms(), kNow);
    bound(first, kNow, clock.behind());
    EXPECT_EQ(first.signals(0).started_at_ms(), kNow - 21'000) << "the first on its call";
    EXPECT_LE(first.signals(0).at_ms(), kNow);

    PeerClock known;
    for (UnixMs ago : {3'000, 2'000}) known.heard(kNow - 20'000 - ago, kNow - 20'000 - ago + 5);
    v1::ReportRequest later = late();
    known.heard(later.sent_at_ms(), kNow);
    bound(later, kNow, known.behind());
    EXPECT_EQ(later.signals(0).started_at_ms(), kNow - 21'000);
}

TEST(PeerBounds, AClockThatIsBehindIsKnownByItsSecondReport) {
    constexpr UnixMs kNow = 1'700'000'000'000;
    constexpr UnixMs kHour = 3'600'000;
    PeerClock clock;
    clock.heard(kNow - 2'000 - kHour, kNow - 2'000 + 30);
    EXPECT_EQ(clock.behind(), Milliseconds(0));
    clock.heard(kNow - kHour, kNow);
    EXPECT_EQ(clock.behind(), Milliseconds(kHour));
    v1::ReportRequest report;
    report.set_sent_at_ms(kNow - kHour);
    v1::Signal& success = *report.add_signals();
    success.set_ok(true);
    success.set_started_at_ms(kNow - kHour - 20);
    success.set_at_ms(kNow - kHour - 10);
    bound(report, kNow, clock.behind());
    EXPECT_EQ(success.started_at_ms(), kNow - 20);
    EXPECT_EQ(success.at_ms(), kNow - 10);
    // Set right since: what was said before it counts no more.
    clock.heard(kNow + 2'000, kNow + 2'001);
    EXPECT_EQ(clock.behind(), Milliseconds(1));
    for (int i = 0; i < 8; ++i) clock.heard(kNow + 2'000 - kHour, kNow + 2'000);
    EXPECT_EQ(clock.behind(), Milliseconds(kHour));
}

TEST(PeerBounds, LeaveNoUseOfAnAccountThatIsNoNumber) {
    v1::ReportRequest report;
    v1::AccountUse& use = *report.add_signals()->mutable_account_use();
    use.set_status(std::string(10'000, 's'));
    use.set_claim(std::string(10'000, 'c'));
    use.set_five_hour(std::numeric_limits<double>::quiet_NaN());
    use.set_seven_day(0.5);
    bound(report, 100);
    EXPECT_LE(use.status().size(), 256U);
    EXPECT_LE(use.claim().size(), 256U);
    EXPECT_FALSE(use.has_five_hour());
    EXPECT_EQ(use.seven_day(), 0.5);
}

TEST(PeerBounds, CutRecordsOfRequests) {
    v1::SyncRequest request;
    for (int i = 0; i < 600; ++i) {
        v1::RequestRecord& record = *request.mutable_lookup_answer()->add_records();
        record.set_model(std::string(10'000, 'm'));
        for (int j = 0; j < 200; ++j) record.add_candidates()->set_why(std::string(5'000, 'w'));
    }
    bound(request);
    ASSERT_EQ(request.lookup_answer().records_size(), 500);
    EXPECT_EQ(request.lookup_answer().records(8).candidates_size(), 0);
    EXPECT_EQ(request.lookup_answer().records(499).model().size(), 256U);
    EXPECT_EQ(request.lookup_answer().records(0).model().size(), 256U);
    EXPECT_EQ(request.lookup_answer().records(0).candidates_size(), 50);
    EXPECT_EQ(request.lookup_answer().records(0).candidates(0).why().size(), 1'024U);
}

}  // namespace
}  // namespace balancer::controlplane
