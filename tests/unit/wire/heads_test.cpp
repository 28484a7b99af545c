// What goes to providers and to clients: upstream_head, downstream_head, error_body.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "dataplane/wire/downstream_head.hpp"
#include "dataplane/wire/upstream_head.hpp"

namespace balancer::wire {
namespace {

Provider provider_with(AuthType type) {
    Provider provider;
    provider.auth_type = type;
    provider.endpoint = *parse_base_url("https://api.example.com:8443/base/");
    if (type == AuthType::kApiKey) provider.credential = Credential{"x-api-key", "provider-key"};
    if (type == AuthType::kAuthToken) provider.credential = Credential{"authorization", "Bearer provider-key"};
    return provider;
}

std::string upstream(
    const Provider& provider,
    const std::string& lines,
    std::string_view balancer_key = {},
    Format format = Format::kAnthropic
) {
    std::string path = format == Format::kOpenai ? "/v1/chat/completions?v=1" : "/v1/messages?beta=true";
    std::string text = "POST " + path + " HTTP/1.1\r\nHost: balancer\r\n" + lines + "\r\n";
    RequestHead head = *parse_request_head(text);
    std::string out;
    std::vector<std::string_view> ours;
    for (const HeaderField& field : head.fields) {
        if (!balancer_key.empty() && bearer_value(field.value) == balancer_key) ours.push_back(field.value);
    }
    append_upstream_head(out, {head, provider, 42, ours, false, format});
    return out;
}

TEST(UpstreamHead, PassesOpenListsAndDropsWhatIsTheConnectionsOrACredential) {
    std::string out = upstream(
        provider_with(AuthType::kApiKey),
        "anthropic-version: 2026-10-21\r\nanthropic-beta: a,b\r\nX-New-Thing: 1\r\nx-api-key: client\r\n"
        "Authorization: Bearer client\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n"
        "Accept-Encoding: gzip, br\r\nExpect: 100-continue\r\nContent-Length: 7\r\nProxy-Authorization: x\r\n"
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: h\r\nForwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n"
        "Via: 1.1 inner.example\r\n"
    );
    EXPECT_EQ(
        out,
        "POST /base/v1/messages?beta=true HTTP/1.1\r\nhost: api.example.com:8443\r\n"
        "anthropic-version: 2026-10-21\r\nanthropic-beta: a,b\r\nX-New-Thing: 1\r\nx-api-key: provider-key\r\n"
        "accept-encoding: identity\r\ncontent-length: 42\r\n\r\n"
    );
}

TEST(UpstreamHead, AnAccountsTokenComesWithTheBetaThatItNeeds) {
    Provider provider = provider_with(AuthType::kOauth);
    provider.credential = Credential{"authorization", "Bearer access-token"};
    std::string none = upstream(provider, "x-api-key: client\r\n");
    EXPECT_NE(none.find("\r\nanthropic-beta: oauth-2025-04-20\r\n"), std::string::npos) << none;
    EXPECT_NE(none.find("\r\nauthorization: Bearer access-token\r\n"), std::string::npos);
    EXPECT_EQ(none.find("client"), std::string::npos);
    std::string others = upstream(provider, "Anthropic-Beta: a,b\r\n");
    EXPECT_NE(others.find("\r\nAnthropic-Beta: a,b,oauth-2025-04-20\r\n"), std::string::npos) << others;
    EXPECT_EQ(others.find("\r\nanthropic-beta"), std::string::npos);
    std::string asked = upstream(provider, "anthropic-beta: oauth-2025-04-20,a\r\n");
    EXPECT_NE(asked.find("\r\nanthropic-beta: oauth-2025-04-20,a\r\n"), std::string::npos) << asked;
    // The operator's own line is his business.
    provider.headers = {{"anthropic-beta", "mine"}};
    std::string own = upstream(provider, "anthropic-beta: a\r\n");
    EXPECT_NE(own.find("\r\nanthropic-beta: mine\r\n"), std::string::npos);
    EXPECT_EQ(own.find("oauth-2025"), std::string::npos);
    EXPECT_EQ(upstream(provider_with(AuthType::kApiKey), "anthropic-beta: a\r\n").find("oauth-2025"), std::string::npos);
}

TEST(UpstreamHead, NothingThatTheProviderDoesNotTakeKeepsThatBetaAway) {
    Provider provider = provider_with(AuthType::kOauth);
    provider.limited = true;
    provider.beta_headers.emplace();
    std::string filtered = upstream(provider, "anthropic-beta: a,oauth-2025-04-20\r\n");
    EXPECT_NE(filtered.find("\r\nanthropic-beta: oauth-2025-04-20\r\n"), std::string::npos) << filtered;
    std::string converted = upstream(provider, "", {}, Format::kOpenai);
    EXPECT_NE(converted.find("\r\nanthropic-beta: oauth-2025-04-20\r\n"), std::string::npos) << converted;
    std::string models;
    append_models_head(models, provider, {}, {});
    EXPECT_NE(models.find("\r\nanthropic-beta: oauth-2025-04-20\r\n"), std::string::npos) << models;
}

TEST(UpstreamHead, AddsTheVersionOnlyWhenThereIsNone) {
    EXPECT_NE(upstream(provider_with(AuthType::kAuthToken), "").find("anthropic-version: 2023-06-01\r\n"), std::string::npos);
    std::string out = upstream(provider_with(AuthType::kAuthToken), "Anthropic-Version: x\r\n");
    EXPECT_EQ(out.find("2023-06-01"), std::string::npos);
}

TEST(UpstreamHead, PassthroughSendsTheClientsCredentialsButNeverTheBalancersKey) {
    Provider provider = provider_with(AuthType::kPassthrough);
    std::string out = upstream(provider, "x-api-key: balancer-key\r\nAuthorization: Bearer theirs\r\n", "balancer-key");
    EXPECT_EQ(out.find("balancer-key"), std::string::npos);
    EXPECT_NE(out.find("Authorization: Bearer theirs\r\n"), std::string::npos);
    out = upstream(provider, "Authorization: bearer  balancer-key\r\n", "balancer-key");
    EXPECT_EQ(out.find("balancer-key"), std::string::npos);
}

TEST(UpstreamHead, TheProvidersHeadersOverride) {
    Provider provider = provider_with(AuthType::kApiKey);
    provider.headers = {{"anthropic-version", "pinned"}, {"x-tenant", "blue"}};
    std::string out = upstream(provider, "Anthropic-Version: client\r\nX-Tenant: red\r\n");
    EXPECT_NE(out.find("anthropic-version: pinned\r\nx-tenant: blue\r\n"), std::string::npos);
    EXPECT_EQ(out.find("client"), std::string::npos);
    EXPECT_EQ(out.find("red"), std::string::npos);
}

TEST(UpstreamHead, AConvertedRequestHasNoHeadersOfTheOtherApi) {
    Provider provider = provider_with(AuthType::kApiKey);
    std::string lines = "Authorization: Bearer client\r\nOpenAI-Organization: org\r\nanthropic-version: x\r\n";
    EXPECT_EQ(
        upstream(provider, lines, {}, Format::kOpenai),
        "POST /base/v1/messages HTTP/1.1\r\nhost: api.example.com:8443\r\ncontent-type: application/json\r\n"
        "accept: application/json\r\nuser-agent: claude-code-provider-balancer/" BALANCER_VERSION "\r\n"
        "x-api-key: provider-key\r\nanthropic-version: 2023-06-01\r\naccept-encoding: identity\r\ncontent-length: 42\r\n\r\n"
    );
    // A passthrough provider gets the client's key, as its API wants it.
    provider = provider_with(AuthType::kPassthrough);
    EXPECT_NE(upstream(provider, lines, {}, Format::kOpenai).find("x-api-key: client\r\n"), std::string::npos);
    EXPECT_EQ(upstream(provider, lines, "client", Format::kOpenai).find("client"), std::string::npos);
    provider.type = ProviderType::kOpenai;
    EXPECT_NE(upstream(provider, "x-api-key: client\r\n").find("authorization: Bearer client\r\n"), std::string::npos);
}

TEST(UpstreamHead, ToAProviderOfItsOwnFormatAClientsHeadersPass) {
    Provider provider = provider_with(AuthType::kAuthToken);
    provider.type = ProviderType::kOpenai;
    EXPECT_EQ(
        upstream(provider, "Authorization: Bearer client\r\nOpenAI-Organization: org\r\n", {}, Format::kOpenai),
        "POST /base/chat/completions?v=1 HTTP/1.1\r\nhost: api.example.com:8443\r\nOpenAI-Organization: org\r\n"
        "authorization: Bearer provider-key\r\naccept-encoding: identity\r\ncontent-length: 42\r\n\r\n"
    );
}

TEST(DownstreamHead, PassesTheProvidersHeadersAndFramesTheBodyItself) {
    ResponseHead head = *parse_response_head(
        "HTTP/1.1 429 Too Many\r\nContent-Length: 9\r\nretry-after: 7\r\nConnection: close\r\nrequest-id: r\r\n"
        "anthropic-ratelimit-unified-reset: 1\r\n\r\n",
        ResponseTo::kOther
    );
    std::string out;
    append_relayed_head(out, head, {Framing::kChunked, 0}, {"bal_1", "alpha", false});
    EXPECT_EQ(
        out,
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\nrequest-id: r\r\nanthropic-ratelimit-unified-reset: 1\r\n"
        "transfer-encoding: chunked\r\nx-balancer-request-id: bal_1\r\nx-provider-used: alpha\r\nconnection: keep-alive\r\n\r\n"
    );
}

TEST(DownstreamHead, SaysOurNamesOnceWhenTheProviderIsABalancerToo) {
    ResponseHead head = *parse_response_head(
        "HTTP/1.1 200 OK\r\nx-balancer-request-id: bal_theirs\r\nX-Provider-Used: theirs\r\n"
        "content-length: 2\r\n\r\n",
        ResponseTo::kOther
    );
    std::string out;
    append_relayed_head(out, head, {Framing::kLength, 2}, {"bal_1", "alpha", false});
    EXPECT_EQ(out.find("theirs"), std::string::npos) << out;
    EXPECT_NE(out.find("x-balancer-request-id: bal_1\r\nx-provider-used: alpha\r\n"), std::string::npos) << out;
}

TEST(ErrorReply, IsTheApisShapeAndItsRetryAfterStaysUnderAMinute) {
    LocalError error;
    error.status = 503;
    error.type = "provider_error";
    error.code = "PROVIDER_UNAVAILABLE";
    error.message = "a \"quoted\"\nmessage";
    error.provider = "alpha";
    error.retry_after_seconds = 900;
    error.attempts = {{"alpha", FailureClass::kOverloaded, 529, "d"}, {"beta", FailureClass::kConnect, 0, ""}};
    std::string reply = error_reply(Format::kAnthropic, error, {"bal_1", {}, false}, false);
    EXPECT_NE(reply.find("\r\nretry-after: 59\r\n"), std::string::npos);
    auto body = nlohmann::json::parse(reply.substr(reply.find("\r\n\r\n") + 4));
    EXPECT_EQ(body["type"], "error");
    EXPECT_EQ(body["error"]["type"], "provider_error");
    EXPECT_EQ(body["error"]["code"], "PROVIDER_UNAVAILABLE");
    EXPECT_EQ(body["error"]["message"], error.message);
    EXPECT_EQ(body["error"]["details"]["provider"], "alpha");
    EXPECT_EQ(body["error"]["details"]["retry_after"], 900);
    EXPECT_EQ(body["error"]["details"]["attempts"].size(), 2u);
    EXPECT_EQ(body["request_id"], "bal_1");
    EXPECT_EQ(reply.find("x-should-retry"), std::string::npos);
    error.retry = false;
    EXPECT_NE(error_reply(Format::kAnthropic, error, {"bal_1", {}, true}, true).find("x-should-retry: false"), std::string::npos);
}

TEST(ErrorReply, HasOpenaisShapeForItsClients) {
    LocalError error;
    error.status = 529;
    error.type = "overloaded_error";
    error.message = "a \"quoted\"\nmessage";
    error.attempts = {{"alpha", FailureClass::kOverloaded, 529, "d"}};
    std::string reply = error_reply(Format::kOpenai, error, {"bal_1", {}, false}, false);
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 ")) << reply;
    auto body = nlohmann::json::parse(reply.substr(reply.find("\r\n\r\n") + 4));
    EXPECT_EQ(body["error"]["type"], "server_error");
    EXPECT_EQ(body["error"]["code"], "overloaded");
    EXPECT_EQ(body["error"]["param"], nullptr);
    EXPECT_EQ(body["error"]["message"], error.message);
    EXPECT_EQ(body["error"]["details"]["attempts"].size(), 1u);
    EXPECT_FALSE(body.contains("type"));
    EXPECT_EQ(body["request_id"], "bal_1");
    std::string event = error_event(Format::kOpenai, error, "bal_1");
    EXPECT_EQ(event, "data: " + error_json(Format::kOpenai, error, "bal_1") + "\n\n");
    EXPECT_EQ(error_event_of(Format::kOpenai, "{\n\"a\":1}"), "data: {\ndata: \"a\":1}\n\n");
    EXPECT_EQ(ping_of(Format::kOpenai), ": ping\n\n");
}

}  // namespace
}  // namespace balancer::wire
