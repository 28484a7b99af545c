// What an answer of the token endpoint means for the token that was sent.
#include "controlplane/oauth/token_endpoint.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace balancer::controlplane {
namespace {

Result<HttpResponse> answer(unsigned status, std::string body, HttpHeaders headers = {}) {
    HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    response.headers = std::move(headers);
    return response;
}

TokenOutcome judged(unsigned status, std::string body) {
    return judge_token_answer(answer(status, std::move(body)), true, "the-secret-token");
}

TEST(TokenAnswer, GoodOnesAreReadWithTheirProfile) {
    TokenOutcome outcome = judged(
        200,
        R"({"token_type":"Bearer","access_token":"A","refresh_token":"R","expires_in":28800,"scope":"user:profile user:inference",
            "organization":{"uuid":"o","name":"Team"},"account":{"uuid":"u","email_address":"joe@example.com"}})"
    );
    ASSERT_EQ(outcome.result, TokenResult::kIssued);
    EXPECT_EQ(outcome.grant.access_token.view(), "A");
    EXPECT_EQ(outcome.grant.refresh_token.view(), "R");
    EXPECT_EQ(outcome.grant.expires_in, Milliseconds(28'800'000));
    EXPECT_EQ(outcome.grant.scopes, (std::vector<std::string>{"user:profile", "user:inference"}));
    EXPECT_EQ(outcome.grant.email, "joe@example.com");
    EXPECT_EQ(outcome.grant.account_uuid, "u");
    EXPECT_EQ(outcome.grant.organization, "Team");
}

// What was received is kept, whatever else is odd about it.
TEST(TokenAnswer, ATokenWithOddCompanyIsATokenAllTheSame) {
    for (const char* body :
         {R"({"access_token":"A"})", R"({"access_token":"A","expires_in":"soon","account":7,"scope":[]})",
          R"({"access_token":"A","expires_in":-5})", R"({"access_token":"A","expires_in":1e300})"}) {
        TokenOutcome outcome = judged(200, body);
        ASSERT_EQ(outcome.result, TokenResult::kIssued) << body;
        EXPECT_GE(outcome.grant.expires_in, Milliseconds(60'000));
        EXPECT_LE(outcome.grant.expires_in, std::chrono::hours(24 * 400));
        EXPECT_TRUE(outcome.grant.refresh_token.empty());
    }
}

TEST(TokenAnswer, SaysWhetherTheTokenMayBeSentAgain) {
    EXPECT_EQ(judged(400, R"({"error":"invalid_grant","error_description":"gone"})").result, TokenResult::kInvalidGrant);
    EXPECT_EQ(judged(400, R"({"error":{"type":"invalid_grant","message":"gone"}})").result, TokenResult::kInvalidGrant);
    for (unsigned status : {302U, 400U, 401U, 403U, 404U, 429U}) {
        EXPECT_EQ(judged(status, R"({"error":"rate_limited"})").result, TokenResult::kTurnedAway) << status;
    }
    // Processed or not: nobody knows.
    for (const char* body : {"", "{", "[]", "{}", R"({"access_token":""})", R"({"access_token":"a b"})", R"({"access_token":7})"}) {
        EXPECT_EQ(judged(200, body).result, TokenResult::kUnknown) << body;
    }
    for (unsigned status : {101U, 202U, 204U, 206U, 500U}) {
        EXPECT_EQ(judged(status, "{}").result, TokenResult::kUnknown) << status;
    }
    EXPECT_EQ(judged(502, "<html>").result, TokenResult::kUnknown);
    EXPECT_EQ(judge_token_answer(invalid("reset"), true, "").result, TokenResult::kUnknown);
    EXPECT_EQ(judge_token_answer(invalid("refused"), false, "").result, TokenResult::kNotSent);
}

TEST(TokenAnswer, WaitsAsLongAsItIsTold) {
    auto wait = [](const char* value) {
        return judge_token_answer(answer(429, "{}", {{"Retry-After", value}}), true, "").retry_after;
    };
    EXPECT_EQ(wait("120"), std::chrono::seconds(120));
    EXPECT_EQ(wait("-1"), Milliseconds(0));
    EXPECT_EQ(wait("soon"), Milliseconds(0));
    EXPECT_EQ(wait("999999999"), std::chrono::hours(24));
}

TEST(TokenAnswer, ItsWordsHoldNoSecret) {
    TokenOutcome outcome = judged(400, R"({"error":"invalid_grant","error_description":"the-secret-token \n is <bad> sk-ant-ort01-abcdefghijk"})");
    EXPECT_EQ(outcome.words.find("the-secret-token"), std::string::npos) << outcome.words;
    EXPECT_EQ(outcome.words.find("abcdefghijk"), std::string::npos) << outcome.words;
    EXPECT_EQ(outcome.words.find('\n'), std::string::npos);
    EXPECT_NE(outcome.words.find("invalid_grant"), std::string::npos);
}

TEST(TokenRequest, IsWhatTheEndpointTakes) {
    OAuthSettings settings;
    settings.proxy = ProxySpec{ProxyKind::kSocks5, "p", 1, "", ""};
    HttpRequest request = exchange_request(settings, PendingLogin{"S", "V", "http://r", "", {}}, "C");
    EXPECT_TRUE(request.tls);
    EXPECT_EQ(request.host, "console.anthropic.com");
    EXPECT_EQ(request.port, 443);
    EXPECT_EQ(request.target, "/v1/oauth/token");
    EXPECT_EQ(request.method, "POST");
    EXPECT_TRUE(request.proxy);
    EXPECT_EQ(
        nlohmann::json::parse(request.body),
        (nlohmann::json{
            {"grant_type", "authorization_code"},
            {"client_id", settings.client_id},
            {"code", "C"},
            {"redirect_uri", "http://r"},
            {"code_verifier", "V"},
            {"state", "S"},
        })
    );
    EXPECT_EQ(
        nlohmann::json::parse(refresh_request(settings, SecretBytes("R")).body),
        (nlohmann::json{{"grant_type", "refresh_token"}, {"client_id", settings.client_id}, {"refresh_token", "R"}})
    );
}

TEST(TokenRequest, UrlsAreReadStrictly) {
    EXPECT_EQ(request_to("http://[::1]:8080/t?x=1")->host, "::1");
    EXPECT_EQ(request_to("http://[::1]:8080/t?x=1")->port, 8080);
    EXPECT_EQ(request_to("https://h")->target, "/");
    for (const char* url : {"", "ftp://h/", "https://", "https:///x", "https://u:p@h/", "https://h:0/", "https://h:x/", "https://h/ x", "https://h/#f"}) {
        EXPECT_FALSE(request_to(url)) << url;
    }
}

}  // namespace
}  // namespace balancer::controlplane
