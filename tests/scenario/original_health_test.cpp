// What the original's tests never covered of health: cooldowns that really pass, resets, codes,
// patterns, and a fleet that shares what it knows (docs/original-tests.md).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;
using SteadyClock = std::chrono::steady_clock;

// Provider "a" goes first, "b" is always well. Each request is a session of its own.
class OriginalHealth : public testing::Test {
  protected:
    void start(const std::string& settings, FleetOptions options = {}) {
        fleet_ = std::make_unique<Fleet>(
            to_yaml({{{"a", a_.base_url()}, {"b", b_.base_url()}}, {}, settings}), options
        );
    }

    // Who answered.
    std::string ask(std::size_t index = 0) {
        return fleet_->ask(in_session(unstreamed(), fmt::format("s{}", ++sessions_)), index)
            .header("x-provider-used");
    }

    nlohmann::json a() const { return provider_view(*fleet_, "a"); }

    FakeProvider a_;
    FakeProvider b_;
    std::unique_ptr<Fleet> fleet_;
    int sessions_ = 0;
};

TEST_F(OriginalHealth, AfterTheCooldownAndNotBeforeTheProviderServesAgain) {
    a_.set_script(script_of({failing(500, "for once"), saying("back")}));
    start("  unhealthy_threshold: 1\n  failure_cooldown: 0.8\n");
    auto failed = SteadyClock::now();
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_health(*fleet_, "a", false));
    EXPECT_EQ(a()["circuit"], "open");
    EXPECT_EQ(available(*fleet_), 1);
    ASSERT_TRUE(Fleet::eventually([&] { return ask() == "a"; }));
    EXPECT_GE(SteadyClock::now() - failed, milliseconds(790));
    EXPECT_TRUE(wait_for_health(*fleet_, "a", true));
    EXPECT_TRUE(wait_for_failures(*fleet_, "a", 0)) << "the success was not heard of";
}

TEST_F(OriginalHealth, AfterTheCooldownOneMoreFailureBenchesAgain) {
    a_.set_script(script_of({failing(500, "still broken")}));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 0.3\n");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(a()["healthy"], true);
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 2));
    ASSERT_TRUE(Fleet::eventually([&] {
        EXPECT_EQ(ask(), "b");
        return a_.request_count() == 3;
    }));
    EXPECT_TRUE(wait_for_failures(*fleet_, "a", 3));
}

TEST_F(OriginalHealth, ASuccessInBetweenStartsTheCountAnew) {
    a_.set_script(script_of({failing(500, "1"), saying("well"), failing(500, "2")}));
    start("  unhealthy_threshold: 2\n  unhealthy_reset_on_success: true\n");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(ask(), "a");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 0));
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(a()["healthy"], true);
}

TEST_F(OriginalHealth, WithoutResetOnSuccessItDoesNot) {
    a_.set_script(script_of({failing(500, "1"), saying("well"), failing(500, "2")}));
    start("  unhealthy_threshold: 2\n  unhealthy_reset_on_success: false\n");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(ask(), "a");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 2));
    EXPECT_EQ(a()["healthy"], false);
    EXPECT_EQ(ask(), "b");
    EXPECT_EQ(a_.request_count(), 3u);
}

TEST_F(OriginalHealth, FailuresBelowTheThresholdAreForgottenInTime) {
    a_.set_script(script_of({failing(500, "now and then")}));
    start("  unhealthy_threshold: 2\n  unhealthy_reset_timeout: 0.3\n");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(ask(), "b");
        ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
        EXPECT_EQ(a()["healthy"], true);
        ASSERT_TRUE(wait_for_failures(*fleet_, "a", 0));
    }
    EXPECT_EQ(a_.request_count(), 2u);
}

TEST_F(OriginalHealth, OnlyAListedStatusMakesAClientFaultTheProviders) {
    a_.set_script(script_of({failing(404, "no such model")}));
    start("  unhealthy_threshold: 1\n");
    EXPECT_EQ(fleet_->ask(unstreamed()).status, 404u);
    start("  unhealthy_threshold: 1\n  unhealthy_http_codes: [404]\n");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(a()["healthy"], false);
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("404"));
}

