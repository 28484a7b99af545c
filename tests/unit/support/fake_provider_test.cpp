// What a fake provider answers and records when it behaves.
#include "tests/support/fake_provider.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/claude_code_request.hpp"
#include "tests/support/raw_client.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

RawClient client_of(const FakeProvider& provider) {
    Result<RawClient> client = RawClient::connect(provider.port());
    EXPECT_TRUE(client.has_value());
    return std::move(*client);
}

RawResponse ask(RawClient& client, const std::string& request) {
    Result<RawResponse> response = client.exchange(request);
    EXPECT_TRUE(response.has_value()) << response.error().text();
    return response ? *response : RawResponse{};
}

std::string plain_request() {
    ClaudeCodeRequest request;
    request.stream = false;
    return claude_code_request(request);
}

TEST(FakeProvider, AnswersAMessage) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    RawResponse response = ask(client, plain_request());
    EXPECT_EQ(response.start_line, "HTTP/1.1 200 OK");
    EXPECT_EQ(response.header("request-id"), "req_fake_1");
    EXPECT_EQ(response.header("content-type"), "application/json");
    EXPECT_EQ(response.end, BodyEnd::kComplete);
    json message = json::parse(response.body);
    EXPECT_EQ(message["model"], "claude-opus-5-5");
    EXPECT_EQ(message["content"][0]["text"], "Hello from the fake provider.");
}

TEST(FakeProvider, StreamsWhenAsked) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    RawResponse response = ask(client, claude_code_request());
    EXPECT_EQ(response.header("transfer-encoding"), "chunked");
    EXPECT_EQ(response.end, BodyEnd::kComplete);
    std::vector<SseEvent> events = split_events(response.body);
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.front().name, "message_start");
    EXPECT_EQ(events.back().name, "message_stop");
}

