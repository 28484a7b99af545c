// POST /v1/messages/count_tokens: by a provider that can, else by the balancer itself.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dataplane/tokens/encoding.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;
using tokens::EncodingName;
using How = Break::How;
using After = Break::After;

ProviderText openai(const std::string& name, const FakeProvider& provider) {
    ProviderText text{name, provider.base_url() + "/v1"};
    text.type = "openai";
    return text;
}

std::uint64_t tokens_of(EncodingName name, std::string_view text) {
    return tokens::TokenCounter(*tokens::Encoding::find(name)).count(text);
}

std::string asking(std::string_view model, std::string_view text) {
    json body = {{"model", model}, {"messages", json::array({{{"role", "user"}, {"content", text}}})}};
    return body.dump();
}

class CountTokens : public testing::Test {
  protected:
    void SetUp() override {
        if (tokens::Encoding::find(EncodingName::kClaude) == nullptr) GTEST_SKIP() << "BALANCER_TOKENIZERS=OFF";
    }

    static RawResponse count(const Fleet& fleet, const std::string& body) {
        return exchange_raw(fleet.port(), post_request("", body, "/v1/messages/count_tokens?beta=true"));
    }

    // 4 for a message, 1 for "user".
    static void expect_counted_here(const RawResponse& answer, EncodingName name, std::string_view text) {
        ASSERT_EQ(answer.status, 200u) << answer.body;
        EXPECT_EQ(answer.body, fmt::format(R"({{"input_tokens":{}}})", 5 + tokens_of(name, text)));
        EXPECT_EQ(answer.header("x-balancer-counted-with"), tokens::name_of(name));
        EXPECT_EQ(answer.header("content-type"), "application/json");
        EXPECT_FALSE(has_header(answer, "x-provider-used"));
    }

    static bool has_header(const RawResponse& answer, std::string_view name) { return !answer.header(name).empty(); }

    static constexpr std::string_view kText = "How many tokens are these words, and why isn't it 12?";
};

TEST_F(CountTokens, AProviderThatCanDoesIt) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{{"alpha", provider.base_url()}}}));
    std::string body = asking("claude-x", kText);
    RawResponse answer = count(fleet, body);
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(json::parse(answer.body)["input_tokens"], body.size() / 4 + 1);  // the fake provider's own figure
    EXPECT_EQ(used(answer), "alpha");
    EXPECT_FALSE(has_header(answer, "x-balancer-counted-with"));
    EXPECT_EQ(provider.requests().back().target, "/v1/messages/count_tokens?beta=true");
}

TEST_F(CountTokens, WhereOnlyOpenaiProvidersServeItIsDoneHere) {
    FakeProvider provider;
    Fleet fleet(to_yaml(
        {{openai("other", provider)},
         route("claude-mapped", target("other", "gpt-4o")) + route("*", target("other", "passthrough"))}
    ));
    expect_counted_here(count(fleet, asking("claude-sonnet-4-5", kText)), EncodingName::kClaude, kText);
    // The model that would get the message decides.
    expect_counted_here(count(fleet, asking("claude-mapped", kText)), EncodingName::kO200k, kText);
    expect_counted_here(count(fleet, asking("qwen3-coder", kText)), EncodingName::kCl100k, kText);
    EXPECT_EQ(provider.request_count(), 0u);
}

TEST_F(CountTokens, SystemToolsImagesAndResultsCountAsInTheOriginal) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{openai("other", provider)}}));
    json body = json::parse(asking("gpt-4", "x"));
    body["system"] = json::array({{{"type", "text"}, {"text", "Be brief."}}});
    body["tools"] = json::array({{{"name", "ls"}, {"description", "Lists."}, {"input_schema", {{"type", "object"}}}}});
    body["messages"].push_back(
        {{"role", "assistant"},
         {"content", json::array({{{"type", "tool_use"}, {"id", "t"}, {"name", "ls"}, {"input", {{"path", "/é"}}}}})}}
    );
    body["messages"].push_back(
        {{"role", "user"},
         {"content",
          json::array(
              {{{"type", "tool_result"}, {"tool_use_id", "t"}, {"content", "a b"}},
               {{"type", "image"}, {"source", {{"type", "url"}, {"url", "https://x"}}}}}
          )}}
    );
    std::uint64_t expected = 3 * 4 + 768 + 2;
    for (std::string_view text :
         {"Be brief.", "user", "x", "assistant", "ls", R"({"path": "/\u00e9"})", "user", "a b", "ls", "Lists.",
          R"({"type": "object"})"}) {
        expected += tokens_of(EncodingName::kCl100k, text);
    }
    RawResponse answer = count(fleet, body.dump());
    EXPECT_EQ(answer.body, fmt::format(R"({{"input_tokens":{}}})", expected));
}

