// Resellers with Anthropic's API that take less than Anthropic does.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

constexpr std::string_view kBetas =
    "anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "effort-2025-11-24,new-thing-2027-01-01\r\n";

ProviderText limited(const std::string& name, const FakeProvider& provider, const std::string& capabilities) {
    return {name, provider.base_url(), "    capabilities: {" + capabilities + "}\n"};
}

std::string benching_yaml(const std::vector<ProviderText>& providers) {
    return to_yaml({providers, {}, "  unhealthy_threshold: 1\n"});
}

// As Claude Code 2.1.330 sends it, with what resellers stumble over.
std::string modern_body() {
    json body = json::parse(claude_code_body(unstreamed()));
    body["thinking"] = {{"type", "adaptive"}, {"display", "updates"}};
    body["context_management"] = {{"edits", {{{"type", "clear_thinking_20251015"}, {"keep", "all"}}}}};
    body["output_config"] = {{"effort", "medium"}};
    return body.dump();
}

std::string with_block(const json& block) {
    json body = json::parse(modern_body());
    body["messages"].push_back({{"role", "user"}, {"content", json::array({block})}});
    return body.dump();
}

const json kImage = {{"type", "image"}, {"source", {{"type", "base64"}, {"media_type", "image/png"}, {"data", "iVBORw0="}}}};
const json kPdf = {
    {"type", "document"}, {"source", {{"type", "base64"}, {"media_type", "application/pdf"}, {"data", "JVBERi0="}}}
};

TEST(Capabilities, AHeaderAndItsFieldGoTogetherAndAreNoted) {
    FakeProvider provider;
    Fleet fleet(benching_yaml({limited("reseller", provider, "context_management: false, effort: false")}));
    RawResponse answer = exchange_raw(fleet.port(), post_request(kBetas, modern_body()));
    ASSERT_EQ(answer.status, 200u) << answer.body;
    RecordedRequest seen = provider.requests().back();
    EXPECT_EQ(
        seen.header("anthropic-beta"), "claude-code-20250219,interleaved-thinking-2025-05-14,new-thing-2027-01-01"
    );
    json expected = json::parse(modern_body());
    expected.erase("context_management");
    expected.erase("output_config");
    ASSERT_TRUE(expected["messages"][1].contains("output_config"));
    expected["messages"][1].erase("output_config");
    EXPECT_EQ(json::parse(seen.body), expected);
    json record = access_record(fleet, answer.header("x-balancer-request-id"));
    EXPECT_EQ(
        record["conversion"],
        (json{"context_management: dropped", "output_config of a turn: dropped", "output_config.effort: dropped",
              "context-management-2025-06-27: dropped", "effort-2025-11-24: dropped"})
    );
}

TEST(Capabilities, AListOfBetasTakesTheFieldsOfTheOthersAlong) {
    FakeProvider provider;
    Fleet fleet(benching_yaml({limited("reseller", provider, "beta_headers: [claude-code-*, interleaved-thinking-*]")}));
    exchange_raw(fleet.port(), post_request(kBetas, modern_body()));
    RecordedRequest seen = provider.requests().back();
    EXPECT_EQ(seen.header("anthropic-beta"), "claude-code-20250219,interleaved-thinking-2025-05-14");
    json body = json::parse(seen.body);
    EXPECT_FALSE(body.contains("context_management"));
    EXPECT_FALSE(body.contains("output_config"));
    EXPECT_TRUE(body.contains("thinking"));
    // Counting has the same fields, and the same treatment.
    exchange_raw(fleet.port(), post_request(kBetas, modern_body(), "/v1/messages/count_tokens"));
    EXPECT_EQ(provider.requests().back().body, seen.body);
}

