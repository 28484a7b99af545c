// Providers that speak OpenAI's chat completions answer Claude Code as if they were Anthropic.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/openai_dialect.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;
using How = Break::How;
using After = Break::After;

class Openai : public testing::Test {
  protected:
    json asked() const {
        std::vector<RecordedRequest> seen = provider_.requests();
        if (seen.empty()) return {};
        return json::parse(seen.back().body, nullptr, false);
    }

    FakeProvider provider_;
    Fleet fleet_{yaml_of({openai_provider("other", provider_)})};
};

TEST_F(Openai, AnAnswerIsAMessageOfTheModelThatWasAskedFor) {
    RawResponse answer = fleet_.ask(unstreamed("Say hello."));
    ASSERT_EQ(answer.status, 200u) << answer.body;
    EXPECT_EQ(answer.header("content-type"), "application/json");
    EXPECT_EQ(answer.header("x-provider-used"), "other");
    json message = json::parse(answer.body);
    EXPECT_EQ(message["type"], "message");
    EXPECT_EQ(message["role"], "assistant");
    EXPECT_EQ(message["model"], unstreamed().model);
    EXPECT_EQ(message["content"][0]["text"], "Hello from the fake provider.");
    EXPECT_EQ(message["stop_reason"], "end_turn");
    EXPECT_EQ(message["usage"]["input_tokens"], 25);

    RecordedRequest seen = provider_.requests().back();
    EXPECT_EQ(seen.target, "/v1/chat/completions");
    EXPECT_EQ(seen.header("authorization"), "Bearer sk-openai-key");
    EXPECT_FALSE(seen.has_header("x-api-key"));
    EXPECT_FALSE(seen.has_header("anthropic-beta"));
    EXPECT_FALSE(seen.has_header("x-claude-code-session-id"));
    EXPECT_EQ(asked()["messages"][0]["role"], "system");
    EXPECT_EQ(asked()["messages"].back()["role"], "user");
}