// Whatever a provider does with it, the client gets a figure and the provider keeps its good name.
TEST_F(CountTokens, AProviderThatDoesNotIsPassedOverQuietly) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{{"alpha", provider.base_url()}}, {}, "  unhealthy_threshold: 1\n  failover: on_unhealthy\n"}));
    for (const Step& step :
         {status_step(404), status_step(405), status_step(429), status_step(401), status_step(500), status_step(529),
          break_step(How::kReset, After::kHeadBytes, 0)}) {
        SCOPED_TRACE(step.status);
        provider.set_script(script_at("/v1/messages/count_tokens", step));
        expect_counted_here(count(fleet, asking("claude-x", kText)), EncodingName::kClaude, kText);
        EXPECT_EQ(used(fleet.ask()), "alpha");
    }
}

TEST_F(CountTokens, AnotherProviderIsAskedBefore) {
    FakeProvider first;
    FakeProvider second;
    Fleet fleet(to_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}}));
    first.set_script(script_at("/v1/messages/count_tokens", status_step(404)));
    RawResponse answer = count(fleet, asking("claude-x", kText));
    EXPECT_EQ(used(answer), "second");
    EXPECT_FALSE(has_header(answer, "x-balancer-counted-with"));
}

TEST_F(CountTokens, TheRetryBudgetIsNotForCounts) {
    FakeProvider first;
    FakeProvider second;
    Fleet fleet(to_yaml(
        {{{"first", first.base_url()}, {"second", second.base_url()}},
         {},
         "  limits: {retry_budget_percent: 0, retry_budget_min_per_second: 0}\n"}
    ));
    first.set_script(script_at("/v1/messages/count_tokens", status_step(404)));
    RawResponse answer = count(fleet, asking("claude-x", kText));
    EXPECT_EQ(answer.status, 200u) << answer.body;
    EXPECT_EQ(used(answer), "second");
}

// Counts do not add to the budget of messages either.
TEST_F(CountTokens, TheBudgetForMessagesIsNotEarnedWithCounts) {
    FakeProvider first;
    FakeProvider second;
    Fleet fleet(
        to_yaml(
            {{{"first", first.base_url()}, {"second", second.base_url()}},
             {},
             "  unhealthy_threshold: 1000\n  limits: {retry_budget_percent: 50, retry_budget_min_per_second: 0}\n"}
        ),
        {1, 1}
    );
    for (int i = 0; i < 4; ++i) EXPECT_EQ(used(count(fleet, asking("claude-x", kText))), "first");
    first.set_script(script_of({status_step(500)}));
    EXPECT_EQ(used(fleet.ask(in_session("one"))), "second");  // half an attempt earned: the first is allowed
    EXPECT_EQ(fleet.ask(in_session("two")).status, 503u);
}

// It has said that it will answer, and then says nothing more.
TEST_F(CountTokens, AProviderThatHangsInItsAnswerIsNotWaitedForLong) {
    FakeProvider provider;
    Fleet fleet(to_yaml(
        {{{"alpha", provider.base_url()}},
         {},
         "  timeouts:\n    non_streaming: {connect_timeout: 600, read_timeout: 600}\n"}
    ));
    provider.set_script(script_at("/v1/messages/count_tokens", break_step(How::kHang, After::kBodyBytes, 5)));
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    Result<RawResponse> answer = client->exchange(
        post_request("", asking("claude-x", kText), "/v1/messages/count_tokens"), std::chrono::minutes(2)
    );
    ASSERT_TRUE(answer) << answer.error().text();
    expect_counted_here(*answer, EncodingName::kClaude, kText);
}

