#include "controlplane/health/vote_ledger.hpp"

#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

class Votes : public testing::Test {
  protected:
    HealthPolicy policy_;  // threshold 2
    VoteLedger votes_;

    bool fail(const char* dp_id, UnixMs at, bool at_once = false) {
        AttemptOutcome outcome;
        outcome.failure = FailureClass::kOverloaded;
        outcome.http_status = 529;
        outcome.started_at = at - 10;
        outcome.at = at;
        return votes_.add(dp_id, outcome, at_once, at);
    }
    std::size_t voters(UnixMs now, UnixMs since = 0) {
        return votes_.tally(policy_, since, now, [](auto) { return true; }).voters.size();
    }
};

TEST_F(Votes, ADataPlaneVotesOnceItWouldBenchForItself) {
    EXPECT_TRUE(fail("dp-1", kNow));
    EXPECT_TRUE(fail("dp-2", kNow));
    EXPECT_EQ(voters(kNow), 0U) << "one failure each is no vote";
    fail("dp-1", kNow + 100);
    fail("dp-1", kNow + 200);
    EXPECT_EQ(voters(kNow + 200), 1U) << "one data plane has one vote";
    fail("dp-2", kNow + 300);
    Tally tally = votes_.tally(policy_, 0, kNow + 300, [](auto) { return true; });
    EXPECT_EQ(tally.voters, (std::vector<std::string>{"dp-1", "dp-2"}));
    EXPECT_EQ(tally.first, kNow);
    EXPECT_EQ(tally.words, "overloaded (HTTP 529)");
    EXPECT_EQ(votes_.failure_count(), 5U);
    EXPECT_EQ(votes_.last_failure(), kNow + 300);
}

TEST_F(Votes, OnesOwnSuccessTakesBackOnesOwnOnly) {
    for (const char* dp_id : {"dp-1", "dp-2"}) {
        fail(dp_id, kNow);
        fail(dp_id, kNow + 100);
    }
    EXPECT_FALSE(votes_.forgive("dp-1", kNow + 50)) << "it began before the last failure";
    EXPECT_TRUE(votes_.forgive("dp-1", kNow + 150));
    EXPECT_EQ(voters(kNow + 200), 1U);
    EXPECT_FALSE(votes_.forgive("dp-3", kNow + 150));
}

TEST_F(Votes, ExpireAfterThirtySecondsAndTheFailuresLater) {
    fail("dp-1", kNow);
    fail("dp-1", kNow + 100);
    EXPECT_EQ(voters(kNow + 30'099), 1U);
    EXPECT_EQ(voters(kNow + 30'100), 0U);
    EXPECT_EQ(votes_.failure_count(), 2U);
    fail("dp-1", kNow + 40'000);
    EXPECT_EQ(voters(kNow + 40'000), 1U) << "one more is a vote again";
    EXPECT_FALSE(votes_.age(policy_, kNow + 340'000));
    EXPECT_TRUE(votes_.age(policy_, kNow + 340'001));
    EXPECT_TRUE(votes_.empty());
}

TEST_F(Votes, WhatHasHadItsBenchIsNoVote) {
    fail("dp-1", kNow);
    fail("dp-1", kNow + 100);
    EXPECT_EQ(voters(kNow + 200, kNow + 100), 0U);
    fail("dp-1", kNow + 300);
    EXPECT_EQ(voters(kNow + 300, kNow + 100), 1U);
}

TEST_F(Votes, WhoDoesNotWeighIsLeftOutAndOneAnswerAboutTheAccountIsAVote) {
    EXPECT_TRUE(fail("dp-1", kNow, true));
    EXPECT_EQ(voters(kNow), 1U);
    Tally tally = votes_.tally(policy_, 0, kNow, [](std::string_view id) { return id != "dp-1"; });
    EXPECT_TRUE(tally.voters.empty());
}

TEST_F(Votes, WordsNameWhoHasTheMost) {
    EXPECT_EQ(votes_.words(policy_, true), "");
    fail("dp-1", kNow);
    fail("dp-2", kNow);
    fail("dp-2", kNow + 100);
    EXPECT_EQ(votes_.words(policy_, true), "2 of 2 failures at dp-2, last: overloaded (HTTP 529)");
    EXPECT_EQ(votes_.words(policy_, false), "2 of 2 failures, last: overloaded (HTTP 529)");
}

}  // namespace
}  // namespace balancer::controlplane
