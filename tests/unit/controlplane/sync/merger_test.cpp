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

}  // namespace
}  // namespace balancer::controlplane
