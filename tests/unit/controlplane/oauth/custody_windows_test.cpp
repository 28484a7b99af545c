// What answers tell of an account's windows, and what follows from it.
#include "tests/unit/controlplane/oauth/custody_fixture.hpp"

namespace balancer::controlplane {
namespace {

using namespace test;

TEST_F(CustodyTest, AnAccountWithAUsedUpWindowIsHeldUntilItsReset) {
    ASSERT_TRUE(log_in("joe"));
    AccountUse use = used_up("five_hour", kNow + 2 * kHour);
    custody_->used("joe", use, "claude-sonnet-4-5");
    EXPECT_EQ(published_.credentials(0).held_until_ms(), kNow + 2 * kHour);
    EXPECT_EQ(published_.credentials(0).held_why(), "its 5-hour window is used up");
    open();
    EXPECT_EQ(custody_->find("joe")->held_until, kNow + 2 * kHour) << "a restart knows it";
    // A time that no window has says nothing.
    ASSERT_TRUE(log_in("ann", {"uuid-ann", "ann@example.com", "o", "O"}));
    use.claim = "seven_day";
    use.reset = kNow + 30 * 24 * kHour;
    custody_->used("ann", use, "claude-sonnet-4-5");
    EXPECT_EQ(custody_->find("ann")->held_until, 0);
}

TEST_F(CustodyTest, AUsedUpWindowOfOneFamilyHoldsOnlyThat) {
    ASSERT_TRUE(log_in("joe"));
    AccountUse use = used_up("seven_day_opus", kNow + 50 * kHour);
    custody_->used("joe", use, "claude-opus-4-1");
    auto published = [&]() -> const v1::Credential& { return published_.credentials(0); };
    EXPECT_EQ(published().held_until_ms(), 0);
    ASSERT_EQ(published().model_holds_size(), 1);
    EXPECT_EQ(published().model_holds(0).family(), "opus");
    EXPECT_EQ(published().model_holds(0).until_ms(), use.reset) << "however far, unlike a bench";
    EXPECT_EQ(published().model_holds(0).why(), "its window for opus models is used up");
    int changes = changes_;
    custody_->used("joe", use, "claude-opus-4-5");
    EXPECT_EQ(changes_, changes) << "known";
    // A word that is no part of the model's name is no family.
    use.claim = "seven_day_oauth_apps";
    custody_->used("joe", use, "claude-opus-4-1");
    use.claim = "overage";
    custody_->used("joe", use, "claude-opus-4-1");
    EXPECT_EQ(changes_, changes);
    use.claim = "seven_day_sonnet";
    custody_->used("joe", use, "claude-sonnet-4-5");
    EXPECT_EQ(published().model_holds_size(), 2);
    open();
    EXPECT_EQ(custody_->find("joe")->family_holds.size(), 2U) << "a restart knows them";
    now_ = kNow + 50 * kHour;
    published_.Clear();
    custody_->add_credentials(published_, any_account);
    EXPECT_EQ(published().model_holds_size(), 0);
}

TEST_F(CustodyTest, WhatAnAccountHasLeftIsPublishedInSteps) {
    ASSERT_TRUE(log_in("joe"));
    EXPECT_EQ(published_.credentials(0).headroom_percent(), 100U) << "nothing is known";
    AccountUse use;
    use.status = "allowed";
    use.five_hour = 0.1;
    use.five_hour_reset = kNow + 60'000;
    use.seven_day = 0.2;
    int changes = changes_;
    custody_->used("joe", use, "m");
    EXPECT_EQ(changes_, changes);
    use.five_hour = 0.97;
    custody_->used("joe", use, "m");
    use.five_hour = 0.98;
    custody_->used("joe", use, "m");
    EXPECT_EQ(changes_, changes + 1);
    EXPECT_EQ(published_.credentials(0).headroom_percent(), 5U);
    // The window begins anew without anybody's word for it: seen at the next look at the time.
    now_ = kNow + 60'000;
    custody_->configure(settings_);
    run_until([&] { return published_.credentials(0).headroom_percent() == 100; });
}

TEST_F(CustodyTest, AHoldIsLiftedByHandAlsoAfterARestart) {
    ASSERT_TRUE(log_in("joe"));
    AccountUse use = used_up("seven_day", kNow + 24 * kHour);
    custody_->used("joe", use, "claude-opus-4");
    ASSERT_NE(published_.credentials(0).held_until_ms(), 0);
    custody_->lift_holds("joe");
    EXPECT_EQ(published_.credentials(0).held_until_ms(), 0);
    open();
    EXPECT_EQ(custody_->find("joe")->held_until, 0);
}

}  // namespace
}  // namespace balancer::controlplane
