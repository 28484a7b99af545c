// Logins and refreshes against an identity provider on real sockets; the clock is the test's.
#include "controlplane/oauth/custody.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>

#include "tests/support/fake_idp.hpp"
#include "tests/support/test_proxies.hpp"

namespace balancer::controlplane {
namespace {

using namespace std::chrono_literals;
using tests::FakeIdp;
using tests::IdpAnswer;

constexpr UnixMs kNow = 1'700'000'000'000;
constexpr UnixMs kHour = 3'600'000;

// Lets some writes fail.
class FaultyStore final : public SealedStore {
  public:
    std::atomic<int> failing{0};  // set on the provider's thread, too
    mutable int failing_lists = 0;
    int failing_erases = 0;

    Result<std::optional<SealedRecord>> get(SealedKind kind, std::string_view name) const override { return real_.get(kind, name); }
    Result<std::vector<SealedEntry>> list(SealedKind kind) const override {
        if (failing_lists > 0) {
            --failing_lists;
            return sealed_error(SealedErrc::kIo, "the disk is gone");
        }
        return real_.list(kind);
    }
    Result<std::uint64_t> put(
        SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
    ) override {
        if (failing > 0) {
            failing = failing - 1;
            return sealed_error(SealedErrc::kIo, "the disk is full");
        }
        return real_.put(kind, name, content, if_generation);
    }
    Result<void> erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) override {
        if (failing_erases > 0) {
            --failing_erases;
            return sealed_error(SealedErrc::kIo, "the disk is full");
        }
        return real_.erase(kind, name, if_generation);
    }

  private:
    MemorySealedStore real_;
};

class CustodyTest : public testing::Test {
  protected:
    CustodyTest() {
        log_.set_level(LogLevel::kError);
        settings_.authorize_url = idp_.authorize_url();
        settings_.token_url = idp_.token_url();
        settings_.timeout = 20'000ms;
        open();
    }

    // As after a restart.
    void open() {
        custody_.reset();
        context_.restart();
        custody_.emplace(
            context_,
            log_,
            &store_,
            Custody::Options{
                [this](const std::string&) {
                    ++changes_;
                    published_.Clear();
                    custody_->add_credentials(published_);
                },
                {},
                [this] { return now_.load(); },
                {},
            }
        );
        custody_->configure(settings_);
    }

    void run_until(const std::function<bool()>& met) {
        context_.restart();
        SteadyTime until = steady_now() + 20s;
        while (!met() && steady_now() < until) context_.run_one_for(50ms);
        ASSERT_TRUE(met());
    }

    Result<std::string> log_in(const std::string& account, const tests::IdpProfile& profile = {}) {
        Result<LoginStarted> started = custody_->begin_login(account, "127.0.0.1:9090");
        if (!started) return started.error();
        std::optional<tests::Consent> consent = idp_.consent(started->url, profile);
        if (!consent) return invalid(idp_.why_refused());
        return finish(*parse_pasted(consent->pasted()));
    }

    Result<std::string> finish(PastedCode pasted, const std::string& account = {}) {
        std::optional<Result<std::string>> ended;
        custody_->finish_login(std::move(pasted), account, [&](Result<const Account*> result) {
            ended = result ? Result<std::string>((*result)->name) : Result<std::string>(result.error());
        });
        run_until([&] { return ended.has_value(); });
        return *ended;
    }

    Result<std::string> refresh(const std::string& account) {
        std::optional<Result<std::string>> ended;
        custody_->refresh(account, [&](Result<const Account*> result) {
            ended = result ? Result<std::string>((*result)->name) : Result<std::string>(result.error());
        });
        run_until([&] { return ended.has_value(); });
        return *ended;
    }

    std::string refresh_token(const std::string& account = "joe") const {
        return std::string(custody_->find(account)->refresh_token.view());
    }
    std::string access_token(const std::string& account = "joe") const {
        return std::string(custody_->find(account)->access_token.view());
    }

