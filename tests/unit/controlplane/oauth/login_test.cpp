// How a login begins and how it comes back.
#include <gtest/gtest.h>

#include "base/query.hpp"
#include "controlplane/oauth/account.hpp"
#include "controlplane/oauth/login_url.hpp"
#include "controlplane/oauth/pending_logins.hpp"
#include "controlplane/oauth/pkce.hpp"

namespace balancer::controlplane {
namespace {

constexpr SteadyTime kStart{};

// Different each time, and known.
RandomBytes counting() {
    return [n = 0](std::size_t count) mutable { return std::string(count, static_cast<char>(++n)); };
}

TEST(Pkce, ChallengeIsThatOfRfc7636AppendixB) {
    EXPECT_EQ(challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(Pkce, SecretsAreThirtyTwoBytesInBase64Url) {
    std::string text = make_secret_text([](std::size_t count) { return std::string(count, '\xFF'); });
    EXPECT_EQ(text, std::string(42, '_') + "8");
    EXPECT_EQ(text.size(), 43U);
}

TEST(AccountName, IsTextThatAMessageCanCarry) {
    for (const char* good : {"joe", "joe@example.com", "Jos\xC3\xA9", "a b"}) EXPECT_TRUE(is_account_name(good)) << good;
    for (const char* bad : {"", "a/b", "a\nb", "Jos\xE9", "\xC3"}) EXPECT_FALSE(is_account_name(bad)) << bad;
    EXPECT_FALSE(is_account_name(std::string(101, 'a')));
}

TEST(PendingLogins, EachHasAStateAndAVerifierOfItsOwn) {
    PendingLogins logins(counting());
    PendingLogin a = *logins.begin(LoginWay::kClientPort, "alice", "http://a", kStart);
    PendingLogin b = *logins.begin(LoginWay::kClientPort, "bob", "http://b", kStart);
    EXPECT_NE(a.state, b.state);
    EXPECT_NE(a.verifier, b.verifier);
    EXPECT_NE(a.state, a.verifier);
    // In either order.
    EXPECT_EQ(logins.take(b.state, kStart)->account, "bob");
    EXPECT_EQ(logins.take(a.state, kStart)->verifier, a.verifier);
}

TEST(PendingLogins, AStateWorksOnceAndForTenMinutes) {
    PendingLogins logins(counting());
    std::string once = logins.begin(LoginWay::kClientPort, "", "", kStart)->state;
    EXPECT_TRUE(logins.take(once, kStart + Milliseconds(599'999)));
    EXPECT_FALSE(logins.take(once, kStart + Milliseconds(599'999)));
    std::string late = logins.begin(LoginWay::kClientPort, "", "", kStart)->state;
    EXPECT_FALSE(logins.take(late, kStart + Milliseconds(600'000)));
    EXPECT_FALSE(logins.take("", kStart));
    EXPECT_FALSE(logins.take("unknown", kStart));
}

TEST(PendingLogins, WhoComesAgainOrTooLateIsToldWhich) {
    PendingLogins logins(counting());
    auto words = [&](const std::string& state, SteadyTime now) { return logins.take(state, now).error().text(); };
    std::string used = logins.begin(LoginWay::kClientPort, "", "", kStart)->state;
    std::string late = logins.begin(LoginWay::kClientPort, "", "", kStart)->state;
    ASSERT_TRUE(logins.take(used, kStart));
    SteadyTime end = kStart + PendingLogins::kValid;
    EXPECT_NE(words(used, kStart).find("has come back before"), std::string::npos);
    EXPECT_NE(words(late, end).find("more than 10 minutes ago"), std::string::npos);
    EXPECT_NE(words(used, end).find("has come back before"), std::string::npos);
    EXPECT_NE(words("unknown", end).find("no login with this state"), std::string::npos);
    // What is over is remembered for a while, and bounded.
    for (std::size_t i = 0; i < PendingLogins::kPendingMax; ++i) ASSERT_TRUE(logins.take(logins.begin(LoginWay::kClientPort, "", "", end)->state, end));
    EXPECT_NE(words(used, end).find("no login with this state"), std::string::npos);
}

TEST(PendingLogins, AreBoundedAndNoneIsPushedOut) {
    PendingLogins logins(counting());
    std::string first = logins.begin(LoginWay::kClientPort, "", "", kStart)->state;
    for (std::size_t i = 1; i < PendingLogins::kPendingMax; ++i) ASSERT_TRUE(logins.begin(LoginWay::kClientPort, "", "", kStart));
    EXPECT_FALSE(logins.begin(LoginWay::kClientPort, "", "", kStart));
    EXPECT_TRUE(logins.take(first, kStart));
    EXPECT_TRUE(logins.begin(LoginWay::kClientPort, "", "", kStart));
    EXPECT_TRUE(logins.begin(LoginWay::kClientPort, "", "", kStart + PendingLogins::kValid)) << "the old ones make room";
}

TEST(PendingLogins, NobodyAtTheClientPortTakesTheOperatorsRoom) {
    PendingLogins logins(counting());
    for (std::size_t i = 0; i < PendingLogins::kPendingMax; ++i) ASSERT_TRUE(logins.begin(LoginWay::kClientPort, "", "", kStart));
    Result<PendingLogin> refused = logins.begin(LoginWay::kClientPort, "", "", kStart);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("balancerctl oauth login"), std::string::npos) << "what is left to do";
    Result<PendingLogin> operators = logins.begin(LoginWay::kOperator, "", "", kStart);
    ASSERT_TRUE(operators);
    for (std::size_t i = 1; i < PendingLogins::kPendingMax; ++i) ASSERT_TRUE(logins.begin(LoginWay::kOperator, "", "", kStart));
    EXPECT_FALSE(logins.begin(LoginWay::kOperator, "", "", kStart)) << "bounded as well";
    EXPECT_TRUE(logins.take(operators->state, kStart));
}

TEST(LoginUrl, IsTheOneThatClaudeCodeOpens) {
    PendingLogin login{"STATE", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", OAuthSettings().redirect_uri, "", {}};
    EXPECT_EQ(
        authorize_url(OAuthSettings(), login),
        "https://claude.ai/oauth/authorize?code=true&client_id=9d1c250a-e61b-44d9-88ed-5944d1962f5e&response_type=code"
        "&redirect_uri=https%3A%2F%2Fconsole.anthropic.com%2Foauth%2Fcode%2Fcallback"
        "&scope=org%3Acreate_api_key+user%3Aprofile+user%3Ainference"
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&state=STATE"
    );
}

TEST(LoginUrl, ALoopbackRedirectGetsThePortOfTheBalancer) {
    OAuthSettings settings;
    auto uri = [&](const char* configured, std::string_view host) {
        settings.redirect_uri = configured;
        return redirect_uri_for(settings, host);
    };
    EXPECT_EQ(uri("http://localhost/callback", "127.0.0.1:9090"), "http://localhost:9090/callback");
    EXPECT_EQ(uri("http://127.0.0.1/oauth/callback", "box:80"), "http://127.0.0.1:80/oauth/callback");
    EXPECT_EQ(uri("http://[::1]/callback", "[::1]:9090"), "http://[::1]:9090/callback");
    EXPECT_EQ(uri("http://localhost:1234/callback", "127.0.0.1:9090"), "http://localhost:1234/callback");
    EXPECT_EQ(uri("http://localhost/callback", "127.0.0.1"), "http://localhost/callback");
    EXPECT_EQ(uri("http://localhost/callback", "h:80@evil"), "http://localhost/callback");
    EXPECT_EQ(uri("https://example.com/callback", "127.0.0.1:9090"), "https://example.com/callback");
}

TEST(LoginUrl, KnowsLoopback) {
    for (const char* uri : {"http://localhost", "http://127.0.0.1:1/x", "http://[::1]:80/x"}) EXPECT_TRUE(is_loopback_uri(uri)) << uri;
    for (const char* uri : {"https://localhost", "http://localhost.evil.com", "http://127.0.0.1.evil.com/", "http://evil/localhost", ""}) {
        EXPECT_FALSE(is_loopback_uri(uri)) << uri;
    }
}

TEST(PastedCode, IsReadInEveryFormThatPeopleCopy) {
    for (const char* text :
         {"abc#xyz", "  abc#xyz\n", "abc&x=1#xyz", "abc#xyz&more=1", "http://localhost:9090/callback?code=abc&state=xyz",
          "https://h/cb?state=xyz&code=abc#"}) {
        Result<PastedCode> pasted = parse_pasted(text);
        ASSERT_TRUE(pasted) << text;
        EXPECT_EQ(pasted->code, "abc") << text;
        EXPECT_EQ(pasted->state, "xyz") << text;
    }
}

TEST(PastedCode, WithoutAStateIsRefused) {
    for (const std::string& text : {std::string(), std::string("abc"), std::string("abc#"), std::string("#xyz"),
                                    std::string("https://h/cb?code=abc"), std::string("https://h/cb"), std::string(10'000, 'a')}) {
        EXPECT_FALSE(parse_pasted(text)) << text.substr(0, 40);
    }
}

TEST(Query, GoesThereAndBack) {
    QueryFields fields = {{"a b", "c&d=e%+"}, {"ü", ""}};
    EXPECT_EQ(encode_query(fields), "a+b=c%26d%3De%25%2B&%C3%BC=");
    EXPECT_EQ(parse_query(encode_query(fields)), fields);
    EXPECT_EQ(parse_query("x&y=%zz&&=1"), (QueryFields{{"x", ""}, {"y", "%zz"}, {"", "1"}}));
    EXPECT_EQ(percent_decoded("joe%40example.com+x"), "joe@example.com+x");
}

}  // namespace
}  // namespace balancer::controlplane
