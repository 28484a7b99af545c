// How logins begin, are refreshed and end.
#include "tests/support/test_proxies.hpp"
#include "tests/unit/controlplane/oauth/custody_fixture.hpp"

namespace balancer::controlplane {
namespace {

using namespace test;

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
    LoginStarted ann = *custody_->begin_login(LoginWay::kClientPort, "ann", "");
    LoginStarted bob = *custody_->begin_login(LoginWay::kClientPort, "bob", "");
    tests::Consent of_ann = *idp_.consent(ann.url, {"uuid-ann", "ann@example.com", "o", "O"});
    tests::Consent of_bob = *idp_.consent(bob.url, {"uuid-bob", "bob@example.com", "o", "O"});
    EXPECT_EQ(*finish({of_bob.code, of_bob.state}), "bob");
    EXPECT_EQ(*finish({of_ann.code, of_ann.state}), "ann");
    EXPECT_EQ(custody_->find("ann")->email, "ann@example.com");
    EXPECT_EQ(custody_->find("bob")->email, "bob@example.com");
}

TEST_F(CustodyTest, AStateThatIsNotOursReachesNobody) {
    tests::Consent consent = *idp_.consent(custody_->begin_login(LoginWay::kClientPort, "", "")->url);
    EXPECT_FALSE(finish({consent.code, "forged"}));
    EXPECT_EQ(idp_.posts().size(), 0U);
    EXPECT_TRUE(finish({consent.code, consent.state}));
    EXPECT_FALSE(finish({consent.code, consent.state})) << "a state works once";
    EXPECT_EQ(idp_.posts().size(), 1U);
}

TEST_F(CustodyTest, ALoginThatTheProviderRefusedIsOver) {
    tests::Consent consent = *idp_.consent(custody_->begin_login(LoginWay::kClientPort, "", "")->url);
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

TEST_F(CustodyTest, AnswersToALoginThatIsGoneChangeNothing) {
    ASSERT_TRUE(log_in("joe"));
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, 300ms}});
    std::optional<bool> ended;
    custody_->refresh("joe", RefreshCause::kByHand, [&](Result<const Account*> result) { ended = result.has_value(); });
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
    LoginStarted untrusted = *custody_->begin_login(LoginWay::kClientPort, "joe", "");
    tests::Consent consent = *secure.consent(untrusted.url);
    EXPECT_FALSE(finish({consent.code, consent.state}));
    EXPECT_EQ(secure.posts().size(), 0U);
    settings_.ca_pem = ca.certificate_pem();
    custody_->configure(settings_);
    LoginStarted trusted = *custody_->begin_login(LoginWay::kClientPort, "joe", "");
    consent = *secure.consent(trusted.url);
    Result<std::string> name = finish({consent.code, consent.state});
    EXPECT_TRUE(name) << name.error().text();
}

// An operator is believed; who only reaches the client port must not end a login.
TEST_F(CustodyTest, AskedForATokenThatMayBeSpentItWaits) {
    ASSERT_TRUE(log_in("joe"));
    idp_.answer_next({{IdpAnswer::Kind::kLost}});
    ASSERT_FALSE(refresh("joe"));
    ASSERT_TRUE(custody_->find("joe")->uncertain);
    auto ask = [&] {
        std::optional<Error> error;
        custody_->refresh("joe", RefreshCause::kAsked, [&](Result<const Account*> result) {
            if (!result) error = result.error();
        });
        return error;
    };
    std::optional<Error> refused = ask();
    ASSERT_TRUE(refused);
    EXPECT_TRUE(is_not_now(*refused));
    EXPECT_NE(refused->text().find("balancerctl oauth refresh joe"), std::string::npos) << refused->text();
    EXPECT_EQ(idp_.refreshes(), 1U) << "nothing was posted";
    EXPECT_FALSE(refresh("joe", RefreshCause::kByHand));
    EXPECT_EQ(idp_.refreshes(), 2U);
}

TEST_F(CustodyTest, WhileOneIsUnderWayNobodyBeginsAnother) {
    ASSERT_TRUE(log_in("joe"));
    std::optional<bool> first;
    custody_->refresh("joe", RefreshCause::kAsked, [&](Result<const Account*> result) { first = result.has_value(); });
    Result<std::string> second = refresh("joe", RefreshCause::kAsked);
    ASSERT_FALSE(second);
    EXPECT_TRUE(is_not_now(second.error())) << second.error().text();
    run_until([&] { return first.has_value(); });
    EXPECT_TRUE(*first);
    EXPECT_EQ(idp_.refreshes(), 1U);
}

// A code works once.
TEST_F(CustodyTest, WhereThereIsNoRoomNoCodeIsExchanged) {
    auto import = [&](const std::string& name) {
        TokenGrant grant;
        grant.access_token = SecretBytes("token");
        grant.expires_in = 8h;
        ASSERT_TRUE(custody_->import_account(name, std::move(grant)));
    };
    for (std::size_t i = 1; i < AccountBook::kAccountsMax; ++i) import("a" + std::to_string(i));
    LoginStarted late = *custody_->begin_login(LoginWay::kOperator, "joe", "");
    tests::Consent consent = *idp_.consent(late.url);
    import("last");
    Result<std::string> refused = finish(*parse_pasted(consent.pasted()));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("log out of one first"), std::string::npos) << refused.error().text();
    EXPECT_EQ(idp_.posts().size(), 0U) << "the code is as good as before";
    EXPECT_FALSE(custody_->begin_login(LoginWay::kOperator, "joe", "")) << "nor is another begun";
    EXPECT_FALSE(custody_->begin_login(LoginWay::kOperator, "", "")) << "it may be anybody's";
    ASSERT_TRUE(log_in("a7")) << "one that is there can be logged in anew";
}

TEST_F(CustodyTest, AnEndedTokenSaysWhatFailsAndWhenItIsTriedNext) {
    ASSERT_TRUE(log_in("joe"));
    idp_.answer_next({{IdpAnswer::Kind::kStatus, 429, R"({"error":"slow_down"})", {{"retry-after", "600"}}}});
    now_ = now_ + 9 * kHour;
    ASSERT_FALSE(refresh("joe"));
    ASSERT_EQ(published_.credentials(0).state(), v1::Credential::REVOKED);
    const std::string why = published_.credentials(0).held_why();
    EXPECT_NE(why.find("its access token has ended, and the last refresh failed"), std::string::npos) << why;
    EXPECT_NE(why.find("slow_down"), std::string::npos) << why;
    EXPECT_NE(why.find("the next is tried at "), std::string::npos) << why;
    EXPECT_EQ(published_.credentials(0).held_until_ms(), 0);
    idp_.revoke_logins();
    ASSERT_FALSE(refresh("joe"));
    EXPECT_EQ(published_.credentials(0).state(), v1::Credential::NEEDS_LOGIN);
    EXPECT_NE(published_.credentials(0).held_why().find("must be logged in again"), std::string::npos);
}

}  // namespace
}  // namespace balancer::controlplane