TEST(Capabilities, WithTheDefaultTableEveryBytePasses) {
    FakeProvider provider;
    Fleet fleet(benching_yaml({limited("reseller", provider, "thinking: true, beta_headers: all")}));
    std::string body = " { \"model\" : \"m\", \"context_management\":{ } ,\"messages\":[ ]}";
    exchange_raw(fleet.port(), post_request("anthropic-beta: a ,, effort-1\r\n", body));
    EXPECT_EQ(provider.requests().back().body, body);
    EXPECT_EQ(provider.requests().back().header("anthropic-beta"), "a ,, effort-1");
}

TEST(Capabilities, WhatTheAnswerDependsOnGoesToTheNextCandidateAndIsNoFailure) {
    FakeProvider reseller;
    FakeProvider anthropic;
    Fleet fleet(benching_yaml({
        limited("reseller", reseller, "images: false, documents: false, server_tools: false"),
        {"anthropic", anthropic.base_url()},
    }));
    json search = json::parse(modern_body());
    search["tools"].push_back({{"type", "web_search_20250305"}, {"name", "web_search"}});
    int number = 0;
    for (const std::string& body : {with_block(kImage), with_block(kPdf), search.dump()}) {
        std::string session = "x-claude-code-session-id: s" + std::to_string(++number) + "\r\n";
        RawResponse answer = exchange_raw(fleet.port(), post_request(session, body));
        EXPECT_EQ(used(answer), "anthropic") << answer.body;
        EXPECT_EQ(anthropic.requests().back().body, body);
        json record = access_record(fleet, answer.header("x-balancer-request-id"));
        EXPECT_EQ(record["failed_attempts"][0]["provider"], "reseller");
        EXPECT_NE(failed_attempts(fleet, answer).find("reseller"), std::string::npos);
    }
    // With a threshold of one, a single counted failure would have benched it.
    EXPECT_EQ(reseller.request_count(), 0u);
    EXPECT_EQ(used(exchange_raw(fleet.port(), post_request("x-claude-code-session-id: new\r\n", modern_body()))), "reseller");
}

TEST(Capabilities, IfNobodyCanTheAnswerNamesBlockAndProvider) {
    FakeProvider reseller;
    Fleet fleet(benching_yaml({limited("reseller", reseller, "images: false, server_tools: false")}));
    RawResponse answer = exchange_raw(fleet.port(), post_request("", with_block(kImage)));
    EXPECT_EQ(answer.status, 400u);
    EXPECT_EQ(answer.header("x-should-retry"), "false");
    json error = json::parse(answer.body)["error"];
    EXPECT_EQ(error["type"], "invalid_request_error");
    std::string words = error["message"];
    EXPECT_NE(words.find("Provider reseller cannot take this request: messages."), std::string::npos) << words;
    EXPECT_NE(words.find("\"image\" blocks are not taken"), std::string::npos) << words;
    EXPECT_EQ(reseller.request_count(), 0u);
}

TEST(Capabilities, ATurnThatGoesOnFromThinkingPrefersWhoTakesItAndDoesWithout) {
    FakeProvider reseller;
    FakeProvider anthropic;
    Fleet fleet(benching_yaml({limited("reseller", reseller, "thinking: false"), {"anthropic", anthropic.base_url()}}));
    json body = json::parse(modern_body());
    body["messages"].push_back(
        {{"role", "assistant"},
         {"content",
          {{{"type", "thinking"}, {"thinking", "t"}, {"signature", "EqQBCkYIBxgCKkDfakeSignatureOfTheFakeProvider+/fakeSignature=="}},
           {{"type", "tool_use"}, {"id", "toolu_1"}, {"name", "Bash"}, {"input", json::object()}}}}}
    );
    body["messages"].push_back(
        {{"role", "user"}, {"content", {{{"type", "tool_result"}, {"tool_use_id", "toolu_1"}, {"content", "ok"}}}}}
    );
    RawResponse kept = exchange_raw(fleet.port(), post_request("x-claude-code-session-id: a\r\n", body.dump()));
    EXPECT_EQ(used(kept), "anthropic") << kept.body;
    EXPECT_EQ(anthropic.requests().back().body, body.dump());
    // Nobody who takes it answers: the turn goes on without.
    anthropic.set_script(script_of({status_step(529)}));
    RawResponse degraded = exchange_raw(fleet.port(), post_request("x-claude-code-session-id: b\r\n", body.dump()));
    EXPECT_EQ(used(degraded), "reseller") << degraded.body;
    json sent = json::parse(reseller.requests().back().body);
    EXPECT_FALSE(sent.contains("thinking"));
    EXPECT_EQ(sent["messages"][sent["messages"].size() - 2]["content"].size(), 1u);
    // Between turns there is nothing to lose: its place in the route counts.
    EXPECT_EQ(used(exchange_raw(fleet.port(), post_request("x-claude-code-session-id: c\r\n", modern_body()))), "reseller");
}

