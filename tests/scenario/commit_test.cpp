// After the commit nothing is replayed, and a cut upstream is never turned into a clean end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;

class Commit : public testing::Test {
  protected:
    FakeProvider first_;
    FakeProvider second_;
    Fleet fleet_{to_yaml(
        {{{"first", first_.base_url()}, {"second", second_.base_url()}},
         {},
         "  unhealthy_threshold: 1000\n  ping_interval: 0.3\n"
         "  timeouts:\n    streaming: {connect_timeout: 1, read_timeout: 1.2}\n"}
    )};
};

TEST_F(Commit, ACutStreamEndsWithAnErrorEventAndABrokenConnection) {
    int broken = 0;
    // Every place from the first content event to the last but message_stop, every way to break.
    for (How how : {How::kReset, How::kClose, How::kFinish, How::kBadChunk}) {
        for (std::size_t events = 3; events <= 9; ++events) {
            SCOPED_TRACE(fmt::format("how {} after {} events", static_cast<int>(how), events));
            Step step = break_step(how, After::kEvents, events);
            step.message.text = "one two three four";
            first_.set_script(script_of({step}));
            second_.clear_requests();
            ClaudeCodeRequest request = streamed();
            request.session_id = fmt::format("s-{}-{}", static_cast<int>(how), events);
            RawResponse answer = fleet_.ask(request);
            EXPECT_EQ(answer.status, 200u);
            bool at_once = how == How::kReset || how == How::kBadChunk;
            if (at_once && second_.request_count() == 1) {
                // A reset throws away what was received and not read yet, and a malformed chunk is seen with
                // the content that came in the same read: no content, no commit, and the whole
                // answer is the second provider's.
                EXPECT_EQ(answer.header("x-provider-used"), "second");
                EXPECT_EQ(answer.end, BodyEnd::kComplete);
                continue;
            }
            ++broken;
            EXPECT_NE(answer.end, BodyEnd::kComplete);
            EXPECT_NE(answer.end, BodyEnd::kTimeout);
            std::vector<SseEvent> seen = split_events(answer.body);
            ASSERT_FALSE(seen.empty());
            EXPECT_EQ(seen.back().name, "error");
            EXPECT_NE(seen.back().data.find("first"), std::string::npos);
            EXPECT_EQ(answer.body.find("message_stop"), std::string::npos);
            EXPECT_EQ(second_.request_count(), 0u) << "the answer was replayed";
        }
    }
    EXPECT_GE(broken, 14);
    EXPECT_TRUE(Fleet::eventually([&] {
        std::string metrics = fleet_.get_at(fleet_.admin_port(), "/metrics").body;
        std::string line = fmt::format("requests_total{{outcome=\"stream_broken\"}} {}\n", broken);
        return metrics.find(line) != std::string::npos;
    }));
}

