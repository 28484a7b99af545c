// Clients that speak OpenAI's chat completions, with providers of both types.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/anthropic_dialect.hpp"
#include "tests/support/openai_dialect.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

class ChatToAnthropic : public testing::Test {
  protected:
    RawResponse chat(const std::string& body, const std::string& lines = {}) const {
        return exchange_raw(fleet_.port(), chat_request(body, lines));
    }
    json asked() const { return json::parse(provider_.requests().back().body, nullptr, false); }

    FakeProvider provider_;
    Fleet fleet_{yaml_of({{"claude", provider_.base_url()}})};
};

TEST_F(ChatToAnthropic, AnAnswerIsACompletionOfTheModelThatWasAskedFor) {
    RawResponse answer = chat(
        chat_body(),
        "Authorization: Bearer sk-of-the-client\r\nOpenAI-Organization: org\r\nUser-Agent: OpenAI/JS\r\n"
    );
    ASSERT_EQ(answer.status, 200u) << answer.body;
    EXPECT_EQ(answer.header("content-type"), "application/json");
    EXPECT_EQ(answer.header("x-provider-used"), "claude");
    json completion = json::parse(answer.body);
    EXPECT_EQ(completion["object"], "chat.completion");
    EXPECT_EQ(completion["id"], "chatcmpl-" + answer.header("x-balancer-request-id"));
    EXPECT_EQ(completion["model"], "gpt-x");
    EXPECT_GT(completion["created"], 1'700'000'000);
    EXPECT_EQ(completion["choices"][0]["message"]["role"], "assistant");
    EXPECT_EQ(completion["choices"][0]["message"]["content"], "Hello from the fake provider.");
    EXPECT_EQ(completion["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(completion["usage"]["prompt_tokens"], 25);

    RecordedRequest seen = provider_.requests().back();
    EXPECT_EQ(seen.target, "/v1/messages");
    EXPECT_EQ(seen.header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_EQ(seen.header("anthropic-version"), "2023-06-01");
    EXPECT_FALSE(seen.has_header("authorization"));
    EXPECT_FALSE(seen.has_header("openai-organization"));
    EXPECT_EQ(asked()["system"][0]["text"], "Be brief.");
    EXPECT_EQ(asked()["messages"], json::parse(R"([{"role":"user","content":[{"type":"text","text":"Say hello."}]}])"));
    EXPECT_GT(asked()["max_tokens"], 0);

    json record = access_record(fleet_, answer.header("x-balancer-request-id"));
    EXPECT_EQ(record["operation"], "chat_completions");
    EXPECT_EQ(record["path"], "/v1/chat/completions");
    EXPECT_EQ(record["outcome"], "ok");
    EXPECT_EQ(record["provider"], "claude");
}

TEST_F(ChatToAnthropic, AStreamIsOneOfChunks) {
    Step step;
    step.message.text = "one two";
    step.message.tool = ToolUse{"Bash", R"({"command":"ls -l","timeout":5})"};
    step.message.pings_before_start = 2;
    provider_.set_script(script_of({step}));
    for (bool usage : {false, true}) {
        SCOPED_TRACE(usage);
        std::string body = chat_body(true);
        if (usage) body.insert(body.size() - 1, R"(,"stream_options":{"include_usage":true})");
        RawResponse answer = chat(body);
        EXPECT_EQ(answer.status, 200u);
        EXPECT_TRUE(answer.header("content-type").starts_with("text/event-stream"));
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        std::vector<std::string> data = stream_data(answer.body);
        ASSERT_GT(data.size(), 4u) << answer.body;
        EXPECT_EQ(data.back(), "[DONE]");
        data.pop_back();
        EXPECT_EQ(json::parse(data.front())["choices"][0]["delta"]["role"], "assistant");
        if (usage) {
            EXPECT_EQ(json::parse(data.back())["choices"], json::array());
            EXPECT_EQ(json::parse(data.back())["usage"]["prompt_tokens"], 25);
            data.pop_back();
        }
        EXPECT_EQ(json::parse(data.back())["choices"][0]["finish_reason"], "tool_calls");
        std::string name, arguments;
        for (const std::string& one : data) {
            json delta = json::parse(one)["choices"][0]["delta"];
            if (!delta.contains("tool_calls")) continue;
            name += delta["tool_calls"][0]["function"].value("name", "");
            arguments += delta["tool_calls"][0]["function"].value("arguments", "");
        }
        EXPECT_EQ(name, "Bash");
        EXPECT_EQ(arguments, R"({"command":"ls -l","timeout":5})");
        EXPECT_TRUE(chat_text(answer.body).starts_with("one two"));
        EXPECT_EQ(answer.body.find("event:"), std::string::npos);
        EXPECT_EQ(asked()["stream"], true);
    }
}

TEST_F(ChatToAnthropic, ToolsAndImagesGoAlong) {
    json body = json::parse(chat_body());
    body["tools"] = json::parse(
        R"([{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"type":"object","properties":{}}}}])"
    );
    body["messages"] = json::parse(R"([
        {"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_12345678","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]},
        {"role":"tool","tool_call_id":"call_12345678","content":"a cat"}])");
    ASSERT_EQ(chat(body.dump()).status, 200u);
    json sent = asked();
    EXPECT_EQ(sent["tools"][0]["name"], "look");
    EXPECT_EQ(sent["messages"][0]["content"][1]["source"]["media_type"], "image/png");
    EXPECT_EQ(sent["messages"][1]["content"][0]["type"], "tool_use");
    EXPECT_EQ(sent["messages"][1]["content"][0]["input"], json::parse(R"({"at":1})"));
    EXPECT_EQ(sent["messages"][2]["content"][0]["type"], "tool_result");
    EXPECT_EQ(sent["messages"][2]["content"][0]["tool_use_id"], "call_12345678");
}

TEST_F(ChatToAnthropic, WhicheverModeItAnswersInTheClientGetsItsOwn) {
    Step whole;
    whole.body = anthropic_message(MessageSpec{}, "m", 1);
    Step stream;
    stream.events = anthropic_stream(MessageSpec{}, "m", 1);
    provider_.set_script(script_of({whole, stream}));
    RawResponse expanded = chat(chat_body(true));
    EXPECT_EQ(chat_text(expanded.body), "Hello from the fake provider.[DONE]") << expanded.body;
    RawResponse gathered = chat(chat_body(false));
    json completion = json::parse(gathered.body, nullptr, false);
    ASSERT_TRUE(completion.is_object()) << gathered.body;
    EXPECT_EQ(completion["choices"][0]["message"]["content"], "Hello from the fake provider.");
}

class ChatToOpenai : public testing::Test {
  protected:
    RawResponse chat(const std::string& body, const std::string& lines = {}) const {
        return exchange_raw(fleet_.port(), chat_request(body, lines));
    }

    FakeProvider provider_;
    Fleet fleet_{yaml_of(
        {openai_provider("other", provider_)},
        route("named-*", target("other", "gpt-sent")) + route("*", target("other", "passthrough"))
    )};
};

TEST_F(ChatToOpenai, TheRequestGoesThroughByteForByte) {
    const std::string kRest =
        R"(, "n" : 2 ,"temperature":0.50,"seed":12345678901234567890, "messages":[ {"role":"user","content":"caf\u00e9 é 😀"} ],)"
        "\n \"vendor\" : {\"b\":1,\"a\":[1.0e3 , null]}  }";
    Step step;
    step.body = "{ \"id\":\"x\",\n  \"choices\" : [ ], \"vendor\":1.50 }\n";
    provider_.set_script(script_of({step}));
    RawResponse answer = exchange_raw(
        fleet_.port(),
        post_request(
            "authorization: Bearer sk-of-the-client\r\nOpenAI-Organization: org\r\n",
            "{\"model\" : \"named-x\" , \"provider\":\"other\"" + kRest,
            "/v1/chat/completions?api-version=1"
        )
    );
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.body, *step.body);
    RecordedRequest seen = provider_.requests().back();
    EXPECT_EQ(seen.target, "/v1/chat/completions?api-version=1");
    EXPECT_EQ(seen.body, "{\"model\" : \"gpt-sent\" , " + kRest.substr(1)) << "the pin goes with its comma";
    EXPECT_EQ(seen.header("authorization"), "Bearer sk-openai-key");
    EXPECT_EQ(seen.header("openai-organization"), "org");
    EXPECT_FALSE(seen.has_header("anthropic-version"));

    chat("{\"model\" : \"named-x\"" + kRest);
    EXPECT_EQ(provider_.requests().back().body, "{\"model\" : \"gpt-sent\"" + kRest);
}

TEST_F(ChatToOpenai, TheStreamGoesThroughByteForByte) {
    Step step;
    step.events = std::vector<StreamEvent>{
        {": processing\n\n"},
        {"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"},
        {"data: {\"choices\":[{\"delta\":{\"content\": \"a \\u00e9\"}}] , \"vendor\":[1.0]}\r\n\r\n"},
        {"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"},
        {"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"},
        {"data: [DONE]\n\n"},
    };
    provider_.set_script(script_of({step}));
    std::string sent;
    for (const StreamEvent& event : *step.events) sent += event.bytes;
    RawResponse answer = chat(chat_body(true));
    EXPECT_EQ(answer.body, sent);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(provider_.requests().back().body, chat_body(true)) << "nothing is added, usage neither";
    // As the fake provider tells it by itself, with fields of a vendor's own.
    provider_.set_script({});
    std::string generated;
    for (const StreamEvent& event : chat_stream(MessageSpec{}, "gpt-x", 2, false)) generated += event.bytes;
    EXPECT_EQ(chat(chat_body(true)).body, generated);
}

TEST_F(ChatToOpenai, AStreamIsWholeWithItsFinishReason) {
    // Servers that send no [DONE], and one that leaves the empty line behind it out.
    for (const char* end : {"", "data: [DONE]\n"}) {
        Step step;
        step.events = std::vector<StreamEvent>{
            {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}\n\n"}, {end}
        };
        provider_.set_script(script_of({step}));
        RawResponse answer = chat(chat_body(true));
        EXPECT_EQ(answer.body, step.events->front().bytes + end);
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
    }
}

TEST_F(ChatToOpenai, WhicheverModeItAnswersInTheClientGetsItsOwn) {
    Step whole;
    whole.body = chat_completion(MessageSpec{}, "m", 1);
    Step stream;
    stream.events = chat_stream(MessageSpec{}, "m", 1, true);
    provider_.set_script(script_of({whole, stream}));
    RawResponse expanded = chat(chat_body(true));
    EXPECT_EQ(chat_text(expanded.body), "Hello from the fake provider.[DONE]") << expanded.body;
    RawResponse gathered = chat(chat_body(false));
    json completion = json::parse(gathered.body, nullptr, false);
    ASSERT_TRUE(completion.is_object()) << gathered.body;
    EXPECT_EQ(completion["choices"][0]["message"]["content"], "Hello from the fake provider.");
    EXPECT_EQ(completion["usage"]["prompt_tokens"], 25);
}

TEST(ChatSessions, StayWithTheirProviderByWhatTheBodySays) {
    FakeProvider anthropic;
    FakeProvider other;
    Fleet fleet(yaml_of(
        {{"claude", anthropic.base_url()}, openai_provider("other", other)}, {}, "  selection_strategy: round_robin\n"
    ));
    std::set<std::string> all;
    for (int session = 0; session < 6; ++session) {
        for (const char* member : {"user", "prompt_cache_key", "header", "nothing"}) {
            std::set<std::string> seen;
            // An odd number, so that the next session has the other turn.
            for (int i = 0; i < 3; ++i) {
                std::string body = chat_body(i % 2 == 0, "gpt-x", fmt::format("{} {}", member, session));
                std::string lines;
                if (std::string_view(member) == "header") {
                    lines = fmt::format("x-claude-code-session-id: s{}\r\n", session);
                } else if (std::string_view(member) != "nothing") {
                    body = chat_body(i % 2 == 0, "gpt-x", fmt::format("prompt {}", i));
                    body.insert(body.size() - 1, fmt::format(R"(,"{}":"{}{}")", member, member, session));
                }
                seen.insert(used(exchange_raw(fleet.port(), chat_request(body, lines))));
            }
            EXPECT_EQ(seen.size(), 1u) << member << session;
            all.merge(seen);
        }
    }
    EXPECT_EQ(all.size(), 2u) << "other sessions go elsewhere";
}

}  // namespace
}  // namespace balancer::tests
