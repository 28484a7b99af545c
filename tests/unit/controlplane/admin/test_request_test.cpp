#include "controlplane/test_request.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace balancer::controlplane {
namespace {

using nlohmann::json;

constexpr const char* kKey = "canary-key-of-the-provider";

struct Parts {
    v1::Provider provider;
    v1::CredentialSection credentials;

    Parts() {
        provider.set_name("alpha");
        provider.set_type(v1::PROVIDER_TYPE_ANTHROPIC);
        provider.set_base_url("https://a.example:8443/api");
        provider.set_auth_type(v1::AUTH_TYPE_AUTH_TOKEN);
        provider.set_credential_ref("provider/alpha");
        v1::Credential& credential = *credentials.add_credentials();
        credential.set_ref("provider/alpha");
        credential.set_header_name("authorization");
        credential.set_header_value(std::string("Bearer ") + kKey);
    }

    Result<HttpRequest> make() const {
        return make_test_request(provider, credentials, "claude-x", Milliseconds(1000));
    }
};

std::string header(const HttpRequest& request, const std::string& name) {
    for (const auto& [known, value] : request.headers) {
        if (known == name) return value;
    }
    return "none";
}

TEST(TestRequest, OfAnAccountSaysWhatTheApiWantsToHear) {
    Parts parts;
    EXPECT_EQ(header(*parts.make(), "anthropic-beta"), "none");
    parts.provider.set_auth_type(v1::AUTH_TYPE_OAUTH);
    EXPECT_EQ(header(*parts.make(), "anthropic-beta"), "oauth-2025-04-20");
    EXPECT_EQ(header(*parts.make(), "authorization"), std::string("Bearer ") + kKey);
}

TEST(TestRequest, ARedirectIsAMistakeInTheConfiguration) {
    Parts parts;
    Result<HttpRequest> request = parts.make();
    ASSERT_TRUE(request);
    HttpResponse answer;
    answer.status = 307;
    answer.headers = {{"location", std::string("https://elsewhere.example/?key=") + kKey}};
    v1::TestProviderResponse told = describe_test(*request, answer, Milliseconds(12));
    EXPECT_FALSE(told.ok());
    EXPECT_NE(told.message().find("correct base_url"), std::string::npos) << told.message();
    EXPECT_EQ(told.ShortDebugString().find(kKey), std::string::npos);
}

TEST(TestRequest, AsksForOneTokenAsADataPlaneWould) {
    Parts parts;
    v1::Header& extra = *parts.provider.add_headers();
    extra.set_name("anthropic-version");
    extra.set_value("2099-01-01");
    Result<HttpRequest> request = parts.make();
    ASSERT_TRUE(request);
    EXPECT_TRUE(request->tls);
    EXPECT_EQ(request->host, "a.example");
    EXPECT_EQ(request->port, 8443);
    EXPECT_EQ(request->target, "/api/v1/messages");
    EXPECT_EQ(header(*request, "host"), "a.example:8443");
    EXPECT_EQ(header(*request, "authorization"), std::string("Bearer ") + kKey);
    EXPECT_EQ(header(*request, "anthropic-version"), "2099-01-01");
    json body = json::parse(request->body);
    EXPECT_EQ(body["model"], "claude-x");
    EXPECT_EQ(body["max_tokens"], 1);
    parts.provider.set_type(v1::PROVIDER_TYPE_OPENAI);
    EXPECT_EQ(parts.make()->target, "/api/chat/completions");
}

TEST(TestRequest, RefusesWhatItCannotDoInWords) {
    Parts proxied;
    proxied.provider.set_proxy_url("http://joe:canary@127.0.0.1:3128");
    Result<HttpRequest> request = proxied.make();
    ASSERT_FALSE(request);
    EXPECT_NE(request.error().text().find("proxy"), std::string::npos);
    EXPECT_EQ(request.error().text().find("canary"), std::string::npos);
    Parts passthrough;
    passthrough.provider.set_auth_type(v1::AUTH_TYPE_PASSTHROUGH);
    passthrough.provider.clear_credential_ref();
    request = passthrough.make();
    ASSERT_FALSE(request);
    EXPECT_NE(request.error().text().find("the client's"), std::string::npos);
}

TEST(TestRequest, TellsWhatCameBackAndNeverTheKey) {
    HttpRequest request = *Parts().make();
    HttpResponse answer;
    answer.status = 401;
    answer.headers = {{"Request-Id", "req_1"}};
    answer.body = json{{"error", {{"message", std::string("bad key ") + kKey}}}}.dump();
    v1::TestProviderResponse told = describe_test(request, answer, Milliseconds(12));
    EXPECT_FALSE(told.ok());
    EXPECT_EQ(told.http_status(), 401U);
    EXPECT_EQ(told.latency_ms(), 12U);
    EXPECT_EQ(told.upstream_request_id(), "req_1");
    EXPECT_NE(told.message().find("bad key [redacted]"), std::string::npos) << told.message();
    EXPECT_NE(told.message().find("the credential is not accepted"), std::string::npos);

    answer.status = 200;
    answer.body = R"({"type":"message"})";
    EXPECT_TRUE(describe_test(request, answer, {}).ok());
    answer.body = "<html>\nwelcome</html>";
    told = describe_test(request, answer, {});
    EXPECT_FALSE(told.ok()) << "a page is no message";
    EXPECT_NE(told.message().find("<html> welcome"), std::string::npos);
    answer.body = R"({"error":{"message":"overloaded"}})";
    EXPECT_FALSE(describe_test(request, answer, {}).ok());

    told = describe_test(request, invalid("connecting to a.example:8443: Connection refused"), {});
    EXPECT_FALSE(told.ok());
    EXPECT_EQ(told.http_status(), 0U);
    EXPECT_NE(told.message().find("refused"), std::string::npos);
}

TEST(TestRequest, TakesAModelThatIsNamedInFull) {
    v1::ConfigSection config;
    auto route = [&](const char* pattern, const char* model, bool enabled = true) {
        v1::Route& added = *config.add_routes();
        added.set_pattern(pattern);
        v1::RouteTarget& target = *added.add_targets();
        target.set_provider("alpha");
        target.set_model(model);
        target.set_enabled(enabled);
    };
    route("*", "");
    EXPECT_EQ(model_for(config, "alpha"), "");
    route("disabled", "x", false);
    route("claude-y", "");
    EXPECT_EQ(model_for(config, "alpha"), "claude-y");
    EXPECT_EQ(model_for(config, "beta"), "");
}

}  // namespace
}  // namespace balancer::controlplane
