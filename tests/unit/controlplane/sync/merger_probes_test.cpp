// The way back: leases, probes, the ramp.
#include "merger_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(MergerTest, ALeaseIsWithdrawnFromADataPlaneThatLeaves) {
    members(2);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    UnixMs over = kNow + 100 + 60'000;
    merger_.age(over);
    v1::ProbeLease lease = health("a").probe();
    bool first = lease.dp_id() == "dp-1";
    EXPECT_TRUE(merger_.set_members({member(first ? 2 : 1)}));
    EXPECT_TRUE(merger_.age(over + 1'000));
    EXPECT_EQ(health("a").probe().dp_id(), first ? "dp-2" : "dp-1") << "at once, not in 30 s";
    EXPECT_FALSE(probe(true, lease, over + 1'100));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
}

TEST_F(MergerTest, HalfOpenIsOneLeaseAndARampFollowsItsSuccess) {
    members(3);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    UnixMs over = kNow + 100 + 60'000;
    EXPECT_EQ(merger_.next_change(), over);
    EXPECT_FALSE(merger_.age(over - 1));
    EXPECT_TRUE(merger_.age(over));
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
    v1::ProbeLease lease = health("a").probe();
    EXPECT_EQ(lease.epoch(), kEpoch);
    EXPECT_EQ(lease.expires_at_ms(), over + 30'000);
    EXPECT_FALSE(merger_.age(over + 1'000)) << "one lease at a time";

    v1::ProbeLease wrong = lease;
    wrong.set_probe_id("4-99");
    EXPECT_FALSE(probe(true, wrong, over + 100));
    wrong = lease;
    wrong.set_epoch(3);
    EXPECT_FALSE(probe(true, wrong, over + 100));
    wrong = lease;
    wrong.set_dp_id(lease.dp_id() == "dp-3" ? "dp-1" : "dp-3");
    EXPECT_FALSE(probe(true, wrong, over + 100));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
    EXPECT_EQ(merger_.probe_tally().ignored, 3U);

    EXPECT_TRUE(probe(true, lease, over + 500));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_RAMP);
    EXPECT_EQ(health("a").ramp_percent(), 10U);
    EXPECT_EQ(health("a").failure_count(), 0U);
    EXPECT_FALSE(health("a").has_probe());
    merger_.age(over + 500 + 5'000);
    EXPECT_EQ(health("a").ramp_percent(), 50U);
    merger_.age(over + 500 + 10'000);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_FALSE(probe(true, lease, over + 20'000)) << "and never again";
}

TEST_F(MergerTest, AProvidersProbeThatMeetsALimitOnAModelBringsTheProviderBack) {
    members(2);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    UnixMs over = health("a").until_ms();
    merger_.age(over);
    v1::ProbeLease lease = health("a").probe();
    AttemptOutcome limited = samples::failure("a", over + 500);
    limited.failure = FailureClass::kRateLimited;
    limited.counted = false;
    limited.model = "opus";
    limited.retry_at = over + 3'000'000;
    limited.probe_id = lease.probe_id();
    limited.probe_epoch = lease.epoch();
    EXPECT_TRUE(merger_.signal(lease.dp_id(), to_signal(limited), over + 500));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_RAMP);
    EXPECT_EQ(circuit("a", "opus"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health("a", "opus").until_ms(), over + 3'000'000);
    EXPECT_EQ(merger_.probe_tally().succeeded, 1U);
}

TEST_F(MergerTest, AModelsProbeThatMeetsABrokenProviderBringsNobodyBack) {
    members(2);
    answer(FailureClass::kRateLimited, kNow, "dp-1", "a", kNow + 5'000, "opus");
    ASSERT_EQ(circuit("a", "opus"), v1::CIRCUIT_OPEN);
    merger_.age(kNow + 5'000);
    v1::ProbeLease lease = health("a", "opus").probe();
    AttemptOutcome broken = samples::failure("a", kNow + 5'500);
    broken.failure = FailureClass::kUpstream5xx;
    broken.model = "opus";
    broken.probe_id = lease.probe_id();
    broken.probe_epoch = lease.epoch();
    EXPECT_TRUE(merger_.signal(lease.dp_id(), to_signal(broken), kNow + 5'500));
    EXPECT_EQ(circuit("a", "opus"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health("a").failure_count(), 1U);
}

TEST_F(MergerTest, ALeaseThatExpiresGoesToAnotherAndItsEndIsWorthNothing) {
    members(2);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    UnixMs over = kNow + 100 + 60'000;
    merger_.age(over);
    v1::ProbeLease first = health("a").probe();
    EXPECT_TRUE(merger_.age(over + 30'000));
    v1::ProbeLease second = health("a").probe();
    EXPECT_NE(second.dp_id(), first.dp_id());
    EXPECT_FALSE(probe(true, first, over + 30'100));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
    EXPECT_TRUE(probe(false, second, over + 30'200));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health("a").until_ms(), over + 30'200 + 120'000);
    EXPECT_EQ(merger_.probe_tally().expired, 1U);
}

TEST_F(MergerTest, ASuccessFromElsewhereIsAsGoodAsAProbe) {
    members(2);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    // One that began before it opened says nothing about the time after.
    EXPECT_FALSE(merger_.signal("dp-1", to_signal(samples::success("a", kNow + 105)), kNow + 105));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_TRUE(merger_.signal("dp-1", to_signal(samples::success("a", kNow + 115)), kNow + 115));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_RAMP);
}

}  // namespace
}  // namespace balancer::controlplane
