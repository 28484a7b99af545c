// What it takes to bench a provider for all.
#include "merger_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(MergerTest, ALoneDataPlaneDecides) {
    members(1);
    EXPECT_TRUE(fail("a", kNow));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health("a").failure_count(), 1U);
    EXPECT_EQ(health("a").cause(), "1 of 2 failures, last: overloaded (HTTP 529)");
    std::uint64_t generation = health("a").generation();

    EXPECT_TRUE(fail("a", kNow + 100));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health("a").until_ms(), kNow + 100 + 60'000);
    EXPECT_EQ(health("a").generation(), generation + 1);
    EXPECT_EQ(
        health("a").cause(), "open until 22:14:20 UTC: 2 of 2 failures, last: overloaded (HTTP 529)"
    );
    EXPECT_EQ(circuit("b"), v1::CIRCUIT_CLOSED);
}

TEST_F(MergerTest, OneOfManyBenchesNobodyElse) {
    members(5);
    for (int i = 0; i < 100; ++i) fail("a", kNow + i * 100);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health("a").cause(), "100 of 2 failures at dp-1, last: overloaded (HTTP 529)");
}

TEST_F(MergerTest, AQuorumOfTheUsersBenchesForAll) {
    members(5);
    // All five use it.
    for (std::uint64_t attempts : {0, 100}) {
        for (int i = 1; i <= 5; ++i) {
            google::protobuf::RepeatedPtrField<v1::Counters> counters;
            counters.Add()->set_provider("a");
            counters.Mutable(0)->set_attempts(attempts);
            merger_.counters(
                "dp-" + std::to_string(i), "x", counters, kNow + static_cast<UnixMs>(attempts)
            );
        }
    }
    fail_twice("a", kNow + 1'000, "dp-1");
    fail_twice("a", kNow + 1'000, "dp-2");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    fail_twice("a", kNow + 1'200, "dp-3");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(
        health("a").cause(),
        "open until 22:14:21 UTC: 3 of 5 data planes saw overloaded (HTTP 529); first at 22:13:21 "
        "UTC"
    );
}

// The sequence of an operator who sees one data plane fail and restarts it.
TEST_F(MergerTest, AVoteLeavesWithItsDataPlane) {
    for (FailureClass failure : {FailureClass::kOverloaded, FailureClass::kConnect}) {
        members(2);
        answer(failure, kNow, "dp-2");
        answer(failure, kNow + 100, "dp-2");
        EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED) << "one of two";
        EXPECT_TRUE(merger_.set_members({member(1)}));
        merger_.age(kNow + 1'000);
        EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED) << "dp-1 has seen no failure";
        EXPECT_EQ(health("a").failure_count(), 0U);
        // What comes late, and what a new process of the name begins with.
        EXPECT_FALSE(answer(FailureClass::kAuth, kNow + 1'100, "dp-2"));
        EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    }
    members(2);
    fail_twice("a", kNow, "dp-2");
    EXPECT_FALSE(merger_.set_members({member(1), member(2)}));
    EXPECT_EQ(health("a").failure_count(), 2U);
    EXPECT_TRUE(merger_.set_members({member(1), member(2, "y")})) << "restarted between two looks";
    EXPECT_EQ(health("a").failure_count(), 0U);
}

TEST_F(MergerTest, VotesThatAreTooFarApartMakeNoQuorum) {
    members(3);
    fail_twice("a", kNow, "dp-1");
    fail_twice("a", kNow + 40'000, "dp-2");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
}

TEST_F(MergerTest, FailuresToConnectNeedAMajorityOfTheFleet) {
    members(5);
    auto cannot_connect = [&](const char* dp_id, UnixMs at) {
        answer(FailureClass::kConnect, at, dp_id);
        answer(FailureClass::kConnect, at + 100, dp_id);
    };
    cannot_connect("dp-1", kNow);
    cannot_connect("dp-2", kNow);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    cannot_connect("dp-3", kNow);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
}

TEST_F(MergerTest, ARefusedKeyBenchesForAllOnOneReport) {
    members(5);
    EXPECT_TRUE(answer(FailureClass::kAuth, kNow, "dp-4"));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health("a").until_ms(), kNow + 60'000);
    EXPECT_NE(health("a").cause().find("dp-4 was answered auth"), std::string::npos);
    EXPECT_TRUE(answer(FailureClass::kQuota, kNow + 10, "dp-4", "a", kNow + 9'000'000));
    EXPECT_EQ(health("a").until_ms(), kNow + 10 + 3'600'000) << "an hour at most";
}

TEST_F(MergerTest, OneDataPlanesWordAboutAccountsIsWorthTwoProvidersAMinute) {
    merger_.configure(samples::config({"a", "b", "c", "d", "e"}), kNow);
    members(5);
    for (const char* provider : {"a", "b", "c"})
        answer(FailureClass::kAuth, kNow, "dp-1", provider);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(circuit("b"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(circuit("c"), v1::CIRCUIT_CLOSED);
    answer(FailureClass::kAuth, kNow, "dp-2", "c");
    EXPECT_EQ(circuit("c"), v1::CIRCUIT_OPEN) << "another has seen it too";
}

TEST_F(MergerTest, WithoutResetOnSuccessThePastIsRememberedButNotBenchedTwice) {
    v1::ConfigSection config = samples::config({"a", "b"});
    config.mutable_settings()->mutable_health()->set_unhealthy_reset_on_success(false);
    config.mutable_settings()->mutable_health()->set_failure_cooldown_ms(300);
    merger_.configure(config, kNow);
    members(1);
    fail_twice("a", kNow);
    UnixMs over = kNow + 400;
    merger_.age(over);
    EXPECT_TRUE(probe(true, health("a").probe(), over + 100));
    merger_.age(over + 200);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_RAMP);
    EXPECT_EQ(health("a").failure_count(), 2U);
    EXPECT_TRUE(fail("a", over + 300));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN) << "one more is enough";
}

TEST_F(MergerTest, ASuspectWeighsNothing) {
    v1::ConfigSection config = samples::config({"a", "b", "c"});
    config.mutable_settings()->mutable_health()->set_failure_cooldown_ms(10'000);
    merger_.configure(config, kNow);
    members(3);
    std::uint64_t attempts = 0;
    for (UnixMs at = kNow; at <= kNow + 4'000; at += 2'000, attempts += 20) {
        for (int i = 1; i <= 3; ++i) {
            google::protobuf::RepeatedPtrField<v1::Counters> counters;
            for (const char* provider : {"a", "b", "c"}) {
                v1::Counters& item = *counters.Add();
                item.set_provider(provider);
                item.set_attempts(attempts);
                if (i == 1) (*item.mutable_failures())[v1::FAILURE_CLASS_UPSTREAM_5XX] = attempts;
            }
            merger_.counters("dp-" + std::to_string(i), "x", counters, at);
        }
        merger_.age(at);
    }
    ASSERT_TRUE(merger_.standings().contains("dp-1"));
    answer(FailureClass::kAuth, kNow + 5'000, "dp-1");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    fail_twice("a", kNow + 5'000, "dp-1");
    fail_twice("a", kNow + 5'000, "dp-2");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    fail_twice("a", kNow + 5'000, "dp-3");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    merger_.age(kNow + 16'000);
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
    EXPECT_NE(health("a").probe().dp_id(), "dp-1");
}

}  // namespace
}  // namespace balancer::controlplane
