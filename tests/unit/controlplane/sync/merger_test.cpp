#include "controlplane/health/merger.hpp"

#include <gtest/gtest.h>

#include "controlplane/service/report_ledger.hpp"
#include "model/from_proto.hpp"
#include "samples.hpp"

namespace balancer::controlplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

class MergerTest : public testing::Test {
  protected:
    MergerTest() { merger_.configure(samples::config({"a", "b"})); }

    bool fail(const std::string& provider, UnixMs at, const char* dp_id = "dp-1") {
        return merger_.signal(dp_id, to_signal(samples::failure(provider, at)), at);
    }

    v1::ProviderHealth health(int index, UnixMs now) {
        return merger_.section(now).providers(index);
    }

    Merger merger_;
};

TEST_F(MergerTest, ListsEveryProviderInOrder) {
    v1::HealthSection section = merger_.section(kNow);
    ASSERT_EQ(section.providers_size(), 2);
    EXPECT_EQ(section.providers(0).provider(), "a");
    EXPECT_EQ(section.providers(1).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(section.providers(1).etag(), "b-1");
}

TEST_F(MergerTest, AddsUpWhatDifferentDataPlanesSee) {
    EXPECT_TRUE(fail("a", kNow, "dp-1"));
    EXPECT_EQ(health(0, kNow).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health(0, kNow).failure_count(), 1U);
    std::uint64_t generation = health(0, kNow).generation();

    EXPECT_TRUE(fail("a", kNow + 100, "dp-2"));
    EXPECT_EQ(health(0, kNow + 100).circuit(), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health(0, kNow + 100).until_ms(), kNow + 100 + 60'000);
    EXPECT_EQ(health(0, kNow + 100).generation(), generation + 1);
    EXPECT_NE(health(0, kNow + 100).cause(), "");
    EXPECT_EQ(health(1, kNow + 100).circuit(), v1::CIRCUIT_CLOSED);
}

TEST_F(MergerTest, ClosesWhenItsTimeIsOverWithANewGeneration) {
    fail("a", kNow);
    fail("a", kNow + 100);
    std::uint64_t open = health(0, kNow + 100).generation();
    UnixMs later = kNow + 61'000;
    EXPECT_EQ(health(0, later).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health(0, later).generation(), open + 1);
    EXPECT_TRUE(merger_.age(later));
    EXPECT_EQ(health(0, later).generation(), open + 1);
    EXPECT_EQ(health(0, later).failure_count(), 2U);
    EXPECT_FALSE(merger_.age(later));
    EXPECT_TRUE(merger_.age(kNow + 400'000));
    EXPECT_EQ(health(0, kNow + 400'000).failure_count(), 0U);
}

TEST_F(MergerTest, ForgetsOnSuccess) {
    fail("a", kNow);
    fail("a", kNow + 100);
    EXPECT_TRUE(merger_.signal("dp-1", to_signal(samples::success("a", kNow + 200)), kNow + 200));
    EXPECT_EQ(health(0, kNow + 200).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health(0, kNow + 200).failure_count(), 0U);
}

TEST_F(MergerTest, IgnoresOtherGenerationsAndStrangers) {
    v1::Signal old = to_signal(samples::failure("a", kNow));
    old.set_etag("a-0");
    EXPECT_FALSE(merger_.signal("dp-1", old, kNow));
    EXPECT_FALSE(fail("nobody", kNow));
    EXPECT_TRUE(merger_.recent_failures("a").empty());
}

TEST_F(MergerTest, StartsANewProviderGenerationClean) {
    fail("a", kNow);
    fail("a", kNow + 100);
    std::uint64_t open = health(0, kNow + 100).generation();
    v1::ConfigSection changed = samples::config({"a", "b"});
    changed.mutable_providers(0)->set_etag("a-2");
    merger_.configure(changed);
    EXPECT_EQ(health(0, kNow + 200).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health(0, kNow + 200).etag(), "a-2");
    EXPECT_GT(health(0, kNow + 200).generation(), open);
}

TEST_F(MergerTest, KeepsHealthOverAReload) {
    fail("b", kNow);
    fail("b", kNow + 100);
    merger_.configure(samples::config({"b", "c"}));
    EXPECT_EQ(health(0, kNow + 200).circuit(), v1::CIRCUIT_OPEN);
    EXPECT_EQ(merger_.section(kNow).providers_size(), 2);
}

TEST_F(MergerTest, ResetRaisesTheGenerationEvenOfAClosedCircuit) {
    fail("a", kNow);
    std::uint64_t before = health(0, kNow).generation();
    EXPECT_TRUE(merger_.reset("a", kNow));
    EXPECT_EQ(health(0, kNow).generation(), before + 1);
    EXPECT_EQ(health(0, kNow).failure_count(), 0U);
    EXPECT_FALSE(merger_.reset("nobody", kNow));
}

TEST_F(MergerTest, CountsFailuresThatHappenTogetherOnceWhateverTheirClockSays) {
    UnixMs ahead = 30'000;
    v1::Signal first = to_signal(samples::failure("a", kNow + ahead));
    v1::Signal second = to_signal(samples::failure("a", kNow + ahead));
    EXPECT_TRUE(merger_.signal("dp-1", first, kNow));
    // Began before the first was recorded, though its own clock says otherwise: one piece of
    // evidence.
    EXPECT_FALSE(merger_.signal("dp-2", second, kNow + 1));
    EXPECT_EQ(health(0, kNow).failure_count(), 1U);
}

TEST_F(MergerTest, ShowsTheNewestTwentyFailures) {
    for (int i = 0; i < 30; ++i) fail("a", kNow + i * 1'000);
    std::vector<v1::Signal> failures = merger_.recent_failures("a");
    ASSERT_EQ(failures.size(), 20U);
    EXPECT_EQ(failures.front().at_ms(), kNow + 29'000);
}

TEST_F(MergerTest, SumsCountersOverProcessesAndTakesRepeatsOnce) {
    auto told = [](std::uint64_t attempts, std::uint64_t overloaded) {
        google::protobuf::RepeatedPtrField<v1::Counters> counters;
        v1::Counters& item = *counters.Add();
        item.set_provider("a");
        item.set_attempts(attempts);
        (*item.mutable_failures())[v1::FAILURE_CLASS_OVERLOADED] = overloaded;
        return counters;
    };
    merger_.counters("dp-1", "x", told(10, 1));
    merger_.counters("dp-1", "x", told(15, 2));
    merger_.counters("dp-1", "x", told(10, 1));  // overtaken on the way
    merger_.counters("dp-1", "y", told(3, 0));   // the same replica after a restart
    merger_.counters("dp-2", "z", told(100, 7));
    v1::ProviderTotals totals = merger_.totals("a");
    EXPECT_EQ(totals.attempts(), 118U);
    EXPECT_EQ(totals.failures().at(v1::FAILURE_CLASS_OVERLOADED), 9U);
    EXPECT_EQ(merger_.totals("b").attempts(), 0U);
}

TEST_F(MergerTest, LosesNoCountsWhenTooManyProcessesAreKnown) {
    google::protobuf::RepeatedPtrField<v1::Counters> one;
    one.Add()->set_provider("a");
    one.Mutable(0)->set_attempts(1);
    std::size_t processes = TotalsLedger::kProcessesMax + 5;
    for (std::size_t i = 0; i < processes; ++i) {
        merger_.counters("dp", "instance-" + std::to_string(i), one);
    }
    EXPECT_EQ(merger_.totals("a").attempts(), processes);
}

TEST(ReportLedgerTest, TakesEachNumberOfAProcessOnce) {
    ReportLedger ledger;
    EXPECT_TRUE(ledger.take("x", 1));
    EXPECT_FALSE(ledger.take("x", 1));
    EXPECT_TRUE(ledger.take("x", 2));
    EXPECT_FALSE(ledger.take("x", 1));
    EXPECT_TRUE(ledger.take("y", 1));
}

}  // namespace
}  // namespace balancer::controlplane
