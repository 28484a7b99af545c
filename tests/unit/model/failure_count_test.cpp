#include "model/failure_count.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

constexpr UnixMs kStart = 1'000'000;

class Failures : public testing::Test {
  protected:
    HealthPolicy policy_{Milliseconds(60'000), 2, true, Milliseconds(300'000)};
    FailureCount count_;

    bool fail(UnixMs began, UnixMs ended, FailureClass failure = FailureClass::kUpstream5xx) {
        AttemptOutcome outcome;
        outcome.failure = failure;
        outcome.http_status = 500;
        outcome.detail = "no";
        outcome.started_at = began;
        outcome.at = ended;
        return count_.add(outcome, ended);
    }
};

TEST_F(Failures, ThoseOfOneMomentAreOnePieceOfEvidence) {
    EXPECT_TRUE(fail(kStart, kStart + 100));
    for (int i = 0; i <= 50; ++i) EXPECT_FALSE(fail(kStart + 2 * i, kStart + 100 + i));
    EXPECT_EQ(count_.count(), 1U);
    EXPECT_TRUE(fail(kStart + 101, kStart + 200));
    EXPECT_EQ(count_.count(), 2U);
    EXPECT_EQ(count_.first(), kStart + 100);
    EXPECT_EQ(count_.last(), kStart + 200);
    EXPECT_EQ(count_.words(), "upstream_5xx (HTTP 500): no");
}

TEST_F(Failures, ASuccessForgetsUnlessItIsOlderThanTheLastOne) {
    fail(kStart, kStart + 100);
    EXPECT_FALSE(count_.forgive(kStart + 50));
    EXPECT_EQ(count_.count(), 1U);
    EXPECT_TRUE(count_.forgive(kStart + 150));
    EXPECT_EQ(count_.count(), 0U);
    EXPECT_FALSE(count_.forgive(kStart + 160)) << "there is nothing to forget";
}

TEST_F(Failures, OldOnesAreForgottenAndWithoutATimeoutNever) {
    fail(kStart, kStart + 10);
    EXPECT_FALSE(count_.age(policy_, kStart + 300'010));
    EXPECT_TRUE(count_.age(policy_, kStart + 300'011));
    EXPECT_EQ(count_.count(), 0U);
    policy_.reset_timeout = Milliseconds(0);
    fail(kStart, kStart + 10);
    EXPECT_FALSE(count_.age(policy_, kStart + 300'000'000));
}

TEST_F(Failures, WhatMayBeTheOwnWayOutIsMarkedAsSuch) {
    fail(kStart, kStart, FailureClass::kConnect);
    EXPECT_TRUE(count_.local_origin());
    fail(kStart + 1, kStart + 2, FailureClass::kTimeout);
    EXPECT_FALSE(count_.local_origin());
    AttemptOutcome before_connect;
    before_connect.failure = FailureClass::kTimeout;
    before_connect.local_origin = true;
    before_connect.started_at = kStart + 3;
    count_.add(before_connect, kStart + 4);
    EXPECT_TRUE(count_.local_origin());
}

TEST(Outcome, SaysWhatItConcernsAndWhetherItActsAtOnce) {
    AttemptOutcome outcome;
    outcome.model = "claude-opus";
    struct Case {
        FailureClass failure;
        UnixMs retry_at;
        bool of_model;
        bool at_once;
    };
    for (const Case& one : {
             Case{FailureClass::kRateLimited, 0, true, false},
             Case{FailureClass::kRateLimited, 5, true, true},
             Case{FailureClass::kOverloaded, 5, true, false},
             Case{FailureClass::kAuth, 0, false, true},
             Case{FailureClass::kQuota, 0, false, true},
             Case{FailureClass::kUpstream5xx, 5, false, false},
             Case{FailureClass::kConnect, 0, false, false},
             Case{FailureClass::kTimeout, 0, false, false},
         }) {
        SCOPED_TRACE(name_of(one.failure));
        outcome.failure = one.failure;
        outcome.retry_at = one.retry_at;
        EXPECT_EQ(model_concerned(outcome), one.of_model ? "claude-opus" : "");
        EXPECT_EQ(benches_at_once(outcome), one.at_once);
    }
    outcome.failure = FailureClass::kOverloaded;
    outcome.model = std::string(kModelNameMax + 1, 'm');
    EXPECT_EQ(model_concerned(outcome), "") << "a name of any length is no key";
    outcome.ok = true;
    outcome.failure = FailureClass::kAuth;
    EXPECT_FALSE(benches_at_once(outcome));
}

}  // namespace
}  // namespace balancer
