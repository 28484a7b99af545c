#include "tests/support/anthropic_dialect.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/raw_client.hpp"
#include "tests/support/thinking_rules.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

std::string joined(const std::vector<StreamEvent>& events) {
    std::string bytes;
    for (const StreamEvent& event : events) bytes += event.bytes;
    return bytes;
}

std::vector<std::string> names_of(const std::vector<StreamEvent>& events) {
    std::vector<std::string> names;
    for (const SseEvent& event : split_events(joined(events))) {
        names.push_back(event.name);
        EXPECT_EQ(json::parse(event.data)["type"], event.name);
    }
    return names;
}

TEST(AnthropicStream, HasAnthropicsOrder) {
    MessageSpec spec;
    spec.text = "two words";
    EXPECT_EQ(
        names_of(anthropic_stream(spec, "claude", 1)),
        (std::vector<std::string>{
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        })
    );
}

TEST(AnthropicStream, CarriesThinkingTextAndToolInNumberedBlocks) {
    MessageSpec spec;
    spec.thinking = "let me see";
    spec.text = "calling";
    spec.tool = ToolUse{"get_weather", R"({"city":"Troms\u00f8","days":3})"};
    std::string thinking, text, signature, input, stop;
    std::vector<int> starts;
    for (const SseEvent& event : split_events(joined(anthropic_stream(spec, "claude", 1)))) {
        json data = json::parse(event.data);
        if (event.name == "content_block_start") starts.push_back(data["index"]);
        if (event.name == "message_delta") stop = data["delta"]["stop_reason"];
        if (event.name != "content_block_delta") continue;
        json delta = data["delta"];
        thinking += delta.value("thinking", "");
        text += delta.value("text", "");
        signature += delta.value("signature", "");
        input += delta.value("partial_json", "");
    }
    EXPECT_EQ(starts, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(thinking, "let me see");
    EXPECT_EQ(text, "calling");
    EXPECT_FALSE(signature.empty());
    EXPECT_EQ(input, spec.tool->input_json);
    EXPECT_EQ(stop, "tool_use");
}

TEST(AnthropicStream, SplitsTextBetweenCharactersOnly) {
    MessageSpec spec;
    spec.text = "\u00e9\u00e9\u4f60\u597d\U0001f600z";
    spec.delta_bytes = 1;
    std::string text;
    for (const SseEvent& event : split_events(joined(anthropic_stream(spec, "claude", 1)))) {
        if (event.name != "content_block_delta") continue;
        text += json::parse(event.data)["delta"]["text"].get<std::string>();
    }
    EXPECT_EQ(text, spec.text);
}

TEST(AnthropicStream, PingsFirstWhenAsked) {
    MessageSpec spec;
    spec.pings_before_start = 2;
    std::vector<std::string> names = names_of(anthropic_stream(spec, "claude", 1));
    EXPECT_EQ(names[0], "ping");
    EXPECT_EQ(names[1], "ping");
    EXPECT_EQ(names[2], "message_start");
}

TEST(AnthropicMessage, EchoesTheModelAndIsCompact) {
    MessageSpec spec;
    spec.text_bytes = 1000;
    std::string body = anthropic_message(spec, "claude-x", 7);
    json message = json::parse(body);
    EXPECT_EQ(message["model"], "claude-x");
    EXPECT_EQ(message["id"], "msg_fake_7");
    EXPECT_EQ(message["content"][0]["text"].get<std::string>().size(), 1000U);
    EXPECT_TRUE(body.starts_with(R"({"id":"msg_fake_7","type":"message","role":"assistant",)"));
}

TEST(AnthropicError, HasTheStatussOwnTypeUnlessGiven) {
    EXPECT_EQ(
        anthropic_error({}, 529, 3),
        R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},)"
        R"("request_id":"req_fake_3"})"
    );
    EXPECT_EQ(json::parse(anthropic_error({}, 418, 1))["error"]["type"], "api_error");
    EXPECT_EQ(json::parse(anthropic_error({"x", "y"}, 400, 1))["error"]["message"], "y");
}

TEST(ThinkingRules, AreTheApis) {
    auto why = [](const std::string& messages, const std::string& rest) {
        auto refused = refused_thinking(R"({"messages":[)" + messages + "]" + rest + "}", "sig");
        return refused ? refused->message : "";
    };
    const std::string budget = R"(,"thinking":{"type":"enabled","budget_tokens":1024})";
    const std::string ask = R"({"role":"user","content":"thinking?"},)";
    auto said = [](const std::string& blocks) { return R"({"role":"assistant","content":[)" + blocks + "]},"; };
    const std::string call = R"({"type":"tool_use","id":"t","name":"n","input":{}})";
    const std::string result = R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]})";
    const std::string own = R"({"type":"thinking","thinking":"x","signature":"sig"},)";
    const std::string foreign = R"({"type":"thinking","thinking":"x","signature":"other"},)";

    EXPECT_EQ(why(ask + said(own + call) + result, budget), "");
    EXPECT_TRUE(why(ask + said(foreign + call) + result, budget).starts_with("messages.1.content.0: Invalid `signature`"));
    EXPECT_TRUE(why(ask + said(R"({"type":"redacted_thinking","data":"d"})") + ask + result, "")
                    .starts_with("messages.1.content.0: Invalid `data`"));
    EXPECT_TRUE(why(ask + said(call) + result, budget).starts_with("messages.1.content.0.type: Expected `thinking`"));
    EXPECT_EQ(why(ask + said(call) + result, R"(,"thinking":{"type":"adaptive"})"), "");
    EXPECT_EQ(why(ask + said(call) + result + "," + ask.substr(0, ask.size() - 1), budget), "") << "the turn is over";
    EXPECT_TRUE(why(ask.substr(0, ask.size() - 1), R"(,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]})")
                    .starts_with("context_management.edits.0"));
}

TEST(AnthropicRequest, ReadsModelAndStream) {
    std::string model;
    bool stream = false;
    read_anthropic_request(R"({"model":"m","stream":true})", model, stream);
    EXPECT_EQ(model, "m");
    EXPECT_TRUE(stream);
    read_anthropic_request("not json", model, stream);
    EXPECT_EQ(model, "m");
}

}  // namespace
}  // namespace balancer::tests