TEST_F(OriginalHealth, ARateLimitWithoutAResetCountsOnlyWhenListed) {
    a_.set_script(script_of({failing(429, "slow down"), failing(500, "broken")}));
    start("  unhealthy_threshold: 5\n");
    EXPECT_EQ(ask(), "b");
    EXPECT_EQ(ask(), "b");
    // Reports arrive in order: had the 429 counted, there would be two.
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("500"));
    a_.set_script(script_of({failing(429, "slow down")}));
    start("  unhealthy_threshold: 5\n  unhealthy_http_codes: [429]\n");
    EXPECT_EQ(ask(), "b");
    EXPECT_TRUE(wait_for_failures(*fleet_, "a", 1));
}

TEST_F(OriginalHealth, ARateLimitThatNamesItsResetBenchesUntilThen) {
    Step limited = failing(429, "slow down");
    limited.headers = {{"retry-after", "1"}};
    a_.set_script(script_of({limited, saying("back")}));
    start("  unhealthy_threshold: 100\n");
    auto failed = SteadyClock::now();
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_health(*fleet_, "a", false));
    ASSERT_TRUE(Fleet::eventually([&] { return ask() == "a"; }));
    EXPECT_GE(SteadyClock::now() - failed, milliseconds(990));
}

TEST_F(OriginalHealth, TransportErrorsCountAndTheMatchingPatternIsNamed) {
    Step refusing;
    refusing.refuse = true;
    a_.set_script(script_of({refusing}));
    start("  unhealthy_threshold: 1\n  unhealthy_exception_patterns: [Timeout, CONNECTION]\n");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_health(*fleet_, "a", false));
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("matches 'connection'"));
}

TEST_F(OriginalHealth, APatternInAnErrorBodyMakesAClientFaultTheProviders) {
    Step refused = status_step(400);
    refused.body = R"({"error": "The team's balance is insufficient, please top up"})";
    for (bool stream : {false, true}) {
        SCOPED_TRACE(stream);
        a_.set_script(script_of({refused}));
        start(
            "  unhealthy_threshold: 2\n"
            "  unhealthy_response_body_patterns: ['\"error\"\\s*:\\s*\"[^\"]*INSUFFICIENT']\n"
        );
        for (unsigned hits : {1u, 2u}) {
            ClaudeCodeRequest request = stream ? streamed() : unstreamed();
            RawResponse answer = fleet_->ask(in_session(request, fmt::format("hit-{}", hits)));
            EXPECT_EQ(answer.status, 200u);
            EXPECT_EQ(answer.header("x-provider-used"), "b");
            EXPECT_TRUE(wait_for_failures(*fleet_, "a", hits));
        }
        EXPECT_EQ(a()["healthy"], false);
    }
}

TEST_F(OriginalHealth, WhatAnAssistantWritesIsNeverSearched) {
    a_.set_script(script_of({saying("rate limit exceeded, insufficient credits"), failing(500, "")})
    );
    start(
        "  unhealthy_threshold: 5\n"
        "  unhealthy_response_body_patterns: ['rate\\s+limit', 'insufficient\\s+credits']\n"
    );
    EXPECT_EQ(ask(), "a");
    EXPECT_EQ(ask(), "b");
    EXPECT_TRUE(wait_for_failures(*fleet_, "a", 1));
    a_.set_script(script_of({saying("rate limit exceeded, insufficient credits")}));
    RawResponse answer = fleet_->ask(in_session(streamed(), "streamed"));
    EXPECT_EQ(answer.header("x-provider-used"), "a");
    // The stream was a success, which clears the failure.
    EXPECT_TRUE(wait_for_failures(*fleet_, "a", 0));
}

TEST_F(OriginalHealth, RequestsThatFailTogetherCountOnce) {
    constexpr std::size_t kTogether = 6;
    a_.set_script(script_of({slowly(failing(500, "a hiccup"), milliseconds(600))}));
    start("  unhealthy_threshold: 2\n  deduplication: {enabled: false}\n");
    std::vector<ClaudeCodeRequest> requests;
    for (std::size_t i = 0; i < kTogether; ++i) {
        requests.push_back(in_session(unstreamed(), fmt::format("together-{}", i)));
    }
    for (const RawResponse& answer : ask_together(*fleet_, requests)) {
        EXPECT_EQ(answer.header("x-provider-used"), "b");
    }
    EXPECT_EQ(a_.request_count(), kTogether);
    // Until the fleet has heard of every one of them.
    ASSERT_TRUE(Fleet::eventually([&] {
        Metrics metrics =
            parse_metrics(fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body);
        return metrics.sum("balancer_cp_signals_received_total") >= kTogether;
    }));
    EXPECT_EQ(a()["failure_count"], 1);
    EXPECT_EQ(a()["healthy"], true);
    // The next one is evidence of its own.
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(ask(), "b");
    EXPECT_TRUE(wait_for_health(*fleet_, "a", false));
}

