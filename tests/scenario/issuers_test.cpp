// One conversation, with tools and thinking in its history, at providers of different issuers in turn. The fake providers refuse
// foreign signatures, and calls without thinking, as Anthropic does (tests/support/thinking_rules.hpp).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

enum class Thinking { kBudget, kAdaptive };

// Claude Code's side: keeps what it was told and sends it all again, as it came.
class Conversation {
  public:
    Conversation(const Fleet& fleet, bool stream, Thinking thinking) : fleet_(fleet), stream_(stream) {
        ClaudeCodeRequest request = stream ? streamed() : unstreamed();
        body_ = json::parse(claude_code_body(request));
        body_["messages"] = json::array();
        body_["thinking"] = thinking == Thinking::kBudget ? json{{"type", "enabled"}, {"budget_tokens", 2048}}
                                                          : json{{"type", "adaptive"}};
        body_["context_management"] = {{"edits", {{{"type", "clear_thinking_20251015"}, {"keep", "all"}}}}};
    }

    // The user's word, or the results of the calls that wait; then the answer, which is kept. Who gave it.
    std::string go_on() {
        json last = body_["messages"].empty() ? json() : body_["messages"].back();
        json content = json::array();
        for (const json& block : last.is_null() ? json::array() : last["content"]) {
            if (block["type"] != "tool_use") continue;
            content.push_back({{"type", "tool_result"}, {"tool_use_id", block["id"]}, {"content", "done"}});
        }
        if (content.empty()) content.push_back({{"type", "text"}, {"text", "Go on."}});
        body_["messages"].push_back({{"role", "user"}, {"content", content}});
        // A session of its own each time: whoever answered last is not preferred.
        std::string session = "x-claude-code-session-id: s" + std::to_string(body_["messages"].size()) + "\r\n";
        RawResponse answer = exchange_raw(fleet_.port(), post_request(session, body_.dump()));
        EXPECT_EQ(answer.status, 200u) << answer.body;
        if (answer.status != 200) return {};
        body_["messages"].push_back({{"role", "assistant"}, {"content", stream_ ? gathered(answer.body) : json::parse(answer.body)["content"]}});
        last_ = answer;
        return used(answer);
    }

    const json& last_content() const { return body_["messages"].back()["content"]; }
    const RawResponse& last() const { return last_; }

  private:
    // The blocks of a stream, put together as the SDK does.
    static json gathered(const std::string& stream) {
        json blocks = json::array();
        std::string arguments;
        for (const SseEvent& event : split_events(stream)) {
            json data = json::parse(event.data, nullptr, false);
            if (event.name == "content_block_start") {
                blocks.push_back(data["content_block"]);
                arguments.clear();
            } else if (event.name == "content_block_delta") {
                const json& delta = data["delta"];
                json& block = blocks[data["index"].get<std::size_t>()];
                for (const char* key : {"text", "thinking", "signature"}) {
                    if (!delta.contains(key)) continue;
                    block[key] = block.value(key, "") + delta[key].get<std::string>();
                }
                arguments += delta.value("partial_json", "");
            } else if (event.name == "content_block_stop" && blocks.back()["type"] == "tool_use") {
                blocks.back()["input"] = json::parse(arguments.empty() ? "{}" : arguments);
            }
        }
        return blocks;
    }

    const Fleet& fleet_;
    bool stream_;
    json body_;
    RawResponse last_;
};

Step thinks_and_calls(std::string signature = {}, std::string thinking = "Let me see.") {
    Step step;
    step.message.text = {};
    step.message.thinking = std::move(thinking);
    step.message.signature = std::move(signature);
    step.message.tool = ToolUse{"Bash", R"({"command":"ls"})"};
    return step;
}

Step busy() { return status_step(529); }

std::string yaml_of(std::vector<ProviderText> providers) {
    return to_yaml({std::move(providers), {}, "  unhealthy_threshold: 1000\n"});
}

class MidSession : public testing::TestWithParam<std::tuple<bool, Thinking, bool>> {};