TEST_F(Commit, ASilentStreamEndsAfterTheIdleTimeoutAndGetsPingsUntilThen) {
    first_.set_script(script_of({break_step(How::kHang, After::kEvents, 5)}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_NE(answer.end, BodyEnd::kComplete);
    std::string names = event_names(answer.body);
    EXPECT_NE(names.find("content_block_delta ping"), std::string::npos) << names;
    EXPECT_TRUE(names.ends_with("error")) << names;
}

TEST_F(Commit, AMidStreamErrorEventIsPassedOn) {
    Step step;
    step.error_event = ErrorEvent{5, {"overloaded_error", "Overloaded in the middle"}};
    first_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_NE(answer.body.find("Overloaded in the middle"), std::string::npos);
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST_F(Commit, AnUnstreamedAnswerThatIsCutIsNeverWhole) {
    Step step = break_step(How::kClose, After::kBodyBytes, 100'000);
    step.message.text_bytes = 200'000;
    first_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_NE(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST_F(Commit, PingsWhileWaitingAndFailoverStillWorksBehindThem) {
    Step slow = status_step(529);
    slow.delay = std::chrono::milliseconds(900);
    first_.set_script(script_of({slow}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    std::string names = event_names(answer.body);
    EXPECT_TRUE(names.starts_with("ping ")) << names;
    EXPECT_TRUE(names.ends_with("message_stop")) << names;
    EXPECT_EQ(second_.request_count(), 1u);
}

TEST_F(Commit, WhenNobodyAnswersAfterPingsTheStreamEndsWithAnErrorEvent) {
    Step slow = status_step(529);
    slow.delay = std::chrono::milliseconds(500);
    first_.set_script(script_of({slow}));
    second_.set_script(script_of({status_step(500)}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    std::string names = event_names(answer.body);
    EXPECT_TRUE(names.starts_with("ping")) << names;
    EXPECT_TRUE(names.ends_with("error")) << names;
}

TEST_F(Commit, AWholeAnswerBehindPingsIsNoStreamAndTheNextProviderIsAsked) {
    Step whole;
    whole.delay = std::chrono::milliseconds(900);
    whole.headers = {{"content-type", "application/json"}};
    whole.body = R"({"id":"msg_1","type":"message","role":"assistant","content":[]})";
    first_.set_script(script_of({whole}));
    RawResponse answer = fleet_.ask(streamed());
    std::string names = event_names(answer.body);
    EXPECT_TRUE(names.starts_with("ping ")) << names;
    EXPECT_TRUE(names.ends_with("message_stop")) << names;
    EXPECT_EQ(second_.request_count(), 1u);
}

TEST_F(Commit, BehindPingsTheClientsOwnFaultIsStillItsOwn) {
    Step slow = status_step(400);
    slow.delay = std::chrono::milliseconds(500);
    slow.error = ErrorSpec{"invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"};
    first_.set_script(script_of({slow}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    std::vector<SseEvent> events = split_events(answer.body);
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.back().name, "error");
    EXPECT_NE(events.back().data.find("invalid_request_error"), std::string::npos) << events.back().data;
    EXPECT_NE(events.back().data.find("prompt is too long: 210000"), std::string::npos);
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST_F(Commit, AnAnswerWithoutALengthIsWholeOnlyIfItsJsonIs) {
    Step cut = break_step(How::kClose, After::kBodyBytes, 100);
    cut.framing = Framing::kUntilClose;
    Step whole;
    whole.framing = Framing::kUntilClose;
    first_.set_script(script_of({cut, whole}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.header("x-provider-used"), "second");
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    ClaudeCodeRequest other = unstreamed();
    other.session_id = "another";
    answer = fleet_.ask(other);
    EXPECT_EQ(answer.header("x-provider-used"), "first");
    EXPECT_TRUE(answer.body.ends_with('}')) << answer.body;
}

TEST_F(Commit, AnOldClientSeesACutAsAReset) {
    // HTTP/1.0 has no chunks: where the connection's end is the body's, a clean one would say that all is here.
    Step cut = break_step(How::kReset, After::kBodyBytes, 150'000);
    cut.message.text_bytes = 300'000;
    cut.framing = Framing::kChunked;
    first_.set_script(script_of({cut}));
    std::string body = R"({"model":"m"})";
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    Result<RawResponse> answer = client->exchange(fmt::format(
        "POST /v1/messages HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", body.size(), body
    ));
    if (answer) EXPECT_NE(answer->end, BodyEnd::kComplete);
}

TEST_F(Commit, EventsArriveAsTheyAreSent) {
    Step step;
    step.message.text = "a b c";
    step.message.event_gap = std::chrono::milliseconds(120);
    first_.set_script(script_of({step}));
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    Result<RawResponse> head = client->read_head();
    ASSERT_TRUE(head);
    std::vector<SseEvent> events;
    for (;;) {
        Result<SseEvent> event = client->read_event(*head);
        if (!event) break;
        events.push_back(*event);
    }
    ASSERT_GE(events.size(), 8u);
    // Not gathered and sent at once: the last one comes clearly later than the first content.
    EXPECT_GT(events.back().at - events[2].at, std::chrono::milliseconds(300));
}

TEST_F(Commit, AClientThatLeavesCancelsTheUpstreamInEveryPhase) {
    struct Phase {
        const char* name;
        Step step;
    };
    Step trickle;
    trickle.message.text_bytes = 100'000;
    trickle.message.event_gap = std::chrono::milliseconds(50);
    for (const Phase& phase : {
             Phase{"before the head", break_step(How::kHang, After::kHeadBytes, 0)},
             Phase{"before content", break_step(How::kHang, After::kEvents, 1)},
             Phase{"in the stream", trickle},
         }) {
        SCOPED_TRACE(phase.name);
        first_.set_script(script_of({phase.step}));
        first_.clear_requests();
        second_.clear_requests();
        Result<RawClient> client = RawClient::connect(fleet_.port());
        ASSERT_TRUE(client);
        ClaudeCodeRequest request = streamed();
        request.session_id = phase.name;
        ASSERT_TRUE(client->send(claude_code_request(request)));
        ASSERT_TRUE(first_.wait_for_requests(1));
        client->close();
        EXPECT_TRUE(first_.wait_for_abandoned(1, std::chrono::milliseconds(8000)));
        EXPECT_EQ(second_.request_count(), 0u) << "failed over for a client that had left";
    }
}

}  // namespace
}  // namespace balancer::tests
