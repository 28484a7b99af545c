// The original's acceptance list: errors and what they count for (docs/original-tests.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

// Three providers, each with an error of its own, and a client that asks again and again.
class ErrorIsolation : public testing::Test {
  protected:
    struct Expected {
        unsigned status;
        const char* message;
        const char* fails_meanwhile = "";  // the provider whose failure is the news of this request
        unsigned failures = 0;
    };

    void start(const std::vector<Step>& steps, const std::string& more = {}) {
        OriginalCase original;
        original.failover = "on_unhealthy";
        original.more = more;
        const char* names[] = {"a", "b", "c"};
        for (std::size_t i = 0; i < steps.size(); ++i) {
            providers_[i].set_script(script_of({steps[i]}));
            original.providers.push_back({names[i], providers_[i].base_url()});
            messages_.push_back(steps[i].error->message);
        }
        fleet_ = std::make_unique<Fleet>(original_yaml(original));
    }

    void expect(const ClaudeCodeRequest& request, const Expected& expected) {
        RawResponse answer = fleet_->ask(request);
        EXPECT_EQ(answer.status, expected.status);
        for (const std::string& message : messages_) {
            if (message == expected.message) {
                EXPECT_EQ(error_message(answer), message);
            } else {
                EXPECT_THAT(answer.body, Not(HasSubstr(message)));
            }
        }
        if (expected.failures == 0) return;
        ASSERT_TRUE(wait_for_failures(*fleet_, expected.fails_meanwhile, expected.failures));
    }

    FakeProvider providers_[3];
    std::vector<std::string> messages_;
    std::unique_ptr<Fleet> fleet_;
};

TEST_F(ErrorIsolation, OnUnhealthyEachProvidersErrorIsItsOwn) {
    start({failing(503, "A is unavailable"), failing(504, "B timed out"), failing(401, "C refuses")}
    );
    expect(unstreamed(), {503, "A is unavailable", "a", 1});
    expect(unstreamed(), {504, "B timed out", "b", 1});
    expect(unstreamed(), {401, "C refuses", "c", 1});
}

TEST_F(ErrorIsolation, OnUnhealthyARateLimitAndAnEmptyAccountDoNotMix) {
    start({failing(429, "A is limited"), failing(402, "B has no credits left")});
    expect(unstreamed(), {429, "A is limited", "a", 1});
    expect(unstreamed(), {402, "B has no credits left", "b", 1});
}

TEST_F(ErrorIsolation, OnUnhealthyStreamsAndOtherRequestsCountTogether) {
    start({failing(500, "A is broken"), failing(503, "B is unavailable")});
    expect(streamed(), {500, "A is broken", "a", 1});
    expect(unstreamed(), {503, "B is unavailable", "b", 1});
}

TEST_F(ErrorIsolation, AClientFaultStaysWithTheClient) {
    start({failing(400, "A minds"), failing(422, "B minds"), failing(500, "C is broken")});
    for (int i = 0; i < 3; ++i) expect(unstreamed(), {400, "A minds"});
    EXPECT_EQ(providers_[1].request_count(), 0u);
    EXPECT_EQ(provider_view(*fleet_, "a")["failure_count"], 0);
}

TEST(ListedClientFaults, OnUnhealthyCountAndMoveOn) {
    FakeProvider a(script_of({failing(400, "A minds")}));
    FakeProvider b(script_of({failing(422, "B minds")}));
    FakeProvider c(script_of({failing(500, "C is broken")}));
    Fleet fleet(to_yaml(
        {{{"a", a.base_url()}, {"b", b.base_url()}, {"c", c.base_url()}},
         {},
         "  failover: on_unhealthy\n  sticky_scope: global\n"
         "  unhealthy_http_codes: [400, 422]\n"}
    ));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 400u);
    ASSERT_TRUE(wait_for_failures(fleet, "a", 1));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 422u);
    ASSERT_TRUE(wait_for_failures(fleet, "b", 1));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 500u);
}

TEST_F(ErrorIsolation, OnUnhealthyMixedKindsAreTold) {
    start({failing(502, "A's gateway"), failing(429, "B is limited"), failing(402, "C is empty")});
    expect(unstreamed(), {502, "A's gateway", "a", 1});
    expect(unstreamed(), {429, "B is limited", "b", 1});
    expect(unstreamed(), {402, "C is empty", "c", 1});
}

TEST(OriginalErrors, OneErrorBenchesNobody) {
    FakeProvider only(script_of({failing(500, "Temporary error")}));
    Fleet fleet(original_yaml({{{"only", only.base_url()}}}));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 500u);
    EXPECT_EQ(error_message(answer), "Temporary error");
    ASSERT_TRUE(wait_for_failures(fleet, "only", 1));
    EXPECT_EQ(provider_view(fleet, "only")["healthy"], true);
    EXPECT_EQ(fleet.get("/health").status, 200u);
}

TEST(OriginalErrors, AtTheThresholdTheBackupTakesOver) {
    FakeProvider first(script_of({failing(500, "no")}));
    FakeProvider backup(script_of({saying("from the backup")}));
    for (const char* failover : {"immediate", "on_unhealthy"}) {
        SCOPED_TRACE(failover);
        first.clear_requests();
        Fleet fleet(original_yaml(
            {{{"first", first.base_url()}, {"backup", backup.base_url()}}, 1, failover}
        ));
        EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "from the backup");
        ASSERT_TRUE(wait_for_health(fleet, "first", false));
        EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "from the backup");
        EXPECT_EQ(first.request_count(), 1u);
    }
}

