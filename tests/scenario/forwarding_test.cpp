// What goes upstream is what came in, byte by byte and line by line, and so is what comes back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

constexpr const char* kRoutes =
    "  \"mapped-*\":\n    - {provider: main, model: claude-upstream-1, priority: 1}\n"
    "  \"*\":\n    - {provider: main, model: passthrough, priority: 1}\n";

std::string request_with(
    std::string_view lines, std::string_view body, std::string_view target = "/v1/messages"
) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: balancer.example\r\nContent-Type: application/json\r\n{}"
        "Content-Length: {}\r\n\r\n{}",
        target,
        lines,
        body.size(),
        body
    );
}

std::string chunked(std::string_view head_lines, std::string_view body, std::size_t chunk) {
    std::string out = fmt::format(
        "POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{}"
        "Transfer-Encoding: chunked\r\n\r\n",
        head_lines
    );
    for (std::size_t at = 0; at < body.size(); at += chunk) {
        std::string_view piece = body.substr(at, chunk);
        out += fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    }
    return out + "0\r\n\r\n";
}

std::string small_body(std::string_view model = "m") {
    return fmt::format(R"({{"model":"{}","messages":[]}})", model);
}

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
    "\r\n {  \"max_tokens\" :1e5,\t\"temperature\":1.0, \"model\"  :\t\"claude-odd\" ,\"minus\":-0.0,\"y\":1E+2,"
    "\"big\":123456789012345678901234567890,\n"
    "\"unknown\":1,\"unknown\":{\"b\":1,\"a\":2,\"b\":3}, \"escapes\":\"\\u00e9\\ud83d\\ude00\\/\\u0041 \xC3\xA9 "
    "\xE6\xBC\xA2 \xF0\x9F\x98\x80\",\n\n"
    "\"messages\":[{\"role\":\"system\",\"model\":\"inner\",\"content\":[]},"
    "{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"x\\\"\"}],"
    "\"stream\":false, \"empty\":{ } , \"list\":[ ]\t}  \n";