TEST(Capabilities, AConvertedChatCompletionIsHeldToTheTableToo) {
    FakeProvider reseller;
    Fleet fleet(benching_yaml({limited(
        "reseller",
        reseller,
        "output_tokens_max: 4096, sampling: false, structured_output: false, parallel_tools: false"
    )}));
    json body = json::parse(chat_body());
    body["max_tokens"] = 100000;
    body["temperature"] = 0.5;
    body["seed"] = 1;
    body["parallel_tool_calls"] = false;
    body["tools"] = json::parse(R"([{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}])");
    body["response_format"] = json::parse(
        R"({"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","additionalProperties":false}}})"
    );
    RawResponse answer = exchange_raw(fleet.port(), chat_request(body.dump()));
    ASSERT_EQ(answer.status, 200u) << answer.body;
    json sent = json::parse(reseller.requests().back().body);
    EXPECT_EQ(sent["max_tokens"], 4096);
    EXPECT_FALSE(sent.contains("temperature"));
    EXPECT_FALSE(sent.contains("output_config"));
    EXPECT_EQ(sent["tool_choice"], (json{{"type", "auto"}}));
    EXPECT_EQ(sent["tools"][0]["name"], "look");
    EXPECT_EQ(sent["messages"][0]["content"][0]["text"], "Say hello.");
    json notes = access_record(fleet, answer.header("x-balancer-request-id"))["conversion"];
    for (const char* note : {"seed: dropped", "temperature: dropped", "output_config.format: dropped",
                             "max_tokens: lowered to the provider's limit"}) {
        EXPECT_NE(std::find(notes.begin(), notes.end(), note), notes.end()) << note << " in " << notes;
    }
}

TEST(Capabilities, AChatCompletionThatItCannotTakeGoesToTheNextCandidate) {
    FakeProvider reseller;
    FakeProvider anthropic;
    Fleet fleet(benching_yaml({limited("reseller", reseller, "images: false"), {"anthropic", anthropic.base_url()}}));
    json body = json::parse(chat_body());
    body["messages"].push_back(json::parse(
        R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0="}}]})"
    ));
    RawResponse taken = exchange_raw(fleet.port(), chat_request(body.dump()));
    EXPECT_EQ(used(taken), "anthropic") << taken.body;
    json record = access_record(fleet, taken.header("x-balancer-request-id"));
    EXPECT_EQ(record["failed_attempts"][0]["provider"], "reseller");
    EXPECT_EQ(reseller.request_count(), 0u);

    Fleet alone(benching_yaml({limited("reseller", reseller, "images: false")}));
    RawResponse refused = exchange_raw(alone.port(), chat_request(body.dump()));
    EXPECT_EQ(refused.status, 400u);
    std::string words = json::parse(refused.body)["error"]["message"];
    EXPECT_NE(words.find("Provider reseller cannot take this request: messages."), std::string::npos) << words;
    EXPECT_EQ(reseller.request_count(), 0u);
}

}  // namespace
}  // namespace balancer::tests