TEST(OriginalErrors, ASuccessForgetsTheErrorsBefore) {
    FakeProvider only(script_of({failing(500, "for once"), saying("well again")}));
    Fleet fleet(original_yaml({{{"only", only.base_url()}}}));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 500u);
    ASSERT_TRUE(wait_for_failures(fleet, "only", 1));
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "well again");
    EXPECT_TRUE(wait_for_failures(fleet, "only", 0));
}

TEST(OriginalErrors, OnUnhealthyErrorsCountPerProvider) {
    FakeProvider first(script_of({failing(500, "First is broken")}));
    FakeProvider second(script_of({saying("from the second")}));
    Fleet fleet(original_yaml(
        {{{"first", first.base_url()}, {"second", second.base_url()}}, 2, "on_unhealthy"}
    ));
    EXPECT_EQ(error_message(fleet.ask(unstreamed())), "First is broken");
    ASSERT_TRUE(wait_for_failures(fleet, "first", 1));
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "from the second");
    ASSERT_TRUE(wait_for_failures(fleet, "first", 2));
    EXPECT_EQ(provider_view(fleet, "second")["failure_count"], 0);
}

TEST(OriginalErrors, ASoleProvidersErrorKeepsStatusAndWords) {
    struct Case {
        unsigned status;
        const char* message;
    };
    FakeProvider only;
    Fleet fleet(original_yaml({{{"only", only.base_url()}}, 1000}));
    for (const Case& one : {
             Case{502, "Bad Gateway"},
             Case{502, "Connection Error"},
             Case{402, "Insufficient credits. Please top up."},
             Case{429, "Rate limit exceeded"},
         }) {
        only.set_script(script_of({failing(one.status, one.message)}));
        RawResponse answer = fleet.ask(unstreamed());
        EXPECT_EQ(answer.status, one.status);
        EXPECT_EQ(error_message(answer), one.message);
    }
    only.set_script(script_of({slowly(failing(408, "Request Timeout"), milliseconds(150))}));
    RawResponse late = fleet.ask(unstreamed());
    EXPECT_EQ(late.status, 408u);
    EXPECT_EQ(error_message(late), "Request Timeout");
}

TEST(OriginalErrors, ABenchedSoleProviderIsStillAskedAndAnswersForItself) {
    FakeProvider only(script_of({failing(500, "still broken")}));
    Fleet fleet(original_yaml({{{"only", only.base_url()}}, 1}));
    for (std::size_t asked = 1; asked <= 3; ++asked) {
        RawResponse answer = fleet.ask(unstreamed());
        EXPECT_EQ(answer.status, 500u);
        EXPECT_EQ(error_message(answer), "still broken");
        EXPECT_EQ(only.request_count(), asked);
        ASSERT_TRUE(wait_for_health(fleet, "only", false));
    }
}

TEST(OriginalErrors, AProviderThatIsWellIsNotHeldBackByItsPast) {
    FakeProvider only(script_of({failing(500, "1"), failing(500, "2"), saying("recovered")}));
    Fleet fleet(original_yaml({{{"only", only.base_url()}}}));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 500u);
    ASSERT_TRUE(wait_for_failures(fleet, "only", 1));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 500u);
    ASSERT_TRUE(wait_for_health(fleet, "only", false));
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "recovered");
    EXPECT_TRUE(wait_for_health(fleet, "only", true));
}

TEST(OriginalErrors, BytesThatAreNotUnicodeAreNoErrorOfOurs) {
    FakeProvider only;
    Fleet fleet(original_yaml({{{"only", only.base_url()}}}));
    ClaudeCodeRequest request = unstreamed("PLACE");
    std::string body = claude_code_body(request);
    auto with = [&](std::string_view text) {
        std::string changed = body;
        changed.replace(changed.find("PLACE"), 5, text);
        return changed;
    };
    // An escaped lone surrogate is JSON, and goes on as it came.
    std::string escaped = with("\\ud83d alone");
    EXPECT_EQ(exchange_raw(fleet.port(), claude_code_request(request, escaped)).status, 200u);
    EXPECT_EQ(only.requests().back().body, escaped);
    // Raw surrogate bytes are not: the client's fault, said in words. (The original dropped the
    // bytes.)
    RawResponse answer =
        exchange_raw(fleet.port(), claude_code_request(request, with("\xED\xA0\xBD alone")));
    EXPECT_EQ(answer.status, 400u);
    EXPECT_EQ(error_type(answer), "invalid_request_error");
    EXPECT_THAT(error_message(answer), HasSubstr("not valid JSON"));
}

TEST(OriginalErrors, TheResetTimeoutEndsALongerCooldown) {
    FakeProvider first(script_of({failing(500, "for once"), saying("the first is back")}));
    FakeProvider backup(script_of({saying("from the backup")}));
    Fleet fleet(original_yaml(
        {{{"first", first.base_url()}, {"backup", backup.base_url()}},
         1,
         "immediate",
         "  unhealthy_reset_timeout: 0.5\n  sticky_provider_duration: 0\n"}
    ));
    auto failed = std::chrono::steady_clock::now();
    EXPECT_EQ(answer_text(fleet.ask(unstreamed())), "from the backup");
    ASSERT_TRUE(Fleet::eventually([&] {
        return answer_text(fleet.ask(unstreamed())) == "the first is back";
    }));
    EXPECT_GE(std::chrono::steady_clock::now() - failed, milliseconds(490));
    EXPECT_TRUE(wait_for_failures(fleet, "first", 0));
}

}  // namespace
}  // namespace balancer::tests
