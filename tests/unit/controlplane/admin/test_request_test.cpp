#include "controlplane/test_request.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controlplane/test_answer.hpp"

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

    Result<HttpRequest> make(v1::ProviderProbe probe = v1::PROVIDER_PROBE_MESSAGE) const {
        return make_test_request(provider, credentials, "claude-x", probe, Milliseconds(1000));
    }
};

v1::TestProviderResponse describe(
    const HttpRequest& request,
    const Result<HttpResponse>& answer,
    v1::ProviderProbe probe = v1::PROVIDER_PROBE_MESSAGE
) {
    return describe_test(probe, request, answer, Milliseconds(12), 784'111'777'000);
}

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
    v1::TestProviderResponse told = describe(*request, answer);
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

TEST(TestRequest, GoesThroughTheProvidersProxy) {
    Parts proxied;
    proxied.provider.set_proxy_url("socks5://joe:secret@127.0.0.1:3128");
    Result<HttpRequest> request = proxied.make();
    ASSERT_TRUE(request && request->proxy);
    EXPECT_EQ(request->proxy->kind, ProxyKind::kSocks5);
    EXPECT_EQ(request->proxy->password, "secret");
}

TEST(TestRequest, RefusesWhatItCannotDoInWords) {
    Parts passthrough;
    passthrough.provider.set_auth_type(v1::AUTH_TYPE_PASSTHROUGH);
    passthrough.provider.clear_credential_ref();
    Result<HttpRequest> request = passthrough.make();
    ASSERT_FALSE(request);
    EXPECT_NE(request.error().text().find("the client's"), std::string::npos);
}

TEST(TestRequest, TellsWhatCameBackAndNeverTheKey) {
    HttpRequest request = *Parts().make();
    HttpResponse answer;
    answer.status = 401;
    answer.headers = {{"Request-Id", "req_1"}};
    answer.body = json{{"error", {{"message", std::string("bad key ") + kKey}}}}.dump();
    v1::TestProviderResponse told = describe(request, answer);
    EXPECT_FALSE(told.ok());
    EXPECT_EQ(told.http_status(), 401U);
    EXPECT_EQ(told.latency_ms(), 12U);
    EXPECT_EQ(told.upstream_request_id(), "req_1");
    EXPECT_NE(told.message().find("bad key [redacted]"), std::string::npos) << told.message();
    EXPECT_NE(told.message().find("the credential is not accepted"), std::string::npos);

    answer.status = 200;
    answer.body = R"({"type":"message"})";
    EXPECT_TRUE(describe(request, answer).ok());
    answer.body = "<html>\nwelcome</html>";
    told = describe(request, answer);
    EXPECT_FALSE(told.ok()) << "a page is no message";
    EXPECT_NE(told.message().find("<html> welcome"), std::string::npos);
    answer.body = R"({"error":{"message":"overloaded"}})";
    EXPECT_FALSE(describe(request, answer).ok());

    told = describe(request, invalid("connecting to a.example:8443: Connection refused"));
    EXPECT_FALSE(told.ok());
    EXPECT_EQ(told.http_status(), 0U);
    EXPECT_NE(told.message().find("refused"), std::string::npos);
}

TEST(TestRequest, EachProbeAsksForItsOwn) {
    Parts parts;
    EXPECT_EQ(json::parse(parts.make(v1::PROVIDER_PROBE_STREAM)->body)["stream"], true);
    json tools = json::parse(parts.make(v1::PROVIDER_PROBE_TOOLS)->body)["tools"];
    EXPECT_EQ(tools[0]["input_schema"]["type"], "object");
    HttpRequest betas = *parts.make(v1::PROVIDER_PROBE_BETAS);
    EXPECT_NE(header(betas, "anthropic-beta").find("claude-code-20250219"), std::string::npos);
    HttpRequest count = *parts.make(v1::PROVIDER_PROBE_COUNT_TOKENS);
    EXPECT_EQ(count.target, "/api/v1/messages/count_tokens");
    EXPECT_FALSE(json::parse(count.body).contains("max_tokens")) << "the endpoint refuses it";
    HttpRequest models = *parts.make(v1::PROVIDER_PROBE_MODELS);
    EXPECT_EQ(models.method + " " + models.target, "GET /api/v1/models");
    EXPECT_EQ(models.body, "");

    parts.provider.set_type(v1::PROVIDER_TYPE_OPENAI);
    parts.provider.mutable_capabilities()->set_max_completion_tokens(true);
    json body = json::parse(parts.make(v1::PROVIDER_PROBE_TOOLS)->body);
    EXPECT_EQ(body["tools"][0]["function"]["parameters"]["type"], "object");
    EXPECT_FALSE(body.contains("max_tokens"));
    EXPECT_GT(body["max_completion_tokens"], 1) << "a reasoning model refuses less than its reasoning takes";
    EXPECT_EQ(parts.make(v1::PROVIDER_PROBE_MODELS)->target, "/api/models");
}

TEST(TestRequest, EachProbeKnowsAGoodAnswer) {
    HttpRequest request = *Parts().make();
    HttpResponse answer;
    answer.status = 200;
    answer.headers = {{"content-type", "text/event-stream; charset=utf-8"}, {"Date", "Sun, 06 Nov 1994 08:49:40 GMT"}};
    answer.body = "event: message_start\ndata: {}\n\n";
    v1::TestProviderResponse told = describe(request, answer, v1::PROVIDER_PROBE_STREAM);
    EXPECT_FALSE(told.ok()) << "it was cut";
    EXPECT_EQ(told.clock_ahead_ms(), 3'000);
    answer.body += "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    EXPECT_TRUE(describe(request, answer, v1::PROVIDER_PROBE_STREAM).ok());
    answer.headers = {{"content-type", "application/json"}};
    EXPECT_FALSE(describe(request, answer, v1::PROVIDER_PROBE_STREAM).ok()) << "no stream";
    EXPECT_FALSE(describe(request, answer, v1::PROVIDER_PROBE_STREAM).has_clock_ahead_ms());

    answer.body = R"({"input_tokens":8})";
    EXPECT_TRUE(describe(request, answer, v1::PROVIDER_PROBE_COUNT_TOKENS).ok());
    EXPECT_FALSE(describe(request, answer, v1::PROVIDER_PROBE_MODELS).ok());
    answer.body = R"({"data":[{"id":"claude-x"},{"id":"claude-y"},{}]})";
    told = describe(request, answer, v1::PROVIDER_PROBE_MODELS);
    EXPECT_TRUE(told.ok());
    ASSERT_EQ(told.models_size(), 2);
    EXPECT_EQ(told.models(1), "claude-y");
    EXPECT_FALSE(describe(request, answer, v1::PROVIDER_PROBE_COUNT_TOKENS).ok());
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