TEST_F(Openai, AStreamHasExactlyTheEventsOfTheMessagesApi) {
    Step step;
    step.message.text = "one two";
    step.message.tool = ToolUse{"Bash", R"({"command":"ls -l","timeout":5})"};
    provider_.set_script(script_of({step}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_TRUE(answer.header("content-type").starts_with("text/event-stream"));
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    std::vector<SseEvent> events = split_events(answer.body);
    std::string arguments;
    int open = -1;
    int next = 0;
    for (const SseEvent& event : events) {
        json data = json::parse(event.data);
        EXPECT_EQ(data["type"], event.name);
        if (event.name == "content_block_start") {
            EXPECT_EQ(open, -1);
            EXPECT_EQ(data["index"], next);
            open = next++;
        } else if (event.name == "content_block_delta") {
            EXPECT_EQ(data["index"], open);
            if (data["delta"]["type"] == "input_json_delta") {
                arguments += data["delta"]["partial_json"].get<std::string>();
            }
        } else if (event.name == "content_block_stop") {
            EXPECT_EQ(data["index"], open);
            open = -1;
        } else if (event.name == "message_delta") {
            EXPECT_EQ(data["delta"]["stop_reason"], "tool_use");
            EXPECT_GT(data["usage"]["output_tokens"], 0);
        }
    }
    EXPECT_EQ(next, 2);
    EXPECT_EQ(arguments, R"({"command":"ls -l","timeout":5})");
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.front().name, "message_start");
    EXPECT_EQ(events.back().name, "message_stop");
    EXPECT_EQ(answer.body.find("[DONE]"), std::string::npos);
    EXPECT_EQ(asked()["stream"], true);
}

TEST_F(Openai, WhicheverModeItAnswersInTheClientGetsItsOwn) {
    Step whole;
    whole.body = chat_completion(MessageSpec{}, "m", 1);
    Step stream;
    stream.events = std::vector<StreamEvent>{
        {"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
         "\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n"},
        {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n"},
    };
    provider_.set_script(script_of({whole, stream}));
    RawResponse expanded = fleet_.ask(streamed());
    EXPECT_TRUE(event_names(expanded.body).starts_with("message_start")) << expanded.body;
    EXPECT_TRUE(event_names(expanded.body).ends_with("message_stop"));
    RawResponse gathered = fleet_.ask(unstreamed());
    json message = json::parse(gathered.body, nullptr, false);
    ASSERT_TRUE(message.is_object()) << gathered.body;
    EXPECT_EQ(message["content"][0]["text"], "Hi");
    EXPECT_EQ(message["stop_reason"], "max_tokens");
}

// The whole answer is made only at the end of the body, wherever that shows.
TEST_F(Openai, AWholeAnswerInsteadOfAStreamComesInWhateverFramingItHas) {
    for (Framing framing : {Framing::kContentLength, Framing::kChunked, Framing::kUntilClose}) {
        SCOPED_TRACE(static_cast<int>(framing));
        Step whole;
        whole.body = chat_completion(MessageSpec{}, "m", 1);
        whole.framing = framing;
        provider_.set_script(script_of({whole}));
        RawResponse answer = fleet_.ask(streamed());
        EXPECT_EQ(answer.status, 200u) << answer.body;
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        EXPECT_TRUE(event_names(answer.body).starts_with("message_start")) << answer.body;
        EXPECT_TRUE(event_names(answer.body).ends_with("message_stop"));
    }
    EXPECT_EQ(attempts(fleet_, "other", "broken_stream"), 0);
    // Half of one is none.
    Step half;
    half.body = chat_completion(MessageSpec{}, "m", 1).substr(0, 100);
    half.framing = Framing::kUntilClose;
    provider_.set_script(script_of({half}));
    EXPECT_EQ(fleet_.ask(streamed()).status, 503u);
}

TEST_F(Openai, ErrorsComeInTheTypesAndWordsThatClaudeCodeActsOn) {
    struct Case {
        unsigned status;
        ErrorSpec error;
        unsigned answer;
        const char* type;
        const char* words;
    };
    for (const Case& one : {
             Case{400, {"context_length_exceeded", "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens."}, 400, "invalid_request_error", "prompt is too long: 130000 tokens > 128000 maximum"},
             Case{400, {}, 400, "invalid_request_error", "not valid"},
             Case{401, {}, 401, "authentication_error", "Incorrect API key"},
             Case{429, {}, 429, "rate_limit_error", "Rate limit"},
             Case{500, {}, 500, "api_error", "had an error"},
         }) {
        SCOPED_TRACE(one.status);
        Step step = status_step(one.status, {{"retry-after", "7"}});
        step.error = one.error;
        provider_.set_script(script_of({step}));
        for (bool stream : {false, true}) {
            RawResponse answer = fleet_.ask(stream ? streamed() : unstreamed());
            EXPECT_EQ(answer.status, one.answer) << answer.body;
            EXPECT_EQ(answer.header("content-type"), "application/json");
            EXPECT_EQ(answer.header("retry-after"), "7");
            json body = json::parse(answer.body, nullptr, false);
            ASSERT_TRUE(body.is_object()) << answer.body;
            EXPECT_EQ(body["type"], "error");
            EXPECT_EQ(body["error"]["type"], one.type);
            EXPECT_NE(body["error"]["message"].get<std::string>().find(one.words), std::string::npos) << answer.body;
        }
    }
}

TEST_F(Openai, WhatItCannotTakeIsSaidAndNothingIsSent) {
    ClaudeCodeRequest request = unstreamed();
    std::string body = claude_code_body(request);
    json with_document = json::parse(body);
    with_document["messages"].back()["content"] = json::array(
        {{{"type", "document"}, {"source", {{"type", "base64"}, {"media_type", "application/pdf"}, {"data", "JVBERi0="}}}}}
    );
    RawResponse answer = exchange_raw(fleet_.port(), post_request("", with_document.dump()));
    EXPECT_EQ(answer.status, 400u);
    json error = json::parse(answer.body);
    EXPECT_EQ(error["error"]["type"], "invalid_request_error");
    EXPECT_NE(error["error"]["message"].get<std::string>().find("document"), std::string::npos) << answer.body;
    EXPECT_EQ(provider_.request_count(), 0u);
}

TEST(OpenaiFailover, MovesBetweenTheTypesInBothDirections) {
    FakeProvider anthropic;
    FakeProvider other;
    Fleet fleet(yaml_of({{"anthropic", anthropic.base_url()}, openai_provider("other", other)}));
    struct Case {
        const char* name;
        Step step;
    };
    Step event;
    event.error_event = ErrorEvent{1, {"overloaded_error", "Overloaded"}};
    for (const Case& one : {
             Case{"529", status_step(529)},
             Case{"reset", break_step(How::kReset, After::kHeadBytes, 0)},
             Case{"error in 200", event},
         }) {
        SCOPED_TRACE(one.name);
        anthropic.set_script(script_of({one.step}));
        RawResponse answer = fleet.ask(in_session(std::string("a-") + one.name, true));
        EXPECT_EQ(answer.header("x-provider-used"), "other");
        EXPECT_TRUE(event_names(answer.body).ends_with("message_stop")) << answer.body;
    }
    anthropic.set_script({});
    Fleet reversed(yaml_of({openai_provider("other", other), {"anthropic", anthropic.base_url()}}));
    Step cut = break_step(How::kClose, After::kEvents, 1);
    Step garbage;
    garbage.body = "<html>busy</html>";
    Step server_error = status_step(503);
    Step error_first;
    error_first.error_event = ErrorEvent{1, {"server_error", "The engine is overloaded"}};
    for (const Case& one : {
             Case{"cut", cut}, Case{"garbage", garbage}, Case{"503", server_error}, Case{"error first", error_first},
         }) {
        SCOPED_TRACE(one.name);
        other.set_script(script_of({one.step}));
        for (bool stream : {true, false}) {
            if (!stream && one.step.error_event) continue;
            RawResponse answer = reversed.ask(in_session(std::string("b-") + one.name, stream));
            EXPECT_EQ(answer.status, 200u) << answer.body;
            EXPECT_EQ(answer.header("x-provider-used"), "anthropic");
        }
    }
}

TEST(OpenaiFailover, ThinkingThatWasMadeHereDoesNotGoToAnthropic) {
    FakeProvider anthropic;
    FakeProvider other;
    Step step;
    step.message.thinking = "Let me see.";
    other.set_script(script_of({step}));
    Fleet fleet(yaml_of({openai_provider("other", other), {"anthropic", anthropic.base_url()}}));
    RawResponse first = fleet.ask(unstreamed());
    json message = json::parse(first.body);
    ASSERT_EQ(message["content"][0]["type"], "thinking") << first.body;
    json next = json::parse(claude_code_body(unstreamed()));
    next["messages"].push_back({{"role", "assistant"}, {"content", message["content"]}});
    next["messages"].push_back({{"role", "user"}, {"content", "Go on."}});
    other.set_script(script_of({status_step(503)}));
    RawResponse second = exchange_raw(fleet.port(), post_request("", next.dump()));
    EXPECT_EQ(second.status, 200u);
    EXPECT_EQ(second.header("x-provider-used"), "anthropic");
    json sent = json::parse(anthropic.requests().back().body);
    EXPECT_EQ(anthropic.requests().back().body.find("Let me see."), std::string::npos);
    next["messages"][next["messages"].size() - 2]["content"].erase(0);
    EXPECT_EQ(sent, next) << "only the block is gone";
}

TEST(OpenaiStream, ACutAfterTheBeginningIsNeverAnEnd) {
    FakeProvider provider;
    Fleet fleet(yaml_of({openai_provider("other", provider)}));
    for (How how : {How::kReset, How::kClose, How::kFinish}) {
        SCOPED_TRACE(static_cast<int>(how));
        Step step = break_step(how, After::kEvents, 4);
        step.message.text = "one two three four five six";
        step.message.event_gap = std::chrono::milliseconds(20);
        provider.set_script(script_of({step}));
        RawResponse answer = fleet.ask(in_session("s", true));
        EXPECT_EQ(answer.status, 200u);
        std::string names = event_names(answer.body);
        EXPECT_TRUE(names.starts_with("message_start")) << names;
        EXPECT_TRUE(names.ends_with("error")) << names;
        EXPECT_EQ(answer.body.find("message_stop"), std::string::npos);
        EXPECT_NE(answer.end, BodyEnd::kComplete);
        std::string words = failed_attempts(fleet, answer);
        EXPECT_NE(words.find("\"broken_stream\""), std::string::npos) << words;
    }
}

}  // namespace
}  // namespace balancer::tests