TEST(FakeProvider, ServesTheOtherEndpoints) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    RawResponse count = ask(
        client,
        "POST /v1/messages/count_tokens?beta=true HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
        "12345678"
    );
    EXPECT_EQ(count.body, R"({"input_tokens":3})");
    RawResponse models = ask(client, "GET /v1/models?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(json::parse(models.body)["data"][0]["type"], "model");
    RawResponse head = ask(client, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(head.status, 200U);
    RawResponse lost = ask(client, "GET /v2/what HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(lost.status, 404U);
    EXPECT_EQ(json::parse(lost.body)["error"]["type"], "not_found_error");
    EXPECT_EQ(provider.connection_count(), 1U);
}

TEST(FakeProvider, RecordsHeadersInWireOrderAndTheBodysBytes) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    ClaudeCodeRequest request;
    request.body_bytes = 60'000;
    std::string body = claude_code_body(request);
    EXPECT_EQ(body.size(), 60'000U);
    ask(client, claude_code_request(request, body));
    ASSERT_TRUE(provider.wait_for_played(1));
    RecordedRequest seen = provider.requests().at(0);
    EXPECT_EQ(seen.method, "POST");
    EXPECT_EQ(seen.target, "/v1/messages?beta=true");
    EXPECT_EQ(seen.path(), "/v1/messages");
    EXPECT_EQ(seen.headers.front().first, "Accept");
    EXPECT_EQ(seen.headers.back().first, "Content-Length");
    EXPECT_EQ(seen.header("x-claude-code-session-id"), request.session_id);
    EXPECT_EQ(seen.body, body);
    EXPECT_TRUE(seen.stream);
    EXPECT_EQ(seen.model, request.model);
    EXPECT_EQ(seen.playback, Playback::kPlayed);
}

TEST(FakeProvider, ReadsChunkedRequests) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    ask(client,
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "7\r\n{\"model\r\n7\r\n\":\"mm\"}\r\n0\r\n\r\n");
    EXPECT_EQ(provider.requests().at(0).model, "mm");
}

TEST(FakeProvider, AnswersAnExpectation) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    ASSERT_TRUE(client
                    .send("POST /v1/messages HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                          "Content-Length: 2\r\n\r\n")
                    .has_value());
    Result<RawResponse> interim = client.read_head();
    ASSERT_TRUE(interim.has_value());
    EXPECT_EQ(interim->status, 100U);
    EXPECT_EQ(ask(client, "{}").status, 200U);
}

TEST(FakeProvider, RefusesAnExpectationWhenScripted) {
    Script script;
    script.on_expect = OnExpect::kRefuse;
    FakeProvider provider(script);
    RawClient client = client_of(provider);
    RawResponse response =
        ask(client,
            "POST /v1/messages HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            "Content-Length: 2\r\n\r\n");
    EXPECT_EQ(response.status, 417U);
    EXPECT_EQ(provider.request_count(), 0U);
}

TEST(FakeProvider, AnswersAtTheHeadWhenScripted) {
    Script script = script_of({status_step(413)});
    script.reads_body = false;
    FakeProvider provider(script);
    RawClient client = client_of(provider);
    RawResponse response =
        ask(client, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    EXPECT_EQ(response.status, 413U);
    EXPECT_TRUE(client.wait_for_close());
}

TEST(FakeProvider, SendsScriptedStatusesAndHeaders) {
    FakeProvider provider(script_of({
        status_step(
            429, {{"retry-after", "7"}, {"anthropic-ratelimit-unified-status", "rejected"}}
        ),
        status_step(529),
    }));
    RawClient client = client_of(provider);
    RawResponse limited = ask(client, claude_code_request());
    EXPECT_EQ(limited.status, 429U);
    EXPECT_EQ(limited.header("retry-after"), "7");
    EXPECT_EQ(limited.header("anthropic-ratelimit-unified-status"), "rejected");
    EXPECT_EQ(json::parse(limited.body)["error"]["type"], "rate_limit_error");
    RawResponse overloaded = ask(client, claude_code_request());
    EXPECT_EQ(overloaded.status, 529U);
    EXPECT_EQ(json::parse(overloaded.body)["error"]["type"], "overloaded_error");
}

TEST(FakeProvider, ClosesAsScripted) {
    Step announced;
    announced.closing = Closing::kAnnounced;
    Step silent;
    silent.closing = Closing::kSilent;
    FakeProvider provider(script_of({announced, silent}));
    for (const char* connection : {"close", ""}) {
        RawClient client = client_of(provider);
        RawResponse response = ask(client, plain_request());
        EXPECT_EQ(response.header("connection"), connection);
        EXPECT_EQ(response.end, BodyEnd::kComplete);
        EXPECT_TRUE(client.wait_for_close());
    }
}

TEST(FakeProvider, FramesUntilClose) {
    Step step;
    step.framing = Framing::kUntilClose;
    FakeProvider provider(script_of({step}));
    RawClient client = client_of(provider);
    RawResponse response = ask(client, claude_code_request());
    EXPECT_EQ(response.header("content-length"), "");
    EXPECT_EQ(response.end, BodyEnd::kComplete);
    EXPECT_EQ(split_events(response.body).back().name, "message_stop");
}

TEST(FakeProvider, TakesANewScriptFromTheNextRequestOn) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    EXPECT_EQ(ask(client, plain_request()).status, 200U);
    provider.set_script(script_of({status_step(500)}));
    EXPECT_EQ(ask(client, plain_request()).status, 500U);
}

TEST(FakeProvider, RefusesConnectsAfterStop) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    ask(client, plain_request());
    provider.stop();
    EXPECT_TRUE(client.wait_for_close());
    EXPECT_FALSE(RawClient::connect(provider.port()).has_value());
}

TEST(FakeProvider, SendsHugeBodies) {
    Step step;
    step.message.text_bytes = 8 << 20;
    FakeProvider provider(script_of({step}));
    RawClient client = client_of(provider);
    RawResponse response = ask(client, plain_request());
    EXPECT_EQ(response.end, BodyEnd::kComplete);
    EXPECT_GT(response.body.size(), std::size_t{8} << 20);
}

}  // namespace
}  // namespace balancer::tests