// Its place is for those who ask it.
TEST_F(CountTokens, WhileItIsDoneHereTheProvidersPlaceIsFree) {
    FakeProvider provider;
    Fleet fleet(
        to_yaml(
            {{{"alpha", provider.base_url(), "    max_concurrency: 1\n"}},
             {},
             "  timeouts:\n    non_streaming: {pool_timeout: 0.1}\n"}
        ),
        {1, 1}
    );
    provider.set_script(script_at("/v1/messages/count_tokens", status_step(404)));
    Result<RawClient> counting = RawClient::connect(fleet.port(), std::chrono::minutes(3));
    ASSERT_TRUE(counting);
    std::string text(8U << 20, 'a');  // takes seconds
    ASSERT_TRUE(counting->send(post_request("", asking("claude-x", text), "/v1/messages/count_tokens")));
    ASSERT_TRUE(provider.wait_for_requests(1));
    ASSERT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet).sum("balancer_dp_attempts_in_flight", {{"provider", "alpha"}}) == 0;
    }));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u) << answer.body;
    Result<RawResponse> counted = counting->read_response(std::chrono::minutes(3));
    ASSERT_TRUE(counted) << counted.error().text();
    EXPECT_EQ(counted->header("x-balancer-counted-with"), "claude");
}

TEST_F(CountTokens, WhatAProviderFindsWrongWithTheRequestGoesToTheClient) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{{"alpha", provider.base_url()}}}));
    provider.set_script(script_at("/v1/messages/count_tokens", status_step(400)));
    EXPECT_EQ(count(fleet, asking("claude-x", kText)).status, 400u);
}

TEST_F(CountTokens, WhatCannotBeCountedIsSaidAndNeverZero) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{openai("other", provider)}, route("m*", target("other", "passthrough"))}));
    json pdf = json::parse(asking("m", "x"));
    pdf["messages"][0]["content"] = json::array(
        {{{"type", "document"}, {"source", {{"type", "base64"}, {"media_type", "application/pdf"}, {"data", "JVBERi0="}}}}}
    );
    struct Case {
        std::string body;
        unsigned status;
        const char* type;
        const char* words;
    };
    for (const Case& one : {
             Case{pdf.dump(), 501, "not_supported_error", "document"},
             Case{R"({"model":"m"})", 400, "invalid_request_error", "messages: at least one message is required"},
             Case{R"({"model":"m","messages":[{"role":"nobody","content":"x"}]})", 400, "invalid_request_error", "messages.0.role"},
             Case{asking("other", "x"), 404, "not_found_error", "No route"},
         }) {
        RawResponse answer = count(fleet, one.body);
        EXPECT_EQ(answer.status, one.status) << answer.body;
        json error = json::parse(answer.body);
        EXPECT_EQ(error["type"], "error");
        EXPECT_EQ(error["error"]["type"], one.type);
        EXPECT_NE(error["error"]["message"].get<std::string>().find(one.words), std::string::npos) << answer.body;
    }
}

TEST_F(CountTokens, TheRecordAndTheMetricsTell) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{openai("other", provider)}}));
    RawResponse answer = count(fleet, asking("claude-x", kText));
    json record = access_record(fleet, answer.header("x-balancer-request-id"));
    EXPECT_EQ(record["counted_with"], "claude");
    EXPECT_EQ(record["outcome"], "local");
    EXPECT_EQ(record["status"], 200);
    EXPECT_EQ(read_metrics(fleet).sum("balancer_dp_tokens_counted_locally_total", {{"encoding", "claude"}}), 1);
}

// One worker, so that a stream and the count would meet there.
TEST_F(CountTokens, ALargeBodyHoldsNobodyUp) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{openai("other", provider)}}), {1, 1});
    Result<RawClient> counting = RawClient::connect(fleet.port(), std::chrono::minutes(3));
    ASSERT_TRUE(counting);
    std::string text(8U << 20, 'a');  // the costliest there is: one piece, all of it to be joined
    ASSERT_TRUE(counting->send(post_request("", asking("claude-x", text), "/v1/messages/count_tokens")));
    // Both while it is counted, which takes longer than any of them.
    std::size_t answered = 0;
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    std::chrono::steady_clock::duration longest{};
    while (std::chrono::steady_clock::now() < until) {
        auto began = std::chrono::steady_clock::now();
        EXPECT_EQ(fleet.ask().status, 200u);
        expect_counted_here(count(fleet, asking("claude-x", kText)), EncodingName::kClaude, kText);
        longest = std::max(longest, std::chrono::steady_clock::now() - began);
        ++answered;
    }
    EXPECT_GT(answered, 1u);
    RecordProperty("longest_ms", static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(longest).count()));
    Result<RawResponse> counted = counting->read_response(std::chrono::minutes(3));
    ASSERT_TRUE(counted) << counted.error().text();
    EXPECT_EQ(counted->status, 200u);
    EXPECT_GT(json::parse(counted->body)["input_tokens"], 100'000);
}

}  // namespace
}  // namespace balancer::tests