TEST_F(OriginalHealth, AnAnswerThatBreaksCountsAgainstItsProvider) {
    a_.set_script(script_of({break_step(Break::How::kClose, Break::After::kEvents, 5)}));
    start("  unhealthy_threshold: 1\n");
    RawResponse answer = fleet_->ask(in_session(streamed(), "broken"));
    EXPECT_EQ(answer.header("x-provider-used"), "a");
    EXPECT_NE(answer.end, BodyEnd::kComplete);
    ASSERT_TRUE(wait_for_health(*fleet_, "a", false));
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("broken_stream"));
    EXPECT_EQ(ask(), "b");
}

TEST_F(OriginalHealth, AnErrorEventInTheMiddleOfAStreamCountsToo) {
    Step step = saying("some text before the error");
    step.error_event = ErrorEvent{5, {"overloaded_error", "Overloaded in the middle"}};
    a_.set_script(script_of({step}));
    start("  unhealthy_threshold: 1\n");
    RawResponse answer = fleet_->ask(in_session(streamed(), "overloaded"));
    EXPECT_EQ(answer.header("x-provider-used"), "a");
    EXPECT_THAT(answer.body, HasSubstr("Overloaded in the middle"));
    EXPECT_EQ(
        access_record(*fleet_, answer.header("x-balancer-request-id"))["outcome"], "upstream_error"
    );
    ASSERT_TRUE(wait_for_health(*fleet_, "a", false));
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("overloaded"));
    EXPECT_EQ(attempts(*fleet_, "a", "overloaded"), 1);
    EXPECT_EQ(attempts(*fleet_, "a", "none"), 0);
}

TEST_F(OriginalHealth, AClientThatLeavesSaysNothingOfTheProvider) {
    Step slow = saying("never heard to its end");
    slow.message.event_gap = milliseconds(200);
    a_.set_script(script_of({failing(500, "1"), slow, failing(500, "2")}));
    start("  unhealthy_threshold: 5\n");
    EXPECT_EQ(ask(), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    Result<RawClient> client = RawClient::connect(fleet_->port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(in_session(streamed(), "leaves"))));
    ASSERT_TRUE(client->read_head());
    client->close();
    ASSERT_TRUE(a_.wait_for_abandoned(1));
    // Neither a success, which would have cleared the first failure, nor a failure.
    EXPECT_EQ(ask(), "b");
    EXPECT_TRUE(wait_for_failures(*fleet_, "a", 2));
}

// Here the fleet's rule takes the place of the original's, which knew one process only
// (docs/decisions/0010-fleet-health.md).
TEST_F(OriginalHealth, WhatOneOfTwoDataPlanesSeesBenchesForItselfOnly) {
    a_.set_script(script_of({failing(500, "broken"), failing(500, "broken"), saying("well")}));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 300\n", {2, 1});
    EXPECT_EQ(ask(0), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 1));
    EXPECT_EQ(ask(0), "b");
    ASSERT_TRUE(wait_for_failures(*fleet_, "a", 2));
    ASSERT_TRUE(Fleet::eventually([&] { return available(*fleet_, 0) == 1; }));
    EXPECT_EQ(available(*fleet_, 1), 2);
    EXPECT_EQ(provider_view(*fleet_, "a")["circuit"], "closed");
    EXPECT_EQ(ask(1), "a");
    EXPECT_EQ(ask(0), "b");
    EXPECT_EQ(a_.request_count(), 3u);
}

TEST_F(OriginalHealth, WhatTwoDataPlanesSeeBenchesForTheThird) {
    a_.set_script(script_of({failing(500, "broken")}));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 300\n", {3, 1});
    for (std::size_t index : {0u, 1u}) {
        for (unsigned failures : {1u, 2u}) {
            EXPECT_EQ(ask(index), "b");
            ASSERT_TRUE(wait_for_failures(*fleet_, "a", 2 * static_cast<unsigned>(index) + failures));
        }
    }
    ASSERT_TRUE(Fleet::eventually([&] { return available(*fleet_, 2) == 1; }));
    EXPECT_EQ(ask(2), "b");
    EXPECT_EQ(a_.request_count(), 4u) << "the third had to see for itself";
    EXPECT_EQ(provider_view(*fleet_, "a", 2)["healthy"], false);
}

}  // namespace
}  // namespace balancer::tests
