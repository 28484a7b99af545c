// The original's acceptance list: providers that answer differently, and the tests of its tools
// (docs/original-tests.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;

class OriginalMixed : public testing::Test {
  protected:
    void expect_passed_on(unsigned status, const std::string& message) {
        provider_.set_script(script_of({failing(status, message)}));
        RawResponse answer = fleet_.ask(unstreamed());
        EXPECT_EQ(answer.status, status);
        EXPECT_EQ(error_message(answer), message);
    }

    FakeProvider provider_;
    Fleet fleet_{original_yaml({{{"only", provider_.base_url()}}, 1000})};
};

TEST_F(OriginalMixed, ASuccessHasTheWholeShapeOfAMessage) {
    nlohmann::json body = nlohmann::json::parse(fleet_.ask(unstreamed()).body);
    for (const char* field :
         {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}) {
        EXPECT_TRUE(body.contains(field)) << field;
    }
    EXPECT_TRUE(body["usage"].contains("input_tokens"));
    EXPECT_TRUE(body["usage"].contains("output_tokens"));
    EXPECT_EQ(body["model"], ClaudeCodeRequest{}.model);
}

TEST_F(OriginalMixed, ARefusedKeyIsPassedOn) {
    expect_passed_on(401, "Authentication failed");
}

TEST_F(OriginalMixed, AnUnavailableServiceIsPassedOn) {
    expect_passed_on(503, "Service Unavailable");
}

TEST_F(OriginalMixed, ARateLimitIsPassedOn) {
    expect_passed_on(429, "Rate Limited");
}

TEST_F(OriginalMixed, ExhaustedCreditsArePassedOn) {
    expect_passed_on(402, "Insufficient credits");
}

TEST_F(OriginalMixed, AStreamIsAnswered) {
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
}

TEST_F(OriginalMixed, TextAndShapeAreKept) {
    provider_.set_script(script_of({saying("Exactly \"this\" \xE2\x80\x93 text.\n")}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer_text(answer), "Exactly \"this\" \xE2\x80\x93 text.\n");
    EXPECT_EQ(nlohmann::json::parse(answer.body)["type"], "message");
}

TEST_F(OriginalMixed, ASlowAnswerIsWaitedFor) {
    provider_.set_script(script_of({slowly(saying("at last"), milliseconds(100))}));
    auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(answer_text(fleet_.ask(unstreamed())), "at last");
    EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(90));
}

TEST(OriginalMixedFailover, TheFailedOneIsShownAndTheOtherServes) {
    FakeProvider first(script_of({failing(500, "no")}));
    FakeProvider second(script_of({saying("from the second")}));
    for (const char* failover : {"immediate", "on_unhealthy"}) {
        SCOPED_TRACE(failover);
        Fleet fleet(original_yaml(
            {{{"first", first.base_url()}, {"second", second.base_url()}}, 1, failover}
        ));
        EXPECT_FALSE(provider_view(fleet, "first").is_null());
        EXPECT_FALSE(provider_view(fleet, "second").is_null());
        for (int i = 0; i < 2; ++i) {
            RawResponse answer = fleet.ask(unstreamed());
            EXPECT_EQ(answer.status, 200u);
            EXPECT_EQ(answer_text(answer), "from the second");
        }
        EXPECT_TRUE(wait_for_failures(fleet, "first", 1));
        EXPECT_EQ(provider_view(fleet, "first")["healthy"], false);
    }
}

// The original tested its own tools as well; these are the same promises of ours.
TEST(OriginalTools, AConfigurationHasItsProvidersRoutesAndOverrides) {
    FakeProvider provider;
    Fleet fleet(original_yaml(
        {{{"a", provider.base_url()}, {"b", provider.base_url()}, {"c", provider.base_url()}},
         2,
         "immediate",
         "  app_name: overridden\n  selection_strategy: random\n"}
    ));
    int priority = 0;
    for (const char* name : {"a", "b", "c"}) {
        nlohmann::json view = provider_view(fleet, name);
        ASSERT_FALSE(view.is_null()) << name;
        EXPECT_EQ(view["type"], "anthropic");
        EXPECT_EQ(view["base_url"], provider.base_url());
        ASSERT_EQ(view["models"].size(), 1u);
        EXPECT_EQ(view["models"][0]["pattern"], ClaudeCodeRequest{}.model);
        EXPECT_EQ(view["models"][0]["priority"], ++priority);
    }
    EXPECT_THAT(fleet.get("/").body, HasSubstr("overridden"));
    EXPECT_THAT(fleet.get("/providers").body, HasSubstr(R"("selection_strategy":"random")"));
}

TEST(OriginalTools, AScriptCountsItsStepsAndIsReplacedAsAWhole) {
    FakeProvider provider(script_of({failing(500, "first"), saying("second")}));
    Fleet fleet(original_yaml({{{"only", provider.base_url()}}, 1000}));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 500u);
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "second");
    provider.set_script({});
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), MessageSpec{}.text);
    EXPECT_EQ(provider.request_count(), 3u);
}

TEST(OriginalTools, AFleetLeavesNothingBehind) {
    FakeProvider provider;
    std::filesystem::path folder;
    std::uint16_t port = 0;
    {
        Fleet fleet(original_yaml({{{"only", provider.base_url()}}}));
        EXPECT_EQ(fleet.ask(unstreamed()).status, 200u);
        folder = fleet.folder();
        port = fleet.port();
        EXPECT_TRUE(std::filesystem::exists(folder));
    }
    EXPECT_FALSE(std::filesystem::exists(folder));
    EXPECT_FALSE(RawClient::connect(port));
}

}  // namespace
}  // namespace balancer::tests