TEST_F(Forwarding, TheBodyArrivesByteForByte) {
    for (const std::string& request :
         {request_with("", kOddBody), chunked("", kOddBody, 7), chunked("", kOddBody, 100'000)}) {
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
        EXPECT_EQ(send(request_with("", body)).status, 200u);
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
             Case{R"({"model":"m","n":{"provider":"inner"}})", R"({"model":"m","n":{"provider":"inner"}})"},
         }) {
        EXPECT_EQ(send(request_with("", one.sent)).status, 200u) << one.sent;
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
        EXPECT_EQ(send(request_with("", small_body(), target)).status, 200u);
        EXPECT_EQ(last().target, target);
        EXPECT_EQ(last().method, "POST");
        EXPECT_EQ(last().version, "HTTP/1.1");
    }
}

// Lines that belong to the connection, to the framing or to the balancer's own doing.
bool is_rewritten(const std::string& name) {
    static const std::vector<std::string> kNames = {
        "host", "content-length", "accept-encoding", "connection", "keep-alive", "te", "trailer",
        "upgrade", "proxy-authorization", "proxy-connection", "x-api-key", "authorization", "x-hop",
        "expect",
    };
    return std::ranges::any_of(kNames, [&](const std::string& one) { return same_name(one, name); });
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
        "anthropic-beta: second-line-2099-01-01, x\r\nX-New-Every-Month:   spaced \t\r\nx-empty:\r\n"
        "X-Latin: caf\xE9\r\nConnection: x-hop , close\r\nX-Hop: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n"
        "Keep-Alive: timeout=5\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\n";
    request.insert(request.find("x-app: cli"), extra);
    RawResponse answer = send(request);
    EXPECT_EQ(answer.status, 200u);
    RecordedRequest seen = last();
    HttpHead sent = *parse_head(std::string_view(request).substr(0, *head_size(request)));
    EXPECT_EQ(kept(seen.headers), kept(sent.headers));
    EXPECT_GT(kept(seen.headers).size(), 15u);
    EXPECT_EQ(count_headers(seen.headers, "anthropic-beta"), 2u);
    for (const char* gone :
         {"connection", "keep-alive", "te", "upgrade", "proxy-authorization", "proxy-connection", "x-hop"}) {
        EXPECT_FALSE(seen.has_header(gone)) << gone;
    }
    for (const char* once :
         {"host", "content-length", "content-type", "accept-encoding", "x-api-key", "anthropic-version"}) {
        EXPECT_EQ(count_headers(seen.headers, once), 1u) << once;
    }
    EXPECT_EQ(seen.header("host"), provider_.address());
    EXPECT_EQ(seen.header("accept-encoding"), "identity");
    EXPECT_EQ(seen.header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_FALSE(seen.has_header("transfer-encoding"));
}

TEST_F(Forwarding, TheVersionIsAddedOnlyWhenAbsent) {
    send(request_with("", small_body()));
    EXPECT_EQ(last().header("anthropic-version"), "2023-06-01");
    EXPECT_EQ(count_headers(last().headers, "anthropic-version"), 1u);
    send(request_with("Anthropic-Version: 2099-12-31\r\n", small_body()));
    EXPECT_EQ(last().header("anthropic-version"), "2099-12-31");
    EXPECT_EQ(count_headers(last().headers, "anthropic-version"), 1u);
}

TEST_F(Forwarding, TheClientsCredentialsGiveWayToTheProviders) {
    for (const char* lines :
         {"x-api-key: client\r\n",
          "Authorization: Bearer client\r\n",
          "X-Api-Key: client\r\nauthorization: bearer client\r\n"}) {
        send(request_with(lines, small_body()));
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
        request_with("X-Team: mine\r\nanthropic-version: 2023-06-01\r\nx-api-key: c\r\n", small_body())
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
        EXPECT_THAT(answer.header("x-balancer-request-id"), testing::MatchesRegex("bal_[0-9a-f]{16}"));
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
        ": a comment\n\nevent: content_block_start\r\ndata: {\"type\":\"content_block_start\",\"n\":1.0}\r\n\r\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\ndata: \"t\":\"\\u00e9 \xC3\xA9\"}\n",
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

// Every block of it is different, so that a block at a wrong place shows.
std::string numbered_body(std::size_t bytes) {
    std::string body = R"({"model":"claude-big","max_tokens":1,"messages":[{"role":"user","content":")";
    body.reserve(bytes + 64);
    for (std::uint64_t number = 0; body.size() < bytes; ++number) {
        fmt::format_to(std::back_inserter(body), "{:015x} ", number * 0x9e3779b97f4a7c15ULL >> 4);
    }
    return body + "\"}]}";
}

TEST_F(Forwarding, LargeBodiesArriveWhole) {
    constexpr std::size_t kMiB = 1 << 20;
    for (std::size_t bytes : {kMiB / 10, kMiB, 10 * kMiB, 60 * kMiB}) {
        SCOPED_TRACE(bytes);
        std::string body = numbered_body(bytes);
        provider_.clear_requests();
        EXPECT_EQ(send(request_with("", body)).status, 200u);
        EXPECT_TRUE(last().body == body);
        if (bytes > 10 * kMiB) continue;
        provider_.clear_requests();
        EXPECT_EQ(send(chunked("", body, 10'000)).status, 200u);
        EXPECT_TRUE(last().body == body);
    }
}

TEST_F(Forwarding, AsksForTheBodyThatIsAnnouncedByExpect) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    std::string request = request_with("Expect: 100-continue\r\n", small_body());
    std::size_t head = *head_size(request);
    ASSERT_TRUE(client->send(request.substr(0, head)));
    Result<RawResponse> interim = client->read_head();
    ASSERT_TRUE(interim);
    EXPECT_EQ(interim->status, 100u);
    EXPECT_EQ(provider_.connection_count(), 0u);
    ASSERT_TRUE(client->send(request.substr(head)));
    Result<RawResponse> answer = client->read_response();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200u);
    EXPECT_FALSE(last().has_header("expect"));
    EXPECT_EQ(last().body, small_body());

    // A client that does not wait gets no interim answer, or one; and the connection goes on either way.
    Result<RawResponse> second = client->exchange(request);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->status, 200u);
}

TEST_F(Forwarding, ServesHttp10) {
    std::string body = small_body();
    std::string head = fmt::format(
        "POST /v1/messages HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.size()
    );
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    Result<RawResponse> answer = client->exchange(head + "\r\n" + body);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200u);
    EXPECT_TRUE(client->wait_for_close(std::chrono::milliseconds(2000)));
    EXPECT_EQ(last().version, "HTTP/1.1");

    std::string stream_body = R"({"model":"m","stream":true})";
    RawResponse streamed_answer = send(fmt::format(
        "POST /v1/messages HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n{}",
        stream_body.size(),
        stream_body
    ));
    EXPECT_EQ(streamed_answer.end, BodyEnd::kComplete);
    EXPECT_EQ(streamed_answer.header("transfer-encoding"), "");
    EXPECT_TRUE(event_names(streamed_answer.body).ends_with("message_stop"));

    Result<RawClient> kept_alive = RawClient::connect(fleet_.port());
    ASSERT_TRUE(kept_alive);
    for (int i = 0; i < 2; ++i) {
        Result<RawResponse> one = kept_alive->exchange(head + "Connection: keep-alive\r\n\r\n" + body);
        ASSERT_TRUE(one) << i;
        EXPECT_EQ(one->status, 200u);
    }
}

TEST_F(Forwarding, ProbesAreAnsweredHere) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    for (const char* path : {"/", "/api/hello"}) {
        Result<RawResponse> answer =
            client->exchange(fmt::format("HEAD {} HTTP/1.1\r\nHost: h\r\n\r\n", path));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
        EXPECT_TRUE(answer->body.empty());
        EXPECT_FALSE(answer->header("x-balancer-request-id").empty());
    }
    EXPECT_EQ(provider_.connection_count(), 0u);
    // On the same connection: a probe's answer has left no bytes behind.
    Result<RawResponse> answer = client->exchange(claude_code_request(unstreamed()));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200u);
}

