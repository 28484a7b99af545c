// What goes upstream is what came in, byte by byte and line by line, and so is what comes back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

constexpr const char* kRoutes =
    "  \"mapped-*\":\n    - {provider: main, model: claude-upstream-1, priority: 1}\n"
    "  \"*\":\n    - {provider: main, model: passthrough, priority: 1}\n";

class Forwarding : public testing::Test {
  protected:
    // The request that the provider saw last.
    RecordedRequest last() const {
        std::vector<RecordedRequest> seen = provider_.requests();
        if (!seen.empty()) return seen.back();
        ADD_FAILURE() << "nothing was forwarded";
        return {};
    }

    RawResponse send(std::string_view bytes) const { return exchange_raw(fleet_.port(), bytes); }

    FakeProvider provider_;
    Fleet fleet_{to_yaml({{{"main", provider_.base_url()}}, kRoutes})};
};

constexpr const char* kOddBody =
    "\r\n {  \"max_tokens\" :1e5,\t\"temperature\":1.0, \"model\"  :\t\"claude-odd\" "
    ",\"minus\":-0.0,\"y\":1E+2,"
    "\"big\":123456789012345678901234567890,\n"
    "\"unknown\":1,\"unknown\":{\"b\":1,\"a\":2,\"b\":3}, "
    "\"escapes\":\"\\u00e9\\ud83d\\ude00\\/\\u0041 \xC3\xA9 "
    "\xE6\xBC\xA2 \xF0\x9F\x98\x80\",\n\n"
    "\"messages\":[{\"role\":\"system\",\"model\":\"inner\",\"content\":[]},"
    "{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"x\\\"\"}],"
    "\"stream\":false, \"empty\":{ } , \"list\":[ ]\t}  \n";