// There and back, twice, inside of one turn of the assistant: every request meets an open tool loop.
TEST_P(MidSession, FromAnthropicToOpenaiAndBackWithoutA400) {
    auto [stream, thinking, reasons] = GetParam();
    FakeProvider anthropic;
    FakeProvider other;
    ProviderText openai{"other", other.base_url() + "/v1", {}};
    openai.type = "openai";
    Fleet fleet(yaml_of({{"anthropic", anthropic.base_url()}, openai}));
    Step there = thinks_and_calls({}, reasons ? "Hm." : "");
    other.set_script(script_of({there}));
    Step here = thinks_and_calls();
    anthropic.set_script(script_of({here, busy(), here, here, busy(), here}));
    Conversation conversation(fleet, stream, thinking);
    for (const char* expected : {"anthropic", "other", "anthropic", "anthropic", "other", "anthropic"}) {
        ASSERT_EQ(conversation.go_on(), expected);
    }
    // Its own thinking was never touched, and what was made here never came to it.
    std::string last = anthropic.requests().back().body;
    EXPECT_NE(last.find(R"("signature":"EqQBCkYIBxg)"), std::string::npos);
    EXPECT_EQ(last.find("balancer-converted-reasoning"), std::string::npos);
}

class BetweenIssuers : public testing::TestWithParam<std::tuple<bool, Thinking>> {};

TEST_P(BetweenIssuers, OfTheSameApiWithoutA400) {
    auto [stream, thinking] = GetParam();
    FakeProvider anthropic;
    FakeProvider own;
    Fleet fleet(yaml_of({{"anthropic", anthropic.base_url()}, {"own", own.base_url(), "    signatures: own\n"}}));
    own.set_script(script_of({thinks_and_calls("sig-of-another-issuer")}));
    Step here = thinks_and_calls();
    anthropic.set_script(script_of({here, busy(), here, busy(), busy(), here}));
    Conversation conversation(fleet, stream, thinking);
    for (const char* expected : {"anthropic", "own", "anthropic", "own", "own", "anthropic"}) {
        ASSERT_EQ(conversation.go_on(), expected);
        if (std::string_view(expected) == "own") {
            std::string signature = conversation.last_content()[0]["signature"];
            EXPECT_TRUE(signature.starts_with("balancer-issuer-") && signature.ends_with("-sig-of-another-issuer")) << signature;
        }
    }
    // Each got back what it had signed, as it had signed it, and nothing else.
    std::string at_own = own.requests().back().body;
    EXPECT_NE(at_own.find(R"("signature":"sig-of-another-issuer")"), std::string::npos);
    EXPECT_EQ(at_own.find("EqQBCkYIBxg"), std::string::npos);
    EXPECT_EQ(at_own.find("balancer-issuer-"), std::string::npos);
    std::string at_anthropic = anthropic.requests().back().body;
    EXPECT_NE(at_anthropic.find("EqQBCkYIBxg"), std::string::npos);
    EXPECT_EQ(at_anthropic.find("sig-of-another-issuer"), std::string::npos);
    EXPECT_EQ(at_anthropic.find("balancer-issuer-"), std::string::npos);
}

std::string name_of(bool stream, Thinking thinking) {
    return std::string(stream ? "Stream" : "Whole") + (thinking == Thinking::kBudget ? "Budget" : "Adaptive");
}

const auto kThinking = testing::Values(Thinking::kBudget, Thinking::kAdaptive);

INSTANTIATE_TEST_SUITE_P(
    Issuers,
    MidSession,
    testing::Combine(testing::Bool(), kThinking, testing::Bool()),
    [](const auto& one) {
        return name_of(std::get<0>(one.param), std::get<1>(one.param)) + (std::get<2>(one.param) ? "Reasoning" : "Silent");
    }
);
INSTANTIATE_TEST_SUITE_P(
    Issuers,
    BetweenIssuers,
    testing::Combine(testing::Bool(), kThinking),
    [](const auto& one) { return name_of(std::get<0>(one.param), std::get<1>(one.param)); }
);

// The control: without the balancer's care the same conversation is refused.
TEST(StrictProvider, RefusesWhatAnthropicRefuses) {
    FakeProvider own;
    own.set_script(script_of({thinks_and_calls("sig-of-another-issuer")}));
    FakeProvider anthropic;
    anthropic.set_script(script_of({busy(), thinks_and_calls()}));
    Fleet fleet(yaml_of({{"anthropic", anthropic.base_url()}, {"own", own.base_url()}}));
    json body = json::parse(claude_code_body(unstreamed()));
    RawResponse first = exchange_raw(fleet.port(), post_request("", body.dump()));
    ASSERT_EQ(used(first), "own");
    body["messages"].push_back({{"role", "assistant"}, {"content", json::parse(first.body)["content"]}});
    body["messages"].push_back({{"role", "user"}, {"content", "Go on."}});
    body["provider"] = "anthropic";
    RawResponse second = exchange_raw(fleet.port(), post_request("", body.dump()));
    EXPECT_EQ(second.status, 400u) << second.body;
    EXPECT_NE(second.body.find("Invalid `signature` in `thinking` block"), std::string::npos) << second.body;
}

}  // namespace
}  // namespace balancer::tests
