#include "model/health.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

constexpr UnixMs kStart = 1'000'000;

class Health : public testing::Test {
  protected:
    HealthPolicy policy_{Milliseconds(60'000), 2, true, Milliseconds(300'000)};
    HealthRecord record_;

    bool fail(UnixMs started_at, UnixMs now, UnixMs retry_at = 0) {
        AttemptOutcome outcome;
        outcome.failure = retry_at > 0 ? FailureClass::kRateLimited : FailureClass::kUpstream5xx;
        outcome.counted = retry_at == 0;
        outcome.started_at = started_at;
        outcome.retry_at = retry_at;
        return record_.record(outcome, policy_, now);
    }
    bool succeed(UnixMs started_at, UnixMs now) {
        AttemptOutcome outcome;
        outcome.ok = true;
        outcome.started_at = started_at;
        return record_.record(outcome, policy_, now);
    }
    bool open(UnixMs now) { return record_.state().open(now); }
};

TEST_F(Health, OpensAtTheThresholdForTheCooldown) {
    EXPECT_TRUE(fail(kStart, kStart + 10));
    EXPECT_FALSE(open(kStart + 10));
    EXPECT_TRUE(fail(kStart + 20, kStart + 30));
    EXPECT_TRUE(open(kStart + 30));
    EXPECT_TRUE(open(kStart + 60'029));
    EXPECT_FALSE(open(kStart + 60'030));
    // The count stays: one more failure is enough.
    EXPECT_TRUE(fail(kStart + 60'100, kStart + 60'200));
    EXPECT_TRUE(open(kStart + 60'200));
}

TEST_F(Health, FailuresOfOneMomentAreOnePieceOfEvidence) {
    EXPECT_TRUE(fail(kStart, kStart + 100));
    for (int i = 0; i < 50; ++i) EXPECT_FALSE(fail(kStart + i, kStart + 100 + i));
    EXPECT_EQ(record_.state().failure_count, 1u);
    EXPECT_FALSE(open(kStart + 200));
}

TEST_F(Health, AResetThatIsToldCountsAtOnceAndOnlyAnHourAhead) {
    EXPECT_TRUE(fail(kStart, kStart + 1, kStart + 30'000));
    EXPECT_TRUE(open(kStart + 29'999));
    EXPECT_FALSE(open(kStart + 30'000));
    EXPECT_TRUE(fail(kStart, kStart + 1, kStart + 100'000'000));
    EXPECT_FALSE(open(kStart + 1 + kRetryAtMax.count()));
}

TEST_F(Health, ASuccessResetsUnlessItIsOlderThanTheFailure) {
    fail(kStart, kStart + 100);
    EXPECT_FALSE(succeed(kStart + 50, kStart + 200));
    EXPECT_EQ(record_.state().failure_count, 1u);
    EXPECT_TRUE(succeed(kStart + 150, kStart + 200));
    EXPECT_EQ(record_.state().failure_count, 0u);
    policy_.reset_on_success = false;
    fail(kStart + 300, kStart + 310);
    EXPECT_FALSE(succeed(kStart + 320, kStart + 330));
    EXPECT_EQ(record_.state().failure_count, 1u);
}

TEST_F(Health, OldFailuresAreForgottenAndALongCooldownEnds) {
    policy_.failure_cooldown = Milliseconds(300'000);
    policy_.reset_timeout = Milliseconds(2'000);
    fail(kStart, kStart + 10);
    EXPECT_FALSE(record_.age(policy_, kStart + 2'010));
    EXPECT_TRUE(record_.age(policy_, kStart + 2'011));
    EXPECT_EQ(record_.state().failure_count, 0u);
    fail(kStart + 3'000, kStart + 3'010);
    fail(kStart + 3'020, kStart + 3'030);
    EXPECT_TRUE(open(kStart + 5'029));
    EXPECT_FALSE(open(kStart + 5'030));
}

TEST_F(Health, WhatIsNotCountedChangesNothing) {
    AttemptOutcome outcome;
    outcome.failure = FailureClass::kClient;
    EXPECT_FALSE(record_.record(outcome, policy_, kStart));
    EXPECT_EQ(record_.state().failure_count, 0u);
}

}  // namespace
}  // namespace balancer
