// What a fake provider does when it is told to misbehave, seen from the client's side.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/claude_code_request.hpp"
#include "tests/support/fake_provider.hpp"
#include "tests/support/raw_client.hpp"

namespace balancer::tests {
namespace {

RawClient client_of(const FakeProvider& provider) {
    Result<RawClient> client = RawClient::connect(provider.port());
    EXPECT_TRUE(client.has_value());
    return std::move(*client);
}

std::string plain_request() {
    ClaudeCodeRequest request;
    request.stream = false;
    return claude_code_request(request);
}

// One request against one step.
Result<RawResponse> outcome(
    const Step& step, const std::string& request, milliseconds timeout = milliseconds(10'000)
) {
    FakeProvider provider(script_of({step}));
    return client_of(provider).exchange(request, timeout);
}

TEST(FakeProviderFaults, RefusesAtAccept) {
    Step refuse;
    refuse.refuse = true;
    FakeProvider provider(script_of({refuse, Step{}}));
    // The reset may overtake the end of connect().
    Result<RawClient> refused = RawClient::connect(provider.port());
    if (refused) EXPECT_FALSE(refused->exchange(plain_request()).has_value());
    EXPECT_TRUE(client_of(provider).exchange(plain_request()).has_value());
    EXPECT_EQ(provider.connection_count(), 2U);
    EXPECT_EQ(provider.request_count(), 1U);
}

TEST(FakeProviderFaults, HangsBeforeTheHeadUntilTheClientGoes) {
    FakeProvider provider(script_of({break_step(Break::How::kHang, Break::After::kHeadBytes, 0)}));
    RawClient client = client_of(provider);
    ASSERT_TRUE(client.send(plain_request()).has_value());
    ASSERT_TRUE(provider.wait_for_requests(1));
    EXPECT_FALSE(client.read_head(milliseconds(50)).has_value());
    EXPECT_FALSE(provider.wait_for_abandoned(1, milliseconds(0)));
    client.close();
    EXPECT_TRUE(provider.wait_for_abandoned(1));
}

TEST(FakeProviderFaults, NoticesAClientThatResetsMidStream) {
    Step slow;
    slow.message.event_gap = milliseconds(60'000);
    FakeProvider provider(script_of({slow}));
    RawClient client = client_of(provider);
    ASSERT_TRUE(client.send(claude_code_request()).has_value());
    Result<RawResponse> head = client.read_head();
    ASSERT_TRUE(head.has_value());
    ASSERT_TRUE(client.read_event(*head).has_value());
    client.abort();
    EXPECT_TRUE(provider.wait_for_abandoned(1));
    EXPECT_EQ(provider.requests().at(0).playback, Playback::kAbandoned);
}

TEST(FakeProviderFaults, RecordsARequestWhoseBodyNeverEnds) {
    FakeProvider provider;
    RawClient client = client_of(provider);
    ASSERT_TRUE(client.send("POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
                    .has_value());
    client.close();
    ASSERT_TRUE(provider.wait_for_abandoned(1));
    EXPECT_EQ(provider.requests().at(0).body, "abc");
    EXPECT_FALSE(provider.requests().at(0).body_complete);
}

TEST(FakeProviderFaults, ResetsInsideTheHead) {
    Result<RawResponse> response =
        outcome(break_step(Break::How::kReset, Break::After::kHeadBytes, 10), plain_request());
    ASSERT_FALSE(response.has_value());
    EXPECT_NE(response.error().text().find("reset"), std::string::npos);
}

TEST(FakeProviderFaults, ResetsAfterSoManyBodyBytes) {
    Result<RawResponse> response =
        outcome(break_step(Break::How::kReset, Break::After::kBodyBytes, 5), plain_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kReset);
    EXPECT_EQ(response->body.size(), 5U);
}

TEST(FakeProviderFaults, CutsAStreamAfterSoManyEvents) {
    Result<RawResponse> response =
        outcome(break_step(Break::How::kClose, Break::After::kEvents, 3), claude_code_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kCut);
    EXPECT_EQ(split_events(response->body).size(), 3U);
}

TEST(FakeProviderFaults, EndsAStreamCleanlyButTooEarly) {
    Result<RawResponse> response =
        outcome(break_step(Break::How::kFinish, Break::After::kEvents, 3), claude_code_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kComplete);
    EXPECT_EQ(split_events(response->body).size(), 3U);
}

TEST(FakeProviderFaults, FallsSilentMidStream) {
    Result<RawResponse> response = outcome(
        break_step(Break::How::kHang, Break::After::kEvents, 2),
        claude_code_request(),
        milliseconds(100)
    );
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kTimeout);
    EXPECT_EQ(split_events(response->body).size(), 2U);
}

TEST(FakeProviderFaults, SendsABadChunkSize) {
    Result<RawResponse> response =
        outcome(break_step(Break::How::kBadChunk, Break::After::kEvents, 1), claude_code_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kMalformed);
}

TEST(FakeProviderFaults, LiesAboutTheLength) {
    Step longer;
    longer.content_length_off_by = 10;
    Result<RawResponse> cut = outcome(longer, plain_request());
    ASSERT_TRUE(cut.has_value());
    EXPECT_EQ(cut->end, BodyEnd::kCut);

    Step shorter;
    shorter.content_length_off_by = -1;
    FakeProvider provider(script_of({shorter}));
    RawClient client = client_of(provider);
    Result<RawResponse> response = client.exchange(plain_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kComplete);
    EXPECT_EQ(client.unread(), "}");
}

TEST(FakeProviderFaults, SendsGarbageForAHead) {
    Step garbage;
    garbage.garbage_head = true;
    Result<RawResponse> response = outcome(garbage, plain_request());
    ASSERT_FALSE(response.has_value());
    EXPECT_NE(response.error().text().find("not HTTP"), std::string::npos);
}

TEST(FakeProviderFaults, SendsAnErrorEventFirstOrLater) {
    for (std::size_t after : {0U, 4U}) {
        Step step;
        step.error_event = ErrorEvent{after, {}};
        Result<RawResponse> response = outcome(step, claude_code_request());
        ASSERT_TRUE(response.has_value());
        std::vector<SseEvent> events = split_events(response->body);
        ASSERT_EQ(events.size(), after + 1);
        EXPECT_EQ(events.back().name, "error");
        EXPECT_NE(events.back().data.find("overloaded_error"), std::string::npos);
        EXPECT_EQ(response->end, BodyEnd::kComplete);
    }
}

TEST(FakeProviderFaults, HidesAnErrorInA200) {
    Step step;
    step.error = ErrorSpec{"overloaded_error", ""};
    Result<RawResponse> response = outcome(step, plain_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 200U);
    EXPECT_EQ(nlohmann::json::parse(response->body)["error"]["message"], "Overloaded");
}

TEST(FakeProviderFaults, SendsWhatIsNotJson) {
    Step step;
    step.body = "<html>login</html>";
    step.headers = {{"content-type", "text/html"}};
    Result<RawResponse> response = outcome(step, plain_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->header("content-type"), "text/html");
    EXPECT_EQ(count_headers(response->headers, "content-type"), 1U);
    EXPECT_EQ(response->body, "<html>login</html>");
}

TEST(FakeProviderFaults, DelaysItsHead) {
    Step step;
    step.delay = milliseconds(80);
    auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(outcome(step, plain_request()).has_value());
    EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(80));
}

TEST(FakeProviderFaults, TricklesAndStillEndsWhole) {
    Step step;
    step.trickle_bytes = 7;
    step.trickle_gap = milliseconds(0);
    step.message.text = "short";
    Result<RawResponse> response = outcome(step, claude_code_request());
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->end, BodyEnd::kComplete);
    EXPECT_EQ(split_events(response->body).back().name, "message_stop");
}

TEST(FakeProviderFaults, SendsInterimHeads) {
    Step step;
    step.informational = 2;
    FakeProvider provider(script_of({step}));
    RawClient client = client_of(provider);
    ASSERT_TRUE(client.send(plain_request()).has_value());
    for (unsigned status : {100U, 100U, 200U}) {
        Result<RawResponse> head = client.read_head();
        ASSERT_TRUE(head.has_value());
        EXPECT_EQ(head->status, status);
    }
}

TEST(FakeProviderFaults, EventsArriveOneByOne) {
    Step step;
    step.message.text = "one";
    step.message.event_gap = milliseconds(30);
    FakeProvider provider(script_of({step}));
    RawClient client = client_of(provider);
    ASSERT_TRUE(client.send(claude_code_request()).has_value());
    Result<RawResponse> response = client.read_head();
    ASSERT_TRUE(response.has_value());
    std::vector<SseEvent> events;
    for (Result<SseEvent> event = client.read_event(*response); event;
         event = client.read_event(*response)) {
        events.push_back(*event);
    }
    ASSERT_EQ(events.size(), 7U);
    EXPECT_EQ(response->end, BodyEnd::kComplete);
    EXPECT_GE(events[2].at - events[1].at, milliseconds(15));
    EXPECT_GE(events[6].at, milliseconds(150));
}

}  // namespace
}  // namespace balancer::tests
