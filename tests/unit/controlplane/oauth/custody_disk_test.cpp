// What becomes of logins when the disk fails, or when they move between it and memory.
#include "tests/unit/controlplane/oauth/custody_fixture.hpp"

namespace balancer::controlplane {
namespace {

using namespace test;

TEST_F(CustodyTest, ANewTokenSurvivesAFullDisk) {
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    // The claim is written, the result is not.
    idp_.set_on_post([this](const tests::TokenPost&) { store_.failing = 1; });
    std::optional<bool> ended;
    custody_->refresh("joe", RefreshCause::kByHand, [&](Result<const Account*> result) { ended = result.has_value(); });
    run_until([&] { return ended.has_value(); });
    idp_.set_on_post({});
    EXPECT_EQ(custody_->find("joe")->generation, 1U) << "on disk before anybody sees it";
    run_until([&] { return custody_->find("joe")->generation == 2; });
    EXPECT_TRUE(idp_.is_current(refresh_token()));
    open();
    EXPECT_TRUE(idp_.is_current(refresh_token()));
    EXPECT_EQ(idp_.posts_of(first), 1U);
}

TEST_F(CustodyTest, ANewTokenThatWaitsForTheDiskServesWhenTheOldOneDoesNot) {
    ASSERT_TRUE(log_in("joe"));
    std::string before = access_token();
    idp_.set_on_post([this](const tests::TokenPost&) { store_.failing = 1'000'000; });
    ASSERT_TRUE(refresh("joe"));
    EXPECT_EQ(access_token(), before) << "it serves still";
    AccountUse use = used_up("five_hour", now_ + kHour);
    custody_->used("joe", use, "claude-opus-4");
    custody_->unauthorized("joe", custody_->find("joe")->generation);
    EXPECT_NE(access_token(), before);
    EXPECT_EQ(published_.credentials(0).state(), v1::Credential::OK);
    EXPECT_EQ(published_.credentials(0).held_until_ms(), use.reset) << "told meanwhile";
    // Half of its life is over as well: it is not asked for again and again.
    now_ = now_ + 5 * kHour;
    int changes = changes_;
    SteadyTime until = steady_now() + 300ms;
    while (steady_now() < until) context_.run_one_for(50ms);
    EXPECT_LE(changes_, changes + 2);
    EXPECT_EQ(idp_.refreshes(), 1U);
}

TEST_F(CustodyTest, ANewTokenThatWaitsForTheDiskGoesAlongIntoMemory) {
    ASSERT_TRUE(log_in("joe"));
    idp_.set_on_post([this](const tests::TokenPost&) { store_.failing = 1; });
    refresh("joe");
    idp_.set_on_post({});
    ASSERT_EQ(custody_->find("joe")->generation, 1U);
    settings_.persist = false;
    custody_->configure(settings_);
    EXPECT_EQ(custody_->find("joe")->generation, 2U);
    EXPECT_TRUE(idp_.is_current(refresh_token()));
}

// What stands in its place cannot be read, and is in the way only as long as it cannot be found.
TEST_F(CustodyTest, ANewLoginSurvivesAStoreThatCannotTellWhatIsInItsWay) {
    ASSERT_TRUE(store_.put(SealedKind::kOAuthAccount, "joe", "no account", 0));
    store_.failing_gets = 1;
    ASSERT_TRUE(log_in("joe"));
    run_until([&] { return from_record((*store_.get(SealedKind::kOAuthAccount, "joe"))->content.view()).has_value(); });
    open();
    EXPECT_TRUE(idp_.is_current(refresh_token()));
}

TEST_F(CustodyTest, WithoutTheClaimOnDiskNothingIsPosted) {
    ASSERT_TRUE(log_in("joe"));
    store_.failing = 1;
    EXPECT_FALSE(refresh("joe"));
    EXPECT_EQ(idp_.refreshes(), 0U);
    ASSERT_TRUE(refresh("joe"));
}

TEST_F(CustodyTest, MemoryOnlyLeavesNothingBehind) {
    ASSERT_TRUE(log_in("joe"));
    settings_.persist = false;
    custody_->configure(settings_);
    EXPECT_EQ(store_.list(SealedKind::kOAuthAccount)->size(), 0U);
    ASSERT_TRUE(refresh("joe"));
    EXPECT_EQ(store_.list(SealedKind::kOAuthAccount)->size(), 0U);
    open();
    EXPECT_EQ(custody_->accounts().size(), 0U);
}

// What a store does not let go stays there whole, and is the one that counts.
TEST_F(CustodyTest, GoingIntoMemoryHalfWayLeavesNoOldToken) {
    ASSERT_TRUE(log_in("ann", {"uuid-ann", "ann@example.com", "o", "O"}));
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    settings_.persist = false;
    store_.failing_erases = 1;
    custody_->configure(settings_);
    ASSERT_EQ(store_.list(SealedKind::kOAuthAccount)->size(), 1U) << "ann did not go, which keeps nobody else";
    std::string kept = store_.list(SealedKind::kOAuthAccount)->front().name;
    ASSERT_TRUE(refresh(kept));
    // Whoever starts now finds the newest, not one that is spent.
    Result<std::optional<SealedRecord>> record = store_.get(SealedKind::kOAuthAccount, kept);
    EXPECT_EQ(from_record((*record)->content.view())->refresh_token.view(), refresh_token(kept));
    EXPECT_TRUE(idp_.is_current(refresh_token(kept)));
    // And it goes when it can, by itself.
    run_until([&] { return store_.list(SealedKind::kOAuthAccount)->empty(); });
    ASSERT_TRUE(refresh("ann"));
    ASSERT_TRUE(refresh("joe"));
    EXPECT_EQ(store_.list(SealedKind::kOAuthAccount)->size(), 0U);
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(CustodyTest, GoingOntoAFullDiskIsFinishedLater) {
    settings_.persist = false;
    custody_->configure(settings_);
    ASSERT_TRUE(log_in("ann", {"uuid-ann", "ann@example.com", "o", "O"}));
    ASSERT_TRUE(log_in("joe"));
    settings_.persist = true;
    store_.failing = 1;
    custody_->configure(settings_);
    EXPECT_EQ(store_.list(SealedKind::kOAuthAccount)->size(), 1U);
    EXPECT_EQ(custody_->accounts().size(), 2U);
    ASSERT_TRUE(refresh("ann"));
    ASSERT_TRUE(refresh("joe"));
    custody_->configure(settings_);
    EXPECT_EQ(store_.list(SealedKind::kOAuthAccount)->size(), 2U);
    open();
    EXPECT_TRUE(idp_.is_current(refresh_token("ann")));
    EXPECT_TRUE(idp_.is_current(refresh_token("joe")));
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

// And back before it was done.
TEST_F(CustodyTest, AMoveThatIsTakenBackHalfWayIsNone) {
    ASSERT_TRUE(log_in("joe"));
    settings_.persist = false;
    store_.failing_erases = 1;
    custody_->configure(settings_);
    settings_.persist = true;
    custody_->configure(settings_);
    ASSERT_TRUE(refresh("joe"));
    open();
    EXPECT_TRUE(idp_.is_current(refresh_token()));
    ASSERT_TRUE(refresh("joe"));
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(CustodyTest, ALoginThatCannotBeReadCanBeLoggedOutOrReplaced) {
    for (const char* name : {"ann", "bob", "joe"}) ASSERT_TRUE(store_.put(SealedKind::kOAuthAccount, name, "no record", 0));
    open();
    EXPECT_EQ(custody_->problems().size(), 3U);
    ASSERT_TRUE(log_in("joe"));
    EXPECT_EQ(custody_->problems().size(), 2U) << "it is another one now";
    EXPECT_EQ(*custody_->forget("ann"), 1U);
    EXPECT_EQ(*custody_->forget(""), 2U);
    EXPECT_TRUE(custody_->problems().empty());
    EXPECT_TRUE(store_.list(SealedKind::kOAuthAccount)->empty());
}

// A full disk, or a folder that another control plane has taken, is not asked all the time.
TEST_F(CustodyTest, WhatTheDiskDoesNotTakeIsTriedLessAndLessOften) {
    save_again_ = 20ms;
    open();
    ASSERT_TRUE(log_in("joe"));
    store_.failing = 1'000'000;
    ASSERT_TRUE(log_in("joe"));
    int before = store_.puts;
    SteadyTime until = steady_now() + 1'500ms;
    while (steady_now() < until) context_.run_one_for(20ms);
    EXPECT_GE(store_.puts, before + 2);
    EXPECT_LE(store_.puts, before + 8) << "20 ms, 40 ms, 80 ms and so on";
    store_.failing = 0;
    run_until([&] {
        Result<std::optional<SealedRecord>> record = store_.get(SealedKind::kOAuthAccount, "joe");
        return idp_.is_current(std::string(from_record((*record)->content.view())->refresh_token.view()));
    });
    EXPECT_TRUE(idp_.is_current(refresh_token()));
}

// Somebody else's record, in place of the one that custody knows.
class SharedStoreTest : public CustodyTest {
  protected:
    Account stored() { return *from_record((*store_.get(SealedKind::kOAuthAccount, "joe"))->content.view()); }

    void overwrite(const Account& account) {
        std::uint64_t generation = (*store_.get(SealedKind::kOAuthAccount, "joe"))->generation;
        ASSERT_TRUE(store_.put(SealedKind::kOAuthAccount, "joe", to_record(account), generation));
    }

    // As if another process had logged in.
    void log_in_elsewhere() {
        Account other = stored();
        other.access_token = SecretBytes("their-access");
        other.refresh_token = SecretBytes("their-refresh");
        other.generation += 5;
        other.issued_at = now_ + 1000;
        overwrite(other);
    }
};

TEST_F(SharedStoreTest, AClaimGivesWayToANewerLoginAndPostsNothing) {
    ASSERT_TRUE(log_in("joe"));
    log_in_elsewhere();
    Result<std::string> refreshed = refresh("joe");
    ASSERT_FALSE(refreshed);
    EXPECT_TRUE(is_not_now(refreshed.error())) << refreshed.error().text();
    EXPECT_EQ(idp_.refreshes(), 0U) << "the token may be spent already";
    EXPECT_EQ(access_token(), "their-access");
    EXPECT_EQ(custody_->find("joe")->generation, 6U);
    EXPECT_EQ(stored().refresh_token.view(), "their-refresh");
    EXPECT_NE(published_.credentials(0).header_value().find("their-access"), std::string::npos);
}

TEST_F(SharedStoreTest, AHoldIsNoReasonToLoseANewerLogin) {
    ASSERT_TRUE(log_in("joe"));
    log_in_elsewhere();
    custody_->used("joe", used_up("five_hour", now_ + kHour), "claude-opus-4");
    EXPECT_EQ(stored().refresh_token.view(), "their-refresh");
    EXPECT_EQ(access_token(), "their-access");
}

TEST_F(SharedStoreTest, AReceivedTokenIsKeptAndGetsAHigherNumber) {
    ASSERT_TRUE(log_in("joe"));
    IdpAnswer slow;
    slow.delay = 300ms;
    idp_.answer_next({slow});
    std::optional<bool> ended;
    custody_->refresh("joe", RefreshCause::kByHand, [&](Result<const Account*> result) { ended = result.has_value(); });
    run_until([&] { return idp_.refreshes() == 1; });
    Account other = stored();
    other.access_token = SecretBytes("their-access");
    other.generation += 5;
    other.issued_at -= 1000;
    overwrite(other);
    run_until([&] { return ended.has_value(); });
    EXPECT_TRUE(idp_.is_current(refresh_token()));
    EXPECT_EQ(stored().refresh_token.view(), refresh_token());
    EXPECT_EQ(custody_->find("joe")->generation, 7U) << "behind theirs, which data planes may have seen";
    open();
    EXPECT_TRUE(idp_.is_current(refresh_token()));
}

TEST_F(SharedStoreTest, AReceivedTokenThatWaitedForTheDiskIsKeptAsWell) {
    ASSERT_TRUE(log_in("joe"));
    idp_.set_on_post([this](const tests::TokenPost&) { store_.failing = 1; });
    ASSERT_TRUE(refresh("joe"));
    idp_.set_on_post({});
    // In use before it is on disk.
    custody_->unauthorized("joe", 1);
    ASSERT_EQ(custody_->find("joe")->generation, 2U);
    Account other = stored();
    other.problem = "somebody was here";
    overwrite(other);
    run_until([&] { return stored().generation > 1; });
    EXPECT_EQ(stored().refresh_token.view(), refresh_token());
    EXPECT_TRUE(idp_.is_current(refresh_token()));
}

TEST_F(SharedStoreTest, ALogoutIsOneWhateverStandsThere) {
    ASSERT_TRUE(log_in("joe"));
    log_in_elsewhere();
    EXPECT_EQ(*custody_->forget("joe"), 1U);
    EXPECT_TRUE(store_.list(SealedKind::kOAuthAccount)->empty());
}

}  // namespace
}  // namespace balancer::controlplane
