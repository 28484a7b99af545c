// What providers have said of their accounts, over a restart.
#include "merger_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(MergerTest, WhatAProviderSaidOfItsAccountOutlivesTheProcess) {
    members(3);
    ASSERT_TRUE(answer(FailureClass::kAuth, kNow, "dp-1"));
    ASSERT_TRUE(answer(FailureClass::kRateLimited, kNow, "dp-2", "a", kNow + 90'000, "m"));
    std::vector<AccountHold> holds = merger_.holds();
    ASSERT_EQ(holds.size(), 2U);

    Merger next(kEpoch + 1, [] { return 0.0; });
    next.configure(samples::config({"a", "b"}), kNow + 5'000);
    next.restore(holds, kNow + 5'000);
    EXPECT_EQ(next.holds(), holds);
    const v1::HealthSection section = next.section();
    EXPECT_EQ(section.providers(0).circuit(), v1::CIRCUIT_OPEN);
    EXPECT_EQ(section.providers(0).until_ms(), health("a").until_ms());
    EXPECT_NE(section.providers(0).cause().find("auth"), std::string::npos);
    // Its time is over: one data plane tries it, not all of them.
    next.set_members({{"dp-1"}, {"dp-2"}});
    next.age(holds[0].until);
    EXPECT_EQ(next.section().providers(0).circuit(), v1::CIRCUIT_HALF_OPEN);
    EXPECT_NE(next.section().providers(0).probe().dp_id(), "");
    EXPECT_EQ(next.holds()[0].until, 0);
    // A start in the middle of that goes on there.
    Merger third(kEpoch + 2, [] { return 0.0; });
    third.configure(samples::config({"a", "b"}), kNow + 100'000);
    third.restore(next.holds(), kNow + 100'000);
    EXPECT_EQ(third.section().providers(0).circuit(), v1::CIRCUIT_HALF_OPEN);
}

TEST_F(MergerTest, WhatTheFleetFoundOutByTryingIsNotKept) {
    members(2);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_TRUE(merger_.holds().empty());
}

TEST_F(MergerTest, AHoldEndsWithTheGenerationAndSparesTheLastProvider) {
    const std::vector<AccountHold> holds = {
        {"a", "", "another-etag", kNow + 60'000, "refused"},
        {"gone", "", "gone-1", kNow + 60'000, "refused"},
    };
    merger_.restore(holds, kNow);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    Merger alone(kEpoch, [] { return 0.0; });
    alone.configure(samples::config({"a"}), kNow);
    alone.restore({{"a", "", "a-1", kNow + 60'000, "refused"}}, kNow);
    EXPECT_EQ(alone.section().providers(0).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_TRUE(alone.section().providers(0).spared());
}

// As the last one of its route it is in use; its turn comes when another one is there.
TEST_F(MergerTest, AHoldThatIsSparedAtARestartIsNotForgotten) {
    members(1);
    const std::vector<AccountHold> holds = {
        {"a", "", "a-1", kNow + 60'000, "dp-1 was answered auth"},
        {"b", "", "b-1", kNow + 60'000, "dp-1 was answered quota"},
    };
    merger_.restore(holds, kNow);
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    ASSERT_TRUE(health("b").spared());
    merger_.age(kNow + 1'000);
    EXPECT_TRUE(health("b").spared());
    EXPECT_EQ(merger_.holds(), holds);
    merger_.reset("a", kNow + 2'000);
    EXPECT_TRUE(merger_.age(kNow + 3'000));
    EXPECT_EQ(circuit("b"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health("b").until_ms(), kNow + 60'000);
}

TEST_F(MergerTest, ASparedHoldEndsWithItsTimeOrASuccess) {
    members(1);
    const std::vector<AccountHold> holds = {
        {"a", "", "a-1", kNow + 60'000, "refused"}, {"b", "", "b-1", kNow + 60'000, "refused"}};
    merger_.restore(holds, kNow);
    // It began before the restart: of the time after the refusal it says nothing.
    merger_.signal("dp-1", to_signal(samples::success("b", kNow + 5)), kNow + 5);
    EXPECT_TRUE(health("b").spared());
    EXPECT_TRUE(merger_.signal("dp-1", to_signal(samples::success("b", kNow + 500)), kNow + 500));
    EXPECT_FALSE(health("b").spared());
    EXPECT_EQ(merger_.holds().size(), 1U);
    merger_.restore({holds[1]}, kNow + 1'000);
    ASSERT_TRUE(health("b").spared());
    merger_.age(kNow + 60'000);
    EXPECT_FALSE(health("b").spared());
}

// Benched for what the fleet saw; the probe then learns of the limit.
TEST_F(MergerTest, ALimitThatAProbeIsToldIsKept) {
    members(2);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow, "dp-2");
    UnixMs over = health("a").until_ms();
    merger_.age(over);
    ASSERT_TRUE(merger_.holds().empty());
    v1::ProbeLease lease = health("a").probe();
    AttemptOutcome limited = samples::failure("a", over + 500);
    limited.failure = FailureClass::kRateLimited;
    limited.counted = false;
    limited.retry_at = over + 900'000;
    limited.probe_id = lease.probe_id();
    limited.probe_epoch = lease.epoch();
    EXPECT_TRUE(merger_.signal(lease.dp_id(), to_signal(limited), over + 500));
    std::vector<AccountHold> holds = merger_.holds();
    ASSERT_EQ(holds.size(), 1U);
    EXPECT_EQ(holds[0].provider, "a");
    EXPECT_EQ(holds[0].until, over + 900'000);
    EXPECT_NE(holds[0].why.find("rate_limited"), std::string::npos) << holds[0].why;
}

// A clock that was set back while nobody ran.
TEST_F(MergerTest, AHoldIsNoLongerThanAnyBench) {
    merger_.restore({{"a", "", "a-1", kNow + 9 * 3'600'000, "refused"}}, kNow);
    EXPECT_EQ(health("a").until_ms(), kNow + kBenchMax.count());
}

}  // namespace
}  // namespace balancer::controlplane
