// The original's acceptance list: several providers (docs/original-tests.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;

TEST(OriginalMultiProvider, ThePrimaryAnswers) {
    FakeProvider primary(script_of({saying("from the primary")}));
    FakeProvider secondary(script_of({saying("from the secondary")}));
    Fleet fleet(
        original_yaml({{{"primary", primary.base_url()}, {"secondary", secondary.base_url()}}})
    );
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_THAT(answer.body, HasSubstr(R"("type":"message")"));
    EXPECT_EQ(answer_text(answer), "from the primary");
    EXPECT_EQ(secondary.request_count(), 0u);
}

TEST(OriginalMultiProvider, OnUnhealthyTheFirstErrorGoesToTheClientAndTheSecondMovesOn) {
    FakeProvider primary(script_of({failing(500, "the primary is broken")}));
    FakeProvider secondary(script_of({saying("from the secondary")}));
    Fleet fleet(original_yaml(
        {{{"primary", primary.base_url()}, {"secondary", secondary.base_url()}}, 2, "on_unhealthy"}
    ));
    RawResponse first = fleet.ask(unstreamed());
    EXPECT_EQ(first.status, 500u);
    EXPECT_EQ(error_message(first), "the primary is broken");
    EXPECT_EQ(secondary.request_count(), 0u);
    ASSERT_TRUE(wait_for_failures(fleet, "primary", 1));
    RawResponse second = fleet.ask(unstreamed());
    EXPECT_EQ(second.status, 200u);
    EXPECT_EQ(answer_text(second), "from the secondary");
    EXPECT_EQ(primary.request_count(), 2u);
}

TEST(OriginalMultiProvider, ByDefaultTheFirstErrorAlreadyMovesOn) {
    FakeProvider primary(script_of({failing(500, "the primary is broken")}));
    FakeProvider secondary(script_of({saying("from the secondary")}));
    Fleet fleet(
        original_yaml({{{"primary", primary.base_url()}, {"secondary", secondary.base_url()}}})
    );
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer_text(answer), "from the secondary");
    EXPECT_EQ(primary.request_count(), 1u);
}

TEST(OriginalMultiProvider, WhenAllFailTheAnswerIsOne503ThatNamesThem) {
    FakeProvider first(script_of({failing(500, "no")}));
    FakeProvider second(script_of({failing(503, "neither")}));
    Fleet fleet(original_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}}));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_EQ(error_type(answer), "provider_error");
    EXPECT_THAT(error_message(answer), HasSubstr("All configured providers"));
    EXPECT_THAT(error_message(answer), HasSubstr("first: upstream_5xx (500) no"));
    EXPECT_THAT(error_message(answer), HasSubstr("second: upstream_5xx (503) neither"));
}

TEST(OriginalMultiProvider, InTheCooldownNobodyIsToldThatAllIsWell) {
    FakeProvider first(script_of({failing(500, "no")}));
    FakeProvider second(script_of({failing(500, "no")}));
    Fleet fleet(original_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}, 1}));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 503u);
    ASSERT_TRUE(wait_for_health(fleet, "second", false));
    EXPECT_EQ(fleet.get("/health").status, 503u);
    for (std::size_t asked = 2; asked <= 3; ++asked) {
        EXPECT_EQ(fleet.ask(unstreamed()).status, 503u);
        // The original answered 404 without asking anybody; here both get one more try.
        EXPECT_EQ(first.request_count(), asked);
        EXPECT_EQ(second.request_count(), asked);
    }
}

TEST(OriginalMultiProvider, ABenchedSoleProviderServesAsSoonAsItIsWell) {
    FakeProvider only(script_of({failing(500, "for once"), saying("recovered")}));
    Fleet fleet(original_yaml({{{"only", only.base_url()}}, 1}));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 500u);
    ASSERT_TRUE(wait_for_health(fleet, "only", false));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer_text(answer), "recovered");
    EXPECT_TRUE(wait_for_health(fleet, "only", true));
}

TEST(OriginalMultiProvider, TheSmallestPriorityNumberIsTriedFirst) {
    FakeProvider one(script_of({saying("priority 1")}));
    FakeProvider two(script_of({saying("priority 2")}));
    FakeProvider three(script_of({saying("priority 3")}));
    Fleet fleet(to_yaml(
        {{{"three", three.base_url()}, {"one", one.base_url()}, {"two", two.base_url()}},
         "  \"*\":\n"
         "    - {provider: three, model: passthrough, priority: 3}\n"
         "    - {provider: one, model: passthrough, priority: 1}\n"
         "    - {provider: two, model: passthrough, priority: 2}\n"}
    ));
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "priority 1");
    one.set_script(script_of({failing(500, "no")}));
    EXPECT_EQ(answer_text(fleet.ask(in_session(unstreamed(), "another"))), "priority 2");
}

TEST(OriginalMultiProvider, AClientFaultComesBackWithTheProvidersOwnWords) {
    FakeProvider provider(script_of({failing(400, "max_tokens: required")}));
    FakeProvider spare;
    Fleet fleet(original_yaml({{{"only", provider.base_url()}, {"spare", spare.base_url()}}}));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 400u);
    EXPECT_EQ(error_type(answer), "invalid_request_error");
    EXPECT_EQ(error_message(answer), "max_tokens: required");
    EXPECT_EQ(spare.request_count(), 0u);
}