TEST_F(Forwarding, OneConnectionCarriesRequestsOfEveryKind) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    for (const std::string& request :
         {claude_code_request(streamed()),
          request_with("", "not JSON"),
          claude_code_request(unstreamed()),
          chunked("", small_body(), 3),
          std::string("GET /health HTTP/1.1\r\nHost: h\r\n\r\n"),
          std::string("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"),
          std::string("\r\n") + claude_code_request(streamed())}) {
        Result<RawResponse> answer = client->exchange(request);
        ASSERT_TRUE(answer) << request.substr(0, 100);
        EXPECT_EQ(answer->end, BodyEnd::kComplete);
        EXPECT_EQ(answer->header("connection"), "keep-alive");
    }
    EXPECT_EQ(provider_.request_count(), 4u);
    ASSERT_TRUE(client->send("GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    Result<RawResponse> end = client->read_response();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->header("connection"), "close");
    EXPECT_TRUE(client->wait_for_close(std::chrono::milliseconds(2000)));
}

TEST_F(Forwarding, PipelinedRequestsAreAnsweredInTheirOrder) {
    std::string all;
    for (int i = 0; i < 5; ++i) {
        std::string body = small_body(fmt::format("model-{}", i));
        all += i % 2 == 0 ? request_with("", body) : chunked("", body, 5);
    }
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(all));
    for (int i = 0; i < 5; ++i) {
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << i;
        EXPECT_NE(answer->body.find(fmt::format("\"model\":\"model-{}\"", i)), std::string::npos) << answer->body;
    }
    EXPECT_EQ(provider_.request_count(), 5u);
}

TEST(Pipelining, WhatFollowsAChunkedBodyDoesNotDisturbItsHead) {
    // A second request of more than the input buffer lies behind the first, which needs its head again for the failover.
    FakeProvider bad(script_of({status_step(500)}));
    FakeProvider good;
    Fleet fleet(
        to_yaml(
            {{{"bad", bad.base_url()}, {"good", good.base_url()}}, {}, "  unhealthy_threshold: 1000\n"}
        ),
        {1, 1}
    );
    std::string first_body = numbered_body(30'000);
    std::string second_body = numbered_body(60'000);
    std::string lines = "X-Mark: first request's own mark\r\nX-Claude-Code-Session-Id: one\r\n";
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(chunked(lines, first_body, 1000) + request_with("", second_body)));
    for (int i = 0; i < 2; ++i) {
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << i;
        EXPECT_EQ(answer->status, 200u) << answer->body;
        nlohmann::json record = access_record(fleet, answer->header("x-balancer-request-id"));
        EXPECT_EQ(record.value("path", ""), "/v1/messages");
    }
    ASSERT_EQ(good.request_count(), 2u);
    RecordedRequest first = good.requests().front();
    EXPECT_EQ(first.header("x-mark"), "first request's own mark");
    EXPECT_EQ(first.target, "/v1/messages");
    EXPECT_TRUE(first.body == first_body);
    EXPECT_TRUE(good.requests().back().body == second_body);
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
        RawResponse answer = send(request_with("", one.body));
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
        EXPECT_EQ(send(request_with("", body)).status, 200u) << body;
        EXPECT_EQ(last().body, body);
    }
}

}  // namespace
}  // namespace balancer::tests
