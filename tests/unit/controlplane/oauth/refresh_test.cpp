// When a refresh token is posted, and what follows from each way in which that can end.
#include "controlplane/oauth/refresh.hpp"

#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;
constexpr UnixMs kMinute = 60'000;
constexpr UnixMs kHour = 60 * kMinute;

TokenGrant grant(const std::string& number, Milliseconds expires_in = std::chrono::hours(8)) {
    TokenGrant out;
    out.access_token = SecretBytes("access-" + number);
    out.refresh_token = SecretBytes("refresh-" + number);
    out.expires_in = expires_in;
    return out;
}

Account logged_in() {
    Account account;
    account.name = "joe";
    take_grant(account, grant("1"), kNow, 0.5);
    return account;
}

TokenOutcome ended(TokenResult result) {
    TokenOutcome outcome;
    outcome.result = result;
    outcome.words = "because";
    if (result == TokenResult::kIssued) outcome.grant = grant("2");
    return outcome;
}

Account after(TokenResult result, UnixMs posted, bool unauthorized = false) {
    Account account = logged_in();
    account.unauthorized = unauthorized;
    claim_refresh(account, "attempt", posted);
    settle_refresh(account, ended(result), posted + 1'000, 0);
    EXPECT_FALSE(account.claim);
    return account;
}

TEST(Refresh, IsDueAtHalfOfTheLifetimeMoreOrLess) {
    for (double chance : {0.0, 0.5, 0.999}) {
        Account account;
        take_grant(account, grant("1"), kNow, chance);
        EXPECT_GE(*next_refresh(account), kNow + 3 * kHour + 11 * kMinute);
        EXPECT_LE(*next_refresh(account), kNow + 4 * kHour + 49 * kMinute);
    }
    EXPECT_EQ(*next_refresh(logged_in()), kNow + 4 * kHour);
    EXPECT_FALSE(no_refresh_now(logged_in(), RefreshCause::kDue, kNow + 4 * kHour - 1).size() == 0);
    EXPECT_EQ(no_refresh_now(logged_in(), RefreshCause::kDue, kNow + 4 * kHour), "");
}

TEST(Refresh, ANewTokenReplacesTheOldPair) {
    Account account = after(TokenResult::kIssued, kNow + 4 * kHour);
    EXPECT_EQ(account.access_token.view(), "access-2");
    EXPECT_EQ(account.refresh_token.view(), "refresh-2");
    EXPECT_EQ(account.generation, 2U);
    EXPECT_EQ(account.trust, 0U) << "what is known of its health stays";
    // From before the post on: the endpoint's clock began no earlier.
    EXPECT_EQ(account.expires_at, kNow + 12 * kHour);
}

TEST(Refresh, AnAnswerWithoutARefreshTokenKeepsTheOldOne) {
    Account account = logged_in();
    TokenOutcome outcome = ended(TokenResult::kIssued);
    outcome.grant.refresh_token = SecretBytes();
    claim_refresh(account, "a", kNow);
    settle_refresh(account, std::move(outcome), kNow, 0);
    EXPECT_EQ(account.refresh_token.view(), "refresh-1");
    EXPECT_EQ(account.access_token.view(), "access-2");
}

TEST(Refresh, InvalidGrantIsTheEndOfTheLoginButNotOfItsLastToken) {
    Account account = after(TokenResult::kInvalidGrant, kNow + 4 * kHour);
    EXPECT_TRUE(account.needs_login);
    EXPECT_FALSE(next_refresh(account));
    EXPECT_FALSE(account.refresh_token.empty()) << "never thrown away";
    EXPECT_NE(account.problem.find("balancerctl oauth login joe"), std::string::npos);
    EXPECT_TRUE(is_usable(account, kNow + 7 * kHour));
    EXPECT_FALSE(is_usable(account, kNow + 8 * kHour - kMinute / 2));
    EXPECT_FALSE(no_refresh_now(account, RefreshCause::kUnauthorized, kNow + 5 * kHour).empty());
    ASSERT_TRUE(note_unauthorized(account, 1));
    EXPECT_FALSE(is_usable(account, kNow + 5 * kHour));
}

TEST(Refresh, WhatWasNotProcessedIsTriedAgainSoonAndLessAndLessOften) {
    for (TokenResult result : {TokenResult::kNotSent, TokenResult::kTurnedAway}) {
        Account account = logged_in();
        UnixMs now = kNow + 4 * kHour;
        UnixMs last = 0;
        for (int i = 0; i < 10; ++i) {
            claim_refresh(account, "a", now);
            settle_refresh(account, ended(result), now, 0);
            UnixMs wait = *next_refresh(account) - now;
            EXPECT_GE(wait, last);
            EXPECT_GE(wait, 30'000);
            EXPECT_LE(wait, 15 * kMinute);
            last = wait;
            now = *next_refresh(account);
        }
        EXPECT_EQ(last, 15 * kMinute);
        EXPECT_FALSE(account.uncertain);
        EXPECT_FALSE(account.needs_login);
    }
}

TEST(Refresh, WaitsAtLeastAsLongAsTheEndpointSays) {
    Account account = logged_in();
    TokenOutcome outcome = ended(TokenResult::kTurnedAway);
    outcome.retry_after = std::chrono::minutes(5);
    claim_refresh(account, "a", kNow);
    settle_refresh(account, std::move(outcome), kNow, 0);
    EXPECT_EQ(*next_refresh(account), kNow + 5 * kMinute);
}

// A second post of a spent token makes the provider revoke the login, and with it the access token in use.
TEST(Refresh, AnUnknownEndWaitsForTheEndOfTheAccessToken) {
    Account account = after(TokenResult::kUnknown, kNow + 4 * kHour);
    EXPECT_TRUE(account.uncertain);
    EXPECT_TRUE(is_usable(account, kNow + 5 * kHour));
    EXPECT_EQ(*next_refresh(account), kNow + 8 * kHour - kMinute / 2);
    // Unless that is refused already: nothing can be lost any more, but for the one that still waits for its answer.
    ASSERT_TRUE(note_unauthorized(account, 1));
    EXPECT_EQ(*next_refresh(account), kNow + 4 * kHour + 1'000 + kMinute);
    EXPECT_FALSE(no_refresh_now(account, RefreshCause::kUnauthorized, kNow + 4 * kHour + kMinute).empty());
    EXPECT_EQ(no_refresh_now(account, RefreshCause::kDue, kNow + 4 * kHour + 1'000 + kMinute), "");
    // And unless somebody says so.
    EXPECT_EQ(no_refresh_now(account, RefreshCause::kByHand, kNow + 4 * kHour + 1'000), "");
}

TEST(Refresh, AnUnauthorizedTokenIsReplacedAtOnceAndVoidsWhatIsKnown) {
    Account account = logged_in();
    ASSERT_TRUE(note_unauthorized(account, 1));
    EXPECT_EQ(no_refresh_now(account, RefreshCause::kUnauthorized, kNow + 1), "");
    claim_refresh(account, "a", kNow + 1);
    EXPECT_FALSE(no_refresh_now(account, RefreshCause::kUnauthorized, kNow + 2).empty()) << "one at a time";
    settle_refresh(account, ended(TokenResult::kIssued), kNow + 2, 0);
    EXPECT_EQ(account.trust, 1U);
    EXPECT_FALSE(account.unauthorized);
    EXPECT_FALSE(note_unauthorized(account, 1)) << "that is the old one";
    // A new one that is refused as well is not replaced again and again.
    ASSERT_TRUE(note_unauthorized(account, 2));
    EXPECT_FALSE(no_refresh_now(account, RefreshCause::kUnauthorized, kNow + kMinute).empty());
    EXPECT_EQ(no_refresh_now(account, RefreshCause::kUnauthorized, kNow + 1 + 2 * kMinute), "");
}

TEST(Refresh, WithoutARefreshTokenThereIsNone) {
    Account account;
    TokenGrant bare = grant("1");
    bare.refresh_token = SecretBytes();
    take_grant(account, std::move(bare), kNow, 0);
    EXPECT_FALSE(next_refresh(account));
    for (RefreshCause cause : {RefreshCause::kDue, RefreshCause::kUnauthorized, RefreshCause::kByHand}) {
        EXPECT_FALSE(no_refresh_now(account, cause, kNow + 8 * kHour).empty());
    }
}

TEST(AccountRecord, GoesThereAndBack) {
    Account account = after(TokenResult::kUnknown, kNow + 4 * kHour);
    account.email = "joe@example.com";
    account.scopes = {"a", "b"};
    account.use.status = "rejected";
    account.use.five_hour = 0.25;
    account.held_until = kNow;
    account.held_why = "used up";
    account.family_holds = {{"opus", kNow + 5}};
    claim_refresh(account, "attempt", kNow + 1);
    std::string record = to_record(account);
    Result<Account> read = from_record(record);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(to_record(*read), record);
    EXPECT_EQ(read->refresh_token.view(), "refresh-1");
    EXPECT_EQ(read->claim->attempt, "attempt");
    EXPECT_EQ(to_record(account.copy()), record);
}

TEST(AccountRecord, EveryFieldOfACopyIsTheOriginals) {
    // A field that copy() forgets would be lost at the next refresh. to_record() has them all; this one has all set.
    Account account = logged_in();
    account.email = account.account_uuid = account.organization = account.last_refresh = account.problem = "x";
    account.scopes = {"s"};
    account.trust = account.refreshes = 3;
    account.logged_in_at = account.last_refresh_at = account.use_at = 4;
    account.uncertain = account.needs_login = account.unauthorized = true;
    account.failures = account.fruitless = 5;
    account.use = AccountUse{"s", "c", 1, 0.5, 2, 0.75, 3};
    account.held_until = 6;
    account.held_why = "h";
    account.family_holds = {{"f", 8}, {"g", 9}};
    account.headroom = 25;
    claim_refresh(account, "a", 7);
    EXPECT_EQ(to_record(account.copy()), to_record(account));
    EXPECT_EQ(account.copy().headroom, 25U);
    EXPECT_EQ(to_record(*from_record(to_record(account))), to_record(account));
}

TEST(AccountRecord, WhatIsNoneIsRefusedWithoutAnEcho) {
    for (const char* record :
         {"", "{}", "[]", R"({"schema":2,"name":"canary","access_token":"canary"})", R"({"schema":1,"name":"canary"})",
          R"({"schema":1,"name":"a/b","access_token":"canary"})", R"({"schema":1,"name":"x","access_token":7})",
          R"({"schema":1,"name":"x","access_token":"canary","generation":"canary"})"}) {
        Result<Account> account = from_record(record);
        ASSERT_FALSE(account) << record;
        EXPECT_EQ(account.error().text().find("canary"), std::string::npos);
    }
}

}  // namespace
}  // namespace balancer::controlplane
