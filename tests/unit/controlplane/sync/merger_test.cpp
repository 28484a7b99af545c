#include "merger_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(MergerTest, ListsEveryProviderInOrder) {
    v1::HealthSection section = merger_.section();
    ASSERT_EQ(section.providers_size(), 2);
    EXPECT_EQ(section.providers(0).provider(), "a");
    EXPECT_EQ(section.providers(1).circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(section.providers(1).etag(), "b-1");
}

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

TEST_F(MergerTest, ALimitOnOneModelLeavesTheOthers) {
    members(5);
    answer(FailureClass::kRateLimited, kNow, "dp-1", "a", kNow + 5'000, "opus");
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(circuit("a", "opus"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(health("a", "opus").until_ms(), kNow + 5'000);
    EXPECT_EQ(health("a", "haiku").provider(), "");
    merger_.reset("a", kNow + 100);
    EXPECT_EQ(circuit("a", "opus"), v1::CIRCUIT_CLOSED);
    merger_.age(kNow + 70'000);
    EXPECT_EQ(health("a", "opus").provider(), "") << "shown for a while, then gone";
}

TEST_F(MergerTest, ModelsOfClientsMakingAreBounded) {
    members(2);
    for (int i = 0; i < 1'000; ++i) {
        answer(FailureClass::kOverloaded, kNow, "dp-1", "a", 0, "m" + std::to_string(i));
    }
    EXPECT_EQ(merger_.section().providers_size(), 2 + static_cast<int>(Merger::kModelsMax));
    EXPECT_EQ(health("a").failure_count(), 1U) << "the others are not told apart from the provider";
}

TEST_F(MergerTest, TheLastProviderOfARouteIsSparedAndItsTurnComesWhenItCan) {
    members(1);
    fail_twice("a", kNow);
    fail_twice("b", kNow);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(circuit("b"), v1::CIRCUIT_CLOSED);
    EXPECT_TRUE(health("b").spared());
    EXPECT_NE(health("b").cause().find("in use all the same"), std::string::npos);
    EXPECT_NE(health("b").cause().find("last usable provider"), std::string::npos);
    merger_.signal("dp-1", to_signal(samples::success("a", kNow + 500)), kNow + 500);
    EXPECT_TRUE(merger_.age(kNow + 600));
    EXPECT_EQ(circuit("b"), v1::CIRCUIT_OPEN);
    EXPECT_FALSE(health("b").spared());
}

TEST_F(MergerTest, AConfigurationThatLeavesNobodyElseBringsItBack) {
    members(1);
    fail_twice("a", kNow);
    v1::ConfigSection only = samples::config({"a", "b"});
    only.mutable_providers(1)->set_enabled(false);
    merger_.configure(only, kNow + 1'000);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_TRUE(health("a").spared());
    // For as long as its bench was to last, whatever becomes of the votes.
    merger_.age(kNow + 59'000);
    EXPECT_TRUE(health("a").spared());
    v1::ConfigSection again = samples::config({"a", "b"});
    merger_.configure(again, kNow + 59'100);
    EXPECT_TRUE(merger_.age(kNow + 59'200));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_OPEN) << "there is another one now";
    EXPECT_EQ(health("a").until_ms(), kNow + 60'100);
    merger_.configure(only, kNow + 59'300);
    EXPECT_TRUE(merger_.age(kNow + 60'100));
    EXPECT_FALSE(health("a").spared());
}

TEST_F(MergerTest, OneThatIsSparedWhileHalfOpenIsSoForAWhile) {
    members(1);
    fail_twice("a", kNow);
    UnixMs over = kNow + 100 + 60'000;
    merger_.age(over);
    ASSERT_EQ(circuit("a"), v1::CIRCUIT_HALF_OPEN);
    v1::ConfigSection only = samples::config({"a", "b"});
    only.mutable_providers(1)->set_enabled(false);
    merger_.configure(only, over + 1'000);
    merger_.age(over + 60'999);
    EXPECT_TRUE(health("a").spared());
    merger_.age(over + 61'000);
    EXPECT_FALSE(health("a").spared());
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

TEST_F(MergerTest, IgnoresOtherGenerationsAndStrangers) {
    v1::Signal old = to_signal(samples::failure("a", kNow));
    old.set_etag("a-0");
    EXPECT_FALSE(merger_.signal("dp-1", old, kNow));
    EXPECT_FALSE(fail("nobody", kNow));
    EXPECT_TRUE(merger_.recent_failures("a").empty());
}

TEST_F(MergerTest, StartsANewProviderGenerationClean) {
    fail_twice("a", kNow);
    std::uint64_t open = health("a").generation();
    v1::ConfigSection changed = samples::config({"a", "b"});
    changed.mutable_providers(0)->set_etag("a-2");
    merger_.configure(changed, kNow + 200);
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health("a").etag(), "a-2");
    EXPECT_GT(health("a").generation(), open);
    EXPECT_FALSE(fail("a", kNow + 300)) << "late news of the old one";
}

TEST_F(MergerTest, KeepsHealthOverAReload) {
    fail_twice("b", kNow);
    merger_.configure(samples::config({"b", "c"}), kNow + 200);
    EXPECT_EQ(circuit("b"), v1::CIRCUIT_OPEN);
    EXPECT_EQ(merger_.section().providers_size(), 2);
}

TEST_F(MergerTest, ResetIsToldEvenOfACleanProvider) {
    std::uint64_t before = health("a").resets();
    EXPECT_TRUE(merger_.reset("a", kNow));
    EXPECT_EQ(health("a").resets(), before + 1);
    fail_twice("a", kNow);
    EXPECT_TRUE(merger_.reset("a", kNow + 200));
    EXPECT_EQ(circuit("a"), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(health("a").failure_count(), 0U);
    EXPECT_FALSE(merger_.reset("nobody", kNow));
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

TEST_F(MergerTest, RemembersTheLastTwentyChangesAndTellsEachOnce) {
    members(1);
    for (int i = 0; i < 30; ++i) {
        fail_twice("a", kNow + i * 1'000);
        merger_.reset("a", kNow + i * 1'000 + 500);
    }
    const HealthHistory* history = merger_.history("a");
    ASSERT_NE(history, nullptr);
    EXPECT_EQ(history->kept().size(), HealthHistory::kKept);
    EXPECT_EQ(history->kept().front().to(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(history->counted().at(v1::CIRCUIT_OPEN), 30U);
    EXPECT_EQ(merger_.take_changes().size(), 60U);
    EXPECT_TRUE(merger_.take_changes().empty());
    EXPECT_EQ(merger_.history("nobody"), nullptr);
}

TEST_F(MergerTest, ShowsTheNewestTwentyFailures) {
    for (int i = 0; i < 30; ++i) fail("a", kNow + i * 1'000);
    std::vector<v1::Signal> failures = merger_.recent_failures("a");
    ASSERT_EQ(failures.size(), 20U);
    EXPECT_EQ(failures.front().at_ms(), kNow + 29'000);
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

// A clock that was set back while nobody ran.
TEST_F(MergerTest, AHoldIsNoLongerThanAnyBench) {
    merger_.restore({{"a", "", "a-1", kNow + 9 * 3'600'000, "refused"}}, kNow);
    EXPECT_EQ(health("a").until_ms(), kNow + kBenchMax.count());
}

}  // namespace
}  // namespace balancer::controlplane