TEST_F(Forwarding, TheBodyArrivesByteForByte) {
    for (const std::string& request :
         {post_request("", kOddBody),
          chunked_request("", kOddBody, 7),
          chunked_request("", kOddBody, 100'000)}) {
        RawResponse answer = send(request);
        EXPECT_EQ(answer.status, 200u) << answer.body;
        EXPECT_EQ(last().body, kOddBody);
    }
    std::string recorded = claude_code_body(streamed());
    EXPECT_EQ(fleet_.ask(streamed()).status, 200u);
    EXPECT_EQ(last().body, recorded);
}

TEST_F(Forwarding, OnlyTheModelsValueIsSplicedWhenTheRouteMapsIt) {
    for (const char* model : {"mapped-1", "mapped-\\u006fne", "MAPPED-\\\"quoted\\\""}) {
        std::string quoted = fmt::format("\"{}\"", model);
        std::string body(kOddBody);
        body.replace(body.find("\"claude-odd\""), 12, quoted);
        std::string expected(kOddBody);
        expected.replace(expected.find("\"claude-odd\""), 12, "\"claude-upstream-1\"");
        EXPECT_EQ(send(post_request("", body)).status, 200u);
        EXPECT_EQ(last().body, expected);
        EXPECT_EQ(last().header("content-length"), std::to_string(expected.size()));
    }
}

TEST_F(Forwarding, TheProviderPinIsTakenOutAndNothingElse) {
    struct Case {
        const char* sent;
        const char* forwarded;
    };
    for (const Case& one : {
             Case{R"({"provider":"main","model":"m","a":1.0})", R"({"model":"m","a":1.0})"},
             Case{R"({"model":"m","provider":"main","a":1.0})", R"({"model":"m","a":1.0})"},
             Case{R"({"model":"m","a":1.0,"provider":"main"})", R"({"model":"m","a":1.0})"},
             Case{R"({"provider":"main","model":"mapped-x"})", R"({"model":"claude-upstream-1"})"},
             Case{R"({"model":"mapped-x","provider":"main"})", R"({"model":"claude-upstream-1"})"},
             Case{
                 R"({"model":"m","n":{"provider":"inner"}})",
                 R"({"model":"m","n":{"provider":"inner"}})"
             },
         }) {
        EXPECT_EQ(send(post_request("", one.sent)).status, 200u) << one.sent;
        EXPECT_EQ(last().body, one.forwarded);
    }
}

TEST_F(Forwarding, TargetAndQueryAreKept) {
    for (const char* target :
         {"/v1/messages",
          "/v1/messages?beta=true",
          "/v1/messages?a=%20b&&c=d?e",
          "/v1/messages?",
          "/v1/messages/count_tokens?beta=true"}) {
        EXPECT_EQ(send(post_request("", small_body(), target)).status, 200u);
        EXPECT_EQ(last().target, target);
        EXPECT_EQ(last().method, "POST");
        EXPECT_EQ(last().version, "HTTP/1.1");
    }
}

// Lines that belong to the connection, to the framing or to the balancer's own doing.
bool is_rewritten(const std::string& name) {
    static const std::vector<std::string> kNames = {
        "host",
        "content-length",
        "accept-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
        "proxy-connection",
        "x-api-key",
        "authorization",
        "x-hop",
        "expect",
    };
    return std::ranges::any_of(kNames, [&](const std::string& one) {
        return same_name(one, name);
    });
}

HeaderLines kept(const HeaderLines& lines) {
    HeaderLines rest;
    for (const auto& line : lines) {
        if (!is_rewritten(line.first)) rest.push_back(line);
    }
    return rest;
}

TEST_F(Forwarding, ClientHeadersPassInTheirOrderAndTheConnectionsOwnDoNot) {
    std::string request = claude_code_request(unstreamed());
    std::string extra =
        "anthropic-beta: second-line-2099-01-01, x\r\nX-New-Every-Month:   spaced "
        "\t\r\nx-empty:\r\n"
        "X-Latin: caf\xE9\r\nConnection: x-hop , close\r\nX-Hop: 1\r\nTE: trailers\r\nUpgrade: "
        "h2c\r\n"
        "Keep-Alive: timeout=5\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: "
        "keep-alive\r\n";
    request.insert(request.find("x-app: cli"), extra);
    RawResponse answer = send(request);
    EXPECT_EQ(answer.status, 200u);
    RecordedRequest seen = last();
    HttpHead sent = *parse_head(std::string_view(request).substr(0, *head_size(request)));
    EXPECT_EQ(kept(seen.headers), kept(sent.headers));
    EXPECT_GT(kept(seen.headers).size(), 15u);
    EXPECT_EQ(count_headers(seen.headers, "anthropic-beta"), 2u);
    for (const char* gone :
         {"connection",
          "keep-alive",
          "te",
          "upgrade",
          "proxy-authorization",
          "proxy-connection",
          "x-hop"}) {
        EXPECT_FALSE(seen.has_header(gone)) << gone;
    }
    for (const char* once :
         {"host",
          "content-length",
          "content-type",
          "accept-encoding",
          "x-api-key",
          "anthropic-version"}) {
        EXPECT_EQ(count_headers(seen.headers, once), 1u) << once;
    }
    EXPECT_EQ(seen.header("host"), provider_.address());
    EXPECT_EQ(seen.header("accept-encoding"), "identity");
    EXPECT_EQ(seen.header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_FALSE(seen.has_header("transfer-encoding"));
}

TEST_F(Forwarding, TheVersionIsAddedOnlyWhenAbsent) {
    send(post_request("", small_body()));
    EXPECT_EQ(last().header("anthropic-version"), "2023-06-01");
    EXPECT_EQ(count_headers(last().headers, "anthropic-version"), 1u);
    send(post_request("Anthropic-Version: 2099-12-31\r\n", small_body()));
    EXPECT_EQ(last().header("anthropic-version"), "2099-12-31");
    EXPECT_EQ(count_headers(last().headers, "anthropic-version"), 1u);
}

TEST_F(Forwarding, TheClientsCredentialsGiveWayToTheProviders) {
    for (const char* lines :
         {"x-api-key: client\r\n",
          "Authorization: Bearer client\r\n",
          "X-Api-Key: client\r\nauthorization: bearer client\r\n"}) {
        send(post_request(lines, small_body()));
        EXPECT_EQ(last().header("x-api-key"), "sk-test-key-of-provider");
        EXPECT_EQ(count_headers(last().headers, "x-api-key"), 1u);
        EXPECT_FALSE(last().has_header("authorization"));
    }
}

TEST(ProviderHeaders, TakeThePlaceOfTheClientsAndTokensGoAsBearer) {
    FakeProvider provider;
    Fleet fleet(to_yaml(
        {{{"main",
           provider.base_url(),
           "    headers: {x-team: platform, anthropic-version: \"2024-01-01\"}\n",
           "    auth_type: auth_token\n    auth_value: provider-token\n"}}}
    ));
    RawResponse answer = exchange_raw(
        fleet.port(),
        post_request(
            "X-Team: mine\r\nanthropic-version: 2023-06-01\r\nx-api-key: c\r\n", small_body()
        )
    );
    EXPECT_EQ(answer.status, 200u);
    ASSERT_EQ(provider.request_count(), 1u);
    RecordedRequest seen = provider.requests().front();
    EXPECT_EQ(seen.header("x-team"), "platform");
    EXPECT_EQ(count_headers(seen.headers, "x-team"), 1u);
    EXPECT_EQ(seen.header("anthropic-version"), "2024-01-01");
    EXPECT_EQ(count_headers(seen.headers, "anthropic-version"), 1u);
    EXPECT_EQ(seen.header("authorization"), "Bearer provider-token");
    EXPECT_FALSE(seen.has_header("x-api-key"));
}

TEST_F(Forwarding, TheProvidersHeadersComeBack) {
    Step step;
    step.headers = {
        {"request-id", "req_of_provider"},
        {"retry-after", "17"},
        {"anthropic-ratelimit-unified-status", "allowed"},
        {"anthropic-ratelimit-requests-remaining", "41"},
        {"Set-Cookie", "a=1"},
        {"Set-Cookie", "b=2"},
        {"connection", "x-private, keep-alive"},
        {"x-private", "between the hops"},
        {"keep-alive", "timeout=5"},
        {"x-provider-used", "a lie"},
    };
    provider_.set_script(script_of({step}));
    for (const ClaudeCodeRequest& request : {streamed(), unstreamed()}) {
        RawResponse answer = fleet_.ask(request);
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer.header("request-id"), "req_of_provider");
        EXPECT_EQ(answer.header("retry-after"), "17");
        EXPECT_EQ(answer.header("anthropic-ratelimit-unified-status"), "allowed");
        EXPECT_EQ(answer.header("anthropic-ratelimit-requests-remaining"), "41");
        EXPECT_EQ(count_headers(answer.headers, "set-cookie"), 2u);
        EXPECT_EQ(answer.header("x-private"), "");
        EXPECT_EQ(answer.header("keep-alive"), "");
        EXPECT_EQ(answer.header("x-provider-used"), "main");
        EXPECT_EQ(count_headers(answer.headers, "x-provider-used"), 1u);
        EXPECT_THAT(
            answer.header("x-balancer-request-id"), testing::MatchesRegex("bal_[0-9a-f]{16}")
        );
        EXPECT_EQ(
            count_headers(answer.headers, "content-length") +
                count_headers(answer.headers, "transfer-encoding"),
            1u
        );
        EXPECT_EQ(count_headers(answer.headers, "content-type"), 1u);
    }
}

TEST_F(Forwarding, AStreamPassesByteForByte) {
    const std::vector<std::string> kPieces = {
        "event: message_start\ndata:{\"type\":\"message_start\",\"message\":{}}\n\n",
        ": a comment\n\nevent: content_block_start\r\ndata: "
        "{\"type\":\"content_block_start\",\"n\":1.0}\r\n\r\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\ndata: "
        "\"t\":\"\\u00e9 \xC3\xA9\"}\n",
        "\nid: 7\nretry: 10\nevent: something_new_2099\ndata: {}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    };
    for (std::size_t split : {std::size_t{0}, std::size_t{1}, std::size_t{13}}) {
        Step step;
        step.events.emplace();
        std::string whole;
        for (const std::string& piece : kPieces) {
            step.events->push_back({piece});
            whole += piece;
        }
        step.trickle_bytes = split;
        step.trickle_gap = milliseconds(0);
        provider_.set_script(script_of({step}));
        RawResponse answer = fleet_.ask(streamed());
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        EXPECT_EQ(answer.body, whole) << "split by " << split;
    }
}

TEST_F(Forwarding, AnswersPassInEveryFraming) {
    for (Framing framing : {Framing::kContentLength, Framing::kChunked, Framing::kUntilClose}) {
        for (std::size_t bytes : {std::size_t{1}, std::size_t{70'000}, std::size_t{2'000'000}}) {
            Step step;
            step.framing = framing;
            step.body = "{" + std::string(bytes, ' ') + "\"id\":\"msg\"}\n";
            provider_.set_script(script_of({step}));
            RawResponse answer = fleet_.ask(unstreamed());
            EXPECT_EQ(answer.end, BodyEnd::kComplete);
            EXPECT_EQ(answer.body, *step.body);
        }
    }
}

TEST_F(Forwarding, LargeBodiesArriveWhole) {
    constexpr std::size_t kMiB = 1 << 20;
    for (std::size_t bytes : {kMiB / 10, kMiB, 10 * kMiB, 60 * kMiB}) {
        SCOPED_TRACE(bytes);
        std::string body = numbered_body(bytes);
        provider_.clear_requests();
        EXPECT_EQ(send(post_request("", body)).status, 200u);
        EXPECT_TRUE(last().body == body);
        if (bytes > 10 * kMiB) continue;
        provider_.clear_requests();
        EXPECT_EQ(send(chunked_request("", body, 10'000)).status, 200u);
        EXPECT_TRUE(last().body == body);
    }
}

TEST_F(Forwarding, RefusesOnlyWhatRoutingCannotDoWithout) {
    struct Case {
        const char* body;
        const char* words;
    };
    for (const Case& one : {
             Case{"", "empty"},
             Case{"[]", "JSON object"},
             Case{"{\"model\":\"m\"", "JSON"},
             Case{"{\"messages\":[]}", "model: Field required"},
             Case{"{\"model\":7}", "model"},
             Case{"{\"model\":\"a\",\"model\":\"b\"}", "twice"},
             Case{"{\"model\":\"m\",\"stream\":\"yes\"}", "stream"},
         }) {
        RawResponse answer = send(post_request("", one.body));
        EXPECT_EQ(answer.status, 400u) << one.body;
        EXPECT_NE(answer.body.find("\"type\":\"invalid_request_error\""), std::string::npos);
        EXPECT_NE(answer.body.find(one.words), std::string::npos) << answer.body;
    }
    EXPECT_EQ(provider_.request_count(), 0u);
    // The rest is the provider's to judge.
    for (const char* body :
         {R"({"model":"m"})",
          R"({"model":"m","messages":"nonsense","max_tokens":-1})",
          R"({"model":"m","messages":[{"role":"system","content":"x"}],"brand_new":{"a":[1]}})",
          R"({"model":"m","stream":null,"metadata":{"user_id":7},"system":{}})"}) {
        EXPECT_EQ(send(post_request("", body)).status, 200u) << body;
        EXPECT_EQ(last().body, body);
    }
}

TEST_F(Forwarding, AnAnswerWithoutABodyArrivesWithoutOne) {
    for (unsigned status : {400u, 404u, 204u}) {
        Step step = status_step(status);
        step.body = "";
        provider_.set_script(script_of({step}));
        RawResponse answer = send(post_request("", small_body()));
        EXPECT_EQ(answer.status, status);
        EXPECT_EQ(answer.body, "");
    }
}

// Headers in which a client tells of itself what it likes.
constexpr const char* kLies =
    "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\nX-Forwarded-Proto: gopher\r\nX-Real-IP: 203.0.113.9\r\n"
    "Forwarded: for=203.0.113.9\r\nVia: 1.1 inner.example\r\n";

void expect_no_lies(const RecordedRequest& request) {
    for (const char* name : {"x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded", "via"}) {
        EXPECT_FALSE(request.has_header(name)) << name;
    }
}

TEST_F(Forwarding, WhatAClientSaysOfItsAddressIsNotBelievedAndGoesNoFurther) {
    RawResponse answer = send(post_request(kLies, small_body()));
    EXPECT_EQ(answer.status, 200u);
    expect_no_lies(last());
    std::string remote = access_record(fleet_, answer.header("x-balancer-request-id")).value("remote", "");
    EXPECT_TRUE(remote.starts_with("127.0.0.1:")) << remote;
}

TEST_F(Forwarding, ATrustedProxyIsBelievedWhomItAsksFor) {
    Fleet fleet(to_yaml({{{"main", provider_.base_url()}}, kRoutes, "  trusted_proxies: [127.0.0.0/8]\n"}));
    RawResponse answer = exchange_raw(fleet.port(), post_request(kLies, small_body()));
    EXPECT_EQ(answer.status, 200u);
    expect_no_lies(last());
    EXPECT_EQ(access_record(fleet, answer.header("x-balancer-request-id")).value("remote", ""), "198.51.100.7");
}

}  // namespace
}  // namespace balancer::tests