    FakeIdp idp_;
    FaultyStore store_;
    boost::asio::io_context context_{1};
    Log log_{"test"};
    std::atomic<UnixMs> now_ = kNow;  // set on the provider's thread, too
    OAuthSettings settings_;
    v1::CredentialSection published_;
    int changes_ = 0;
    std::optional<Custody> custody_;
};

TEST_F(CustodyTest, ALoginEndsInAnAccessTokenForTheDataPlanes) {
    Result<std::string> name = log_in("");
    ASSERT_TRUE(name) << name.error().text();
    EXPECT_EQ(*name, "joe@example.com");
    ASSERT_EQ(published_.credentials_size(), 1);
    const v1::Credential& credential = published_.credentials(0);
    EXPECT_EQ(credential.ref(), "oauth/joe@example.com");
    EXPECT_EQ(credential.header_name(), "authorization");
    EXPECT_EQ(credential.header_value(), "Bearer " + access_token("joe@example.com"));
    EXPECT_TRUE(idp_.accepts(access_token("joe@example.com")));
    EXPECT_LT(credential.expires_at_ms(), kNow + 8 * kHour);
    EXPECT_EQ(published_.SerializeAsString().find(refresh_token("joe@example.com")), std::string::npos);
}

TEST_F(CustodyTest, SeveralLoginsAtOnceDoNotMix) {
    LoginStarted ann = *custody_->begin_login("ann", "");
    LoginStarted bob = *custody_->begin_login("bob", "");
    tests::Consent of_ann = *idp_.consent(ann.url, {"uuid-ann", "ann@example.com", "o", "O"});
    tests::Consent of_bob = *idp_.consent(bob.url, {"uuid-bob", "bob@example.com", "o", "O"});
    EXPECT_EQ(*finish({of_bob.code, of_bob.state}), "bob");
    EXPECT_EQ(*finish({of_ann.code, of_ann.state}), "ann");
    EXPECT_EQ(custody_->find("ann")->email, "ann@example.com");
    EXPECT_EQ(custody_->find("bob")->email, "bob@example.com");
}

TEST_F(CustodyTest, AStateThatIsNotOursReachesNobody) {
    tests::Consent consent = *idp_.consent(custody_->begin_login("", "")->url);
    EXPECT_FALSE(finish({consent.code, "forged"}));
    EXPECT_EQ(idp_.posts().size(), 0U);
    EXPECT_TRUE(finish({consent.code, consent.state}));
    EXPECT_FALSE(finish({consent.code, consent.state})) << "a state works once";
    EXPECT_EQ(idp_.posts().size(), 1U);
}

TEST_F(CustodyTest, ALoginThatTheProviderRefusedIsOver) {
    tests::Consent consent = *idp_.consent(custody_->begin_login("", "")->url);
    EXPECT_FALSE(custody_->abandon_login("forged"));
    EXPECT_TRUE(custody_->abandon_login(consent.state));
    EXPECT_FALSE(custody_->abandon_login(consent.state));
    EXPECT_FALSE(finish({consent.code, consent.state}));
    EXPECT_EQ(idp_.posts().size(), 0U);
}

// The other program's tokens are older than ours from the first refresh on.
TEST_F(CustodyTest, AnImportDoesNotReplaceALivingLogin) {
    auto grant = [](const std::string& access, const std::string& refresh) {
        TokenGrant out;
        out.access_token = SecretBytes(access);
        out.refresh_token = SecretBytes(refresh);
        out.expires_in = Milliseconds(kHour);
        return out;
    };
    EXPECT_FALSE(custody_->import_account("", grant("access", "refresh"))) << "nobody could tell that it is there";
    EXPECT_FALSE(custody_->import_account("joe", grant("", "refresh")));
    EXPECT_FALSE(custody_->import_account("joe", grant("in\r\njected", "refresh")));
    EXPECT_FALSE(custody_->import_account("joe", grant("access", "in jected")));
    EXPECT_TRUE(custody_->accounts().empty());
    ASSERT_TRUE(custody_->import_account("joe", grant("access", "refresh-1")));
    Result<const Account*> again = custody_->import_account("joe", grant("access", "refresh-2"));
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().text().find("logged in already"), std::string::npos) << again.error().text();
    EXPECT_EQ(refresh_token(), "refresh-1");
    EXPECT_FALSE(refresh("joe")) << "the provider does not know it";
    ASSERT_TRUE(custody_->find("joe")->needs_login);
    EXPECT_TRUE(custody_->import_account("joe", grant("access", "refresh-2")));
    EXPECT_EQ(refresh_token(), "refresh-2");
}

TEST_F(CustodyTest, ALoginWithoutARefreshTokenSaysWhenItIsOver) {
    TokenGrant grant;
    grant.access_token = SecretBytes("access");
    grant.expires_in = Milliseconds(kHour);
    ASSERT_TRUE(custody_->import_account("joe", std::move(grant)));
    int alerts = 0;
    log_.set_tap([&](const LogRecord& record) {
        if (record.event == LogEvent::kAccountNeedsLogin) ++alerts;
    });
    now_ += kHour - 120'000;
    custody_->configure(settings_);
    context_.restart();
    context_.run_for(50ms);
    EXPECT_FALSE(custody_->find("joe")->needs_login);
    now_ += 120'000;
    custody_->configure(settings_);
    run_until([&] { return custody_->find("joe")->needs_login; });
    EXPECT_NE(custody_->find("joe")->problem.find("balancerctl oauth login joe"), std::string::npos);
    EXPECT_EQ(published_.credentials(0).state(), v1::Credential::NEEDS_LOGIN);
    EXPECT_EQ(alerts, 1);
    log_.set_tap({});
    open();
    EXPECT_TRUE(custody_->find("joe")->needs_login);
}