TEST(OriginalMultiProvider, ConcurrentRequestsAllFailOver) {
    FakeProvider primary(script_of({failing(500, "no")}));
    FakeProvider secondary;
    Fleet fleet(
        original_yaml({{{"primary", primary.base_url()}, {"secondary", secondary.base_url()}}, 1})
    );
    for (const RawResponse& answer :
         ask_together(fleet, {unstreamed("first"), unstreamed("second"), unstreamed("third")})) {
        EXPECT_EQ(answer.status, 200u);
    }
    EXPECT_EQ(secondary.request_count(), 3u);
}

TEST(OriginalMultiProvider, EachModelGoesWhereItsRouteSays) {
    FakeProvider opus(script_of({saying("opus here")}));
    FakeProvider sonnet(script_of({saying("sonnet here")}));
    FakeProvider haiku(script_of({saying("haiku here")}));
    Fleet fleet(to_yaml(
        {{{"opus", opus.base_url()}, {"sonnet", sonnet.base_url()}, {"haiku", haiku.base_url()}},
         "  claude-opus-4:\n    - {provider: opus, model: passthrough, priority: 1}\n"
         "  claude-sonnet-4:\n    - {provider: sonnet, model: passthrough, priority: 1}\n"
         "  claude-haiku-4:\n    - {provider: haiku, model: passthrough, priority: 1}\n"}
    ));
    for (const char* name : {"opus", "sonnet", "haiku"}) {
        ClaudeCodeRequest request = unstreamed();
        request.model = std::string("claude-") + name + "-4";
        RawResponse answer = fleet.ask(request);
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer_text(answer), std::string(name) + " here");
    }
    ClaudeCodeRequest request = unstreamed();
    request.model = "claude-unknown";
    RawResponse answer = fleet.ask(request);
    EXPECT_EQ(answer.status, 404u);
    EXPECT_EQ(error_type(answer), "not_found_error");
}

TEST(OriginalMultiProvider, TheProviderThatServedLastServesAgain) {
    FakeProvider primary(script_of({failing(500, "for once"), saying("from the primary")}));
    FakeProvider secondary(script_of({saying("from the secondary")}));
    Fleet fleet(
        original_yaml({{{"primary", primary.base_url()}, {"secondary", secondary.base_url()}}})
    );
    for (int i = 0; i < 2; ++i) {
        RawResponse answer = fleet.ask(unstreamed());
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer_text(answer), "from the secondary");
    }
    EXPECT_EQ(primary.request_count(), 1u);
}

TEST(OriginalMultiProvider, HealthIsShownAndAHealthyFirstProviderAnswers) {
    FakeProvider first(script_of({saying("from the first")}));
    FakeProvider second(script_of({failing(500, "no")}));
    Fleet fleet(original_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}}));
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "from the first");
    nlohmann::json view = provider_view(fleet, "first");
    ASSERT_FALSE(view.is_null());
    EXPECT_EQ(view["healthy"], true);
    EXPECT_EQ(view["status"], "healthy");
    EXPECT_EQ(view["failure_count"], 0);
    EXPECT_EQ(view["last_failure_time"], 0.0);
}

TEST(OriginalMultiProvider, TheStrategyIsShownAndPriorityTakesTheFirst) {
    FakeProvider first(script_of({saying("from the first")}));
    FakeProvider second(script_of({saying("from the second")}));
    Fleet fleet(original_yaml(
        {{{"first", first.base_url()}, {"second", second.base_url()}},
         2,
         "immediate",
         "  selection_strategy: priority\n"}
    ));
    EXPECT_THAT(fleet.get("/providers").body, HasSubstr(R"("selection_strategy":"priority")"));
    for (const char* session : {"a", "b", "c"}) {
        EXPECT_EQ(answer_text(fleet.ask(in_session(unstreamed(), session))), "from the first");
    }
}

class SoleProvider : public testing::TestWithParam<bool> {};

TEST_P(SoleProvider, AnswersForItselfWithItsOwnStatusAndWords) {
    struct Case {
        unsigned status;
        const char* message;
    };
    FakeProvider only;
    Fleet fleet(original_yaml({{{"only", only.base_url()}}, 1000}));
    for (const Case& one : {
             Case{502, "Bad Gateway"},
             Case{429, "Rate Limited"},
             Case{402, "Insufficient credits"},
             Case{408, "Request Timeout"},
             Case{503, "Service Unavailable"},
         }) {
        SCOPED_TRACE(one.status);
        only.set_script(script_of({failing(one.status, one.message)}));
        ClaudeCodeRequest request;
        request.stream = GetParam();
        RawResponse answer = fleet.ask(request);
        EXPECT_EQ(answer.status, one.status);
        EXPECT_EQ(error_message(answer), one.message);
    }
}

INSTANTIATE_TEST_SUITE_P(
    OriginalMultiProvider,
    SoleProvider,
    testing::Bool(),
    [](const auto& info) { return info.param ? "Streamed" : "Unstreamed"; }
);

}  // namespace
}  // namespace balancer::tests
