// Clocks that differ, and clocks that are set.
#include "merger_fixture.hpp"

namespace balancer::controlplane {
namespace {

// Whatever the clock of a data plane says: as much ahead as this, or not at all.
class AheadBy : public MergerTest, public testing::WithParamInterface<UnixMs> {};
INSTANTIATE_TEST_SUITE_P(Merger, AheadBy, testing::Values(0, 7, 30'000, 86'400'000));

TEST_P(AheadBy, FailuresInARowAreAVoteInOneReportAndInSeveral) {
    UnixMs ahead = kNow + GetParam();
    report({samples::failure("a", ahead), samples::failure("a", ahead + 11)}, kNow + 12);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    report({samples::failure("b", ahead)}, kNow + 1);
    EXPECT_EQ(health("b").failure_count(), 1U);
    report({samples::failure("b", ahead + 20)}, kNow + 22);
    EXPECT_EQ(health("b").failure_count(), 2U);
}

TEST_P(AheadBy, TwoThatMetOneHiccupAreOneFailure) {
    UnixMs ahead = kNow + GetParam();
    report({samples::failure("a", ahead)}, kNow + 1);
    EXPECT_FALSE(report({samples::failure("a", ahead + 5)}, kNow + 6));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health("a").failure_count(), 1U);
}

TEST_P(AheadBy, ASuccessOfBeforeTheBenchDoesNotEndIt) {
    UnixMs ahead = kNow + GetParam();
    report({samples::failure("a", ahead), samples::failure("a", ahead + 11)}, kNow + 12);
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    AttemptOutcome late = samples::success("a", ahead + 500);
    late.started_at = ahead + 5;
    EXPECT_FALSE(report({late}, kNow + 501));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_TRUE(report({samples::success("a", ahead + 600)}, kNow + 601));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_RAMP);
}

TEST_F(MergerTest, ABenchKeepsItsLengthWhenTheClockIsSet) {
    UnixMs at = kNow;
    for (UnixMs step : {3'600'000LL, -3'600'000LL}) {
        SCOPED_TRACE(step);
        members(3);
        ASSERT_TRUE(answer(FailureClass::kAuth, at, "dp-1"));
        UnixMs until = health("a").until_ms();
        merger_.shift(Milliseconds(step));
        EXPECT_EQ(health("a").until_ms(), until + step);
        merger_.age(until + step - 1);
        EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
        merger_.age(until + step);
        ASSERT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
        // The lease that is out by now moves as well.
        v1::ProbeLease lease = health("a").probe();
        merger_.shift(Milliseconds(-step));
        EXPECT_EQ(health("a").probe().expires_at_ms(), lease.expires_at_ms() - step);
        merger_.reset("a", until);
        at = until + 10'000'000;
    }
}

// Votes of before the step and of after it are of one moment.
TEST_F(MergerTest, VotesAreNotLostWhenTheClockIsSet) {
    UnixMs at = kNow;
    for (UnixMs step : {3'600'000LL, -3'600'000LL}) {
        SCOPED_TRACE(step);
        members(3);
        fail_twice("a", at, "dp-1");
        ASSERT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
        merger_.shift(Milliseconds(step));
        at += step + 1'000;
        fail_twice("a", at, "dp-2");
        EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
        merger_.reset("a", at);
        at += 10'000'000;
    }
}

}  // namespace
}  // namespace balancer::controlplane