TEST_F(CustodyTest, LoggingInAgainRenewsTheSameAccount) {
    ASSERT_TRUE(log_in(""));
    std::uint64_t trust = custody_->find("joe@example.com")->trust;
    ASSERT_TRUE(log_in("", {"acc-0001", "new-address@example.com", "o", "O"}));
    ASSERT_EQ(custody_->accounts().size(), 1U);
    EXPECT_GT(custody_->find("joe@example.com")->trust, trust);
    EXPECT_EQ(custody_->find("joe@example.com")->generation, 2U);
}

TEST_F(CustodyTest, ARefreshRotatesAndOutlivesARestart) {
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    ASSERT_TRUE(refresh("joe"));
    EXPECT_NE(refresh_token(), first);
    EXPECT_TRUE(idp_.is_current(refresh_token()));
    EXPECT_EQ(idp_.posts_of(first), 1U);
    std::string second = refresh_token();
    open();
    EXPECT_EQ(refresh_token(), second);
    EXPECT_FALSE(custody_->find("joe")->uncertain);
    ASSERT_TRUE(refresh("joe"));
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(CustodyTest, ItComesByItselfAtHalfOfTheLifetime) {
    ASSERT_TRUE(log_in("joe"));
    now_ = kNow + 5 * kHour;
    custody_->configure(settings_);  // looks at the clock
    run_until([&] { return custody_->find("joe")->generation == 2; });
    EXPECT_EQ(idp_.refreshes(), 1U);
    EXPECT_EQ(published_.credentials(0).generation(), 2U);
}

TEST_F(CustodyTest, NotWhenItIsSwitchedOff) {
    settings_.auto_refresh = false;
    custody_->configure(settings_);
    ASSERT_TRUE(log_in("joe"));
    now_ = kNow + 5 * kHour;
    custody_->configure(settings_);
    context_.restart();
    context_.run_for(200ms);
    EXPECT_EQ(idp_.refreshes(), 0U);
}

TEST_F(CustodyTest, AStormOfRefusalsIsOneRefresh) {
    ASSERT_TRUE(log_in("joe"));
    std::uint64_t trust = custody_->find("joe")->trust;
    for (int i = 0; i < 500; ++i) custody_->unauthorized("joe", 1);
    run_until([&] { return custody_->find("joe")->generation == 2; });
    // Late ones, of requests that were in flight.
    for (int i = 0; i < 500; ++i) custody_->unauthorized("joe", 1);
    context_.restart();
    context_.run_for(200ms);
    EXPECT_EQ(idp_.refreshes(), 1U);
    EXPECT_EQ(custody_->find("joe")->trust, trust + 1);
}

TEST_F(CustodyTest, ALostAnswerIsNotFollowedByABlindRetry) {
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    idp_.answer_next({{IdpAnswer::Kind::kLost}});
    EXPECT_FALSE(refresh("joe"));
    EXPECT_TRUE(custody_->find("joe")->uncertain);
    context_.restart();
    context_.run_for(300ms);
    EXPECT_EQ(idp_.posts_of(first), 1U);
    EXPECT_TRUE(idp_.accepts(access_token())) << "the token in use is not put at risk";
    // It is when that one has ended, and turns out to be spent: the login is dead, and says so.
    now_ = kNow + 8 * kHour;
    custody_->configure(settings_);
    run_until([&] { return custody_->find("joe")->needs_login; });
    EXPECT_EQ(idp_.posts_of(first), 2U);
    EXPECT_EQ(published_.credentials(0).state(), v1::Credential::NEEDS_LOGIN);
    EXPECT_EQ(published_.credentials(0).header_value(), "");
    EXPECT_EQ(refresh_token(), first) << "the stored token is never thrown away";
    ASSERT_TRUE(log_in("joe"));
    EXPECT_EQ(published_.credentials(0).state(), v1::Credential::OK);
}

TEST_F(CustodyTest, ABrokenOrMissingAnswerIsUnknownAsWell) {
    for (IdpAnswer::Kind kind : {IdpAnswer::Kind::kBroken, IdpAnswer::Kind::kHang}) {
        custody_->configure(settings_);
        ASSERT_TRUE(log_in("joe"));
        idp_.answer_next({{kind}});
        OAuthSettings impatient = settings_;
        if (kind == IdpAnswer::Kind::kHang) impatient.timeout = 500ms;
        custody_->configure(impatient);
        EXPECT_FALSE(refresh("joe"));
        EXPECT_TRUE(custody_->find("joe")->uncertain);
    }
}

TEST_F(CustodyTest, A429IsWaitedOutWithTheSameToken) {
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    idp_.answer_next({{IdpAnswer::Kind::kStatus, 429, R"({"error":"rate_limited"})", {{"retry-after", "60"}}}});
    EXPECT_FALSE(refresh("joe"));
    EXPECT_FALSE(custody_->find("joe")->uncertain);
    now_ += 61'000;
    custody_->configure(settings_);
    run_until([&] { return custody_->find("joe")->generation == 2; });
    EXPECT_EQ(idp_.posts_of(first), 2U);
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(CustodyTest, NobodyThereIsNoEndEither) {
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    OAuthSettings away = settings_;
    away.token_url = "http://127.0.0.1:1/";
    custody_->configure(away);
    EXPECT_FALSE(refresh("joe"));
    EXPECT_FALSE(custody_->find("joe")->uncertain);
    custody_->configure(settings_);
    ASSERT_TRUE(refresh("joe"));
    EXPECT_EQ(idp_.posts_of(first), 1U);
}

TEST_F(CustodyTest, ANewTokenSurvivesAFullDisk) {
    ASSERT_TRUE(log_in("joe"));
    std::string first = refresh_token();
    // The claim is written, the result is not.
    idp_.set_on_post([this](const tests::TokenPost&) { store_.failing = 1; });
    std::optional<bool> ended;
    custody_->refresh("joe", [&](Result<const Account*> result) { ended = result.has_value(); });
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
    AccountUse use;
    use.status = "rejected";
    use.claim = "five_hour";
    use.reset = now_ + kHour;
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
    store_.failing_lists = 1;
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

// An endpoint whose clock is off, or that does not know how long its tokens live: they are used, and not asked for again and
// again.
TEST_F(CustodyTest, AnOddLifetimeIsNoReasonToLoseAToken) {
    ASSERT_TRUE(log_in("joe"));
    std::uint64_t generation = 1;
    for (const char* told : {"", "0", "-28800", "1e300", "0.25", "null", "\"28800\"", "9223372036854775807", "[]"}) {
        for (const char* date : {"Tue, 14 Nov 2023 21:13:20 GMT", "Tue, 14 Nov 2023 23:13:20 GMT"}) {
            IdpAnswer odd;
            odd.expires_in = told;
            odd.headers = {{"date", date}};
            idp_.answer_next({odd});
            std::size_t posts = idp_.refreshes();
            ASSERT_TRUE(refresh("joe")) << told;
            const Account& account = *custody_->find("joe");
            EXPECT_EQ(account.generation, ++generation);
            EXPECT_TRUE(is_usable(account, now_)) << told;
            EXPECT_GE(account.expires_at, now_ + 60'000) << told;
            EXPECT_LE(account.expires_at, now_ + 400 * 24 * kHour) << told;
            EXPECT_GE(*next_refresh(account), now_ + 20'000) << told;
            EXPECT_LT(*next_refresh(account), account.expires_at) << told;
            custody_->configure(settings_);
            context_.restart();
            context_.run_for(20ms);
            EXPECT_EQ(idp_.refreshes(), posts + 1) << told;
        }
    }
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

// Ours is set while an answer is under way: the token is taken to end too early or too late, and a refusal mends the latter.
TEST_F(CustodyTest, AClockThatIsSetDuringARefreshCostsNoLogin) {
    for (UnixMs jump : {-kHour, kHour}) {
        ASSERT_TRUE(log_in("joe"));
        idp_.set_on_post([this, jump](const tests::TokenPost&) { now_ += jump; });
        ASSERT_TRUE(refresh("joe"));
        idp_.set_on_post({});
        EXPECT_TRUE(is_usable(*custody_->find("joe"), now_));
        ASSERT_TRUE(refresh("joe"));
        custody_->unauthorized("joe", custody_->find("joe")->generation);
        std::uint64_t generation = custody_->find("joe")->generation;
        run_until([&] { return custody_->find("joe")->generation == generation + 1; });
    }
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(CustodyTest, AnAccountWithAUsedUpWindowIsHeldUntilItsReset) {
    ASSERT_TRUE(log_in("joe"));
    AccountUse use;
    use.status = "rejected";
    use.claim = "five_hour";
    use.reset = kNow + 2 * kHour;
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
    AccountUse use;
    use.status = "rejected";
    use.claim = "seven_day_opus";
    use.reset = kNow + 50 * kHour;
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
    custody_->add_credentials(published_);
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

TEST_F(CustodyTest, LogsOutOneOrAll) {
    ASSERT_TRUE(log_in("joe"));
    ASSERT_TRUE(log_in("ann", {"uuid-ann", "ann@example.com", "o", "O"}));
    EXPECT_EQ(*custody_->forget("nobody"), 0U);
    EXPECT_EQ(*custody_->forget("joe"), 1U);
    EXPECT_EQ(custody_->find("joe"), nullptr);
    EXPECT_EQ(published_.credentials_size(), 1);
    EXPECT_EQ(*custody_->forget(""), 1U);
    open();
    EXPECT_EQ(custody_->accounts().size(), 0U);
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

TEST_F(CustodyTest, ALateWordOfTheLoginBeforeIsNotAboutTheNewOne) {
    ASSERT_TRUE(log_in("joe"));
    ASSERT_TRUE(refresh("joe"));
    std::uint64_t last = custody_->find("joe")->generation;
    std::uint64_t trust = custody_->find("joe")->trust;
    ASSERT_TRUE(custody_->forget("joe"));
    ASSERT_TRUE(log_in("joe"));
    EXPECT_GT(custody_->find("joe")->generation, last);
    EXPECT_GT(custody_->find("joe")->trust, trust);
}

TEST_F(CustodyTest, AHoldIsLiftedByHandAlsoAfterARestart) {
    ASSERT_TRUE(log_in("joe"));
    AccountUse use;
    use.status = "rejected";
    use.claim = "seven_day";
    use.reset = kNow + 24 * kHour;
    custody_->used("joe", use, "claude-opus-4");
    ASSERT_NE(published_.credentials(0).held_until_ms(), 0);
    custody_->lift_holds("joe");
    EXPECT_EQ(published_.credentials(0).held_until_ms(), 0);
    open();
    EXPECT_EQ(custody_->find("joe")->held_until, 0);
}

TEST_F(CustodyTest, AnswersToALoginThatIsGoneChangeNothing) {
    ASSERT_TRUE(log_in("joe"));
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, 300ms}});
    std::optional<bool> ended;
    custody_->refresh("joe", [&](Result<const Account*> result) { ended = result.has_value(); });
    ASSERT_EQ(*custody_->forget("joe"), 1U);
    run_until([&] { return ended.has_value(); });
    EXPECT_FALSE(*ended);
    EXPECT_EQ(custody_->find("joe"), nullptr);
}

TEST_F(CustodyTest, GoesThroughTheProxy) {
    for (tests::ProxyKind kind : {tests::ProxyKind::kHttpConnect, tests::ProxyKind::kSocks5}) {
        tests::TestProxyOptions options;
        options.kind = kind;
        tests::TestProxy proxy(options);
        settings_.proxy = ProxySpec{
            kind == tests::ProxyKind::kSocks5 ? ProxyKind::kSocks5 : ProxyKind::kHttpConnect, "127.0.0.1", proxy.port(), "", ""
        };
        custody_->configure(settings_);
        ASSERT_TRUE(log_in("joe"));
        EXPECT_EQ(proxy.targets().size(), 1U);
    }
}

TEST_F(CustodyTest, SpeaksTlsWithWhoeverTheSettingsTrust) {
    tests::TestCa ca;
    tests::FakeIdpOptions options;
    options.tls = ca.issue({"localhost"});
    FakeIdp secure(options);
    settings_.authorize_url = secure.authorize_url();
    settings_.token_url = secure.token_url();
    custody_->configure(settings_);
    LoginStarted untrusted = *custody_->begin_login("joe", "");
    tests::Consent consent = *secure.consent(untrusted.url);
    EXPECT_FALSE(finish({consent.code, consent.state}));
    EXPECT_EQ(secure.posts().size(), 0U);
    settings_.ca_pem = ca.certificate_pem();
    custody_->configure(settings_);
    LoginStarted trusted = *custody_->begin_login("joe", "");
    consent = *secure.consent(trusted.url);
    Result<std::string> name = finish({consent.code, consent.state});
    EXPECT_TRUE(name) << name.error().text();
}

}  // namespace
}  // namespace balancer::controlplane
