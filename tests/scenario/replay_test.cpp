// deduplication.replay_window: a whole answer is told again to a retry that did not get it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;

// Says how often the client's library has tried before.
std::string trying_again(const ClaudeCodeRequest& request, int times = 1) {
    std::string text = claude_code_request(request);
    std::string line = "X-Stainless-Retry-Count: ";
    return text.replace(text.find(line) + line.size(), 1, std::to_string(times));
}

class Replay : public testing::Test {
  protected:
    std::string yaml(const std::string& window, const std::string& more = {}, const std::string& of_provider = {}) const {
        return to_yaml(
            {{{"only", provider_.base_url(), of_provider}},
             {},
             fmt::format(
                 "  unhealthy_threshold: 1000\n  deduplication: {{sse_error_cleanup_delay: 0, replay_window: {}}}\n{}",
                 window,
                 more
             )}
        );
    }

    RawClient start(const ClaudeCodeRequest& request) {
        Result<RawClient> client = RawClient::connect(fleet_.port());
        EXPECT_TRUE(client);
        EXPECT_TRUE(client->send(claude_code_request(request)));
        return *std::move(client);
    }

    RawResponse retry(const ClaudeCodeRequest& request) { return exchange_raw(fleet_.port(), trying_again(request)); }

    double metric(const char* name) const { return *read_metrics(fleet_).sum(std::string("balancer_dp_") + name); }
    bool wait_for(const char* name, double value) {
        return Fleet::eventually([&] { return metric(name) == value; });
    }

    FakeProvider provider_;
    Fleet fleet_{yaml("3600")};
};

TEST_F(Replay, ARetryThatSaysSoGetsTheSameAnswerAgainInItsOwnMode) {
    provider_.set_script(script_of({saying("kept")}));
    RawResponse first = fleet_.ask(streamed());
    // Either worker.
    for (int i = 0; i < 8; ++i) {
        RawResponse again = retry(streamed());
        EXPECT_EQ(again.status, 200u);
        EXPECT_EQ(again.body, first.body);
        EXPECT_EQ(again.end, BodyEnd::kComplete);
        EXPECT_EQ(again.header("x-provider-used"), "only");
        EXPECT_EQ(again.header("x-balancer-coalesced"), first.header("x-balancer-request-id"));
        EXPECT_NE(again.header("x-balancer-request-id"), first.header("x-balancer-request-id"));
    }
    EXPECT_EQ(answer_text(retry(unstreamed())), "kept");
    EXPECT_EQ(provider_.request_count(), 1u);
    EXPECT_TRUE(wait_for("replayed_requests_total", 9));
    EXPECT_TRUE(wait_for("answers_kept", 1));
    EXPECT_TRUE(wait_for("calls", 0));
    EXPECT_GT(metric("call_memory_bytes"), 0);
    EXPECT_EQ(metric("attempts_in_flight"), 0);
}

TEST_F(Replay, OneThatDoesNotSaySoGetsANewAnswer) {
    provider_.set_script(script_of({saying("one"), saying("two"), saying("three")}));
    EXPECT_EQ(answer_text(fleet_.ask(unstreamed())), "one");
    EXPECT_EQ(answer_text(fleet_.ask(unstreamed())), "two");
    RawResponse another = fleet_.ask(unstreamed());
    EXPECT_EQ(answer_text(another), "three");
    EXPECT_EQ(another.header("x-balancer-coalesced"), "");
    // The newest one is kept.
    EXPECT_EQ(answer_text(retry(unstreamed())), "three");
    EXPECT_EQ(provider_.request_count(), 3u);
}

TEST_F(Replay, WhoseConnectionBrokeGetsItOnce) {
    Step step = slowly(saying("one two three"), milliseconds(200));
    step.message.event_gap = milliseconds(50);
    provider_.set_script(script_of({step, saying("new")}));
    RawClient first = start(streamed());
    ASSERT_TRUE(provider_.wait_for_requests(1));
    RawClient second = start(streamed());
    ASSERT_TRUE(wait_for("coalesced_requests_total", 1));
    ASSERT_TRUE(first.read_head());
    first.abort();
    Result<RawResponse> whole = second.read_response();
    ASSERT_TRUE(whole);
    ASSERT_EQ(answer_text(*whole), "one two three");
    ASSERT_TRUE(wait_for("answers_kept", 1));
    ASSERT_TRUE(wait_for("requests_in_flight", 0));
    RawResponse again = fleet_.ask(streamed());
    EXPECT_EQ(again.body, whole->body);
    EXPECT_NE(again.header("x-balancer-coalesced"), "");
    EXPECT_EQ(answer_text(fleet_.ask(streamed())), "new");
    EXPECT_EQ(provider_.request_count(), 2u);
}

TEST_F(Replay, WhoeverReadItAndLeftGetsItToo) {
    Step step = slowly(saying("one two three"), milliseconds(200));
    step.message.event_gap = milliseconds(50);
    provider_.set_script(script_of({step, saying("new")}));
    RawClient first = start(streamed());
    ASSERT_TRUE(provider_.wait_for_requests(1));
    for (int i = 0; i < 6; ++i) start(streamed()).abort();
    RawClient reader = start(streamed());
    ASSERT_TRUE(Fleet::eventually([&] { return metric("coalesced_requests_total") >= 1; }));
    ASSERT_TRUE(reader.read_head());
    reader.abort();
    ASSERT_TRUE(first.read_response());
    ASSERT_TRUE(wait_for("requests_in_flight", 0));
    EXPECT_EQ(answer_text(fleet_.ask(streamed())), "one two three");
    EXPECT_EQ(provider_.request_count(), 1u);
}

TEST_F(Replay, AFailedAnswerIsNeverKept) {
    Step told = saying("one two three");
    told.error_event = ErrorEvent{6, {"overloaded_error", "Overloaded in the middle"}};
    Step cut = break_step(How::kClose, After::kEvents, 6);
    for (const Step& step : {told, cut, failing(429, "slow down"), failing(400, "no"), failing(500, "broken")}) {
        provider_.set_script(script_of({step, saying("new")}));
        fleet_.ask(streamed());
        EXPECT_TRUE(wait_for("requests_in_flight", 0));
        EXPECT_TRUE(wait_for("answers_kept", 0));
        RawResponse again = retry(streamed());
        EXPECT_EQ(answer_text(again), "new");
        EXPECT_EQ(again.header("x-balancer-coalesced"), "");
    }
}

TEST_F(Replay, AnotherRouteOrProviderDropsWhatIsKeptAndOtherChangesDoNot) {
    provider_.set_script(script_of({saying("kept")}));
    auto change = [&](const std::string& name, const std::string& yaml_text) {
        fleet_.write_config(yaml_text);
        ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find(name) != std::string::npos; }));
    };
    fleet_.ask(streamed());
    change("two", yaml("3600", "  app_name: two\n", "    max_concurrency: 9\n"));
    EXPECT_NE(retry(streamed()).header("x-balancer-coalesced"), "");
    change("three", yaml("3600", "  app_name: three\n", "    headers: {x-tenant: other}\n"));
    EXPECT_TRUE(wait_for("answers_kept", 0));
    EXPECT_EQ(retry(streamed()).header("x-balancer-coalesced"), "");
    EXPECT_EQ(provider_.request_count(), 2u);
    std::string routed = yaml("3600", "  app_name: four\n", "    headers: {x-tenant: other}\n");
    routed.replace(routed.find("model: passthrough"), 18, "model: another-one");
    change("four", routed);
    EXPECT_TRUE(wait_for("answers_kept", 0));
    EXPECT_EQ(retry(streamed()).header("x-balancer-coalesced"), "");
    EXPECT_EQ(provider_.request_count(), 3u);
    routed.replace(routed.find("replay_window: 3600"), 19, "replay_window: 0");
    routed.replace(routed.find("app_name: four"), 14, "app_name: five");
    change("five", routed);
    EXPECT_TRUE(wait_for("answers_kept", 0));
    EXPECT_EQ(retry(streamed()).header("x-balancer-coalesced"), "");
    EXPECT_EQ(retry(streamed()).header("x-balancer-coalesced"), "");
    EXPECT_EQ(provider_.request_count(), 5u);
    EXPECT_TRUE(wait_for("call_memory_bytes", 0));
}

TEST_F(Replay, ItsTimeEnds) {
    fleet_.write_config(yaml("0.5", "  app_name: two\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    fleet_.ask(streamed());
    EXPECT_TRUE(Fleet::eventually([&] { return retry(streamed()).header("x-balancer-coalesced").empty(); }));
    EXPECT_GE(provider_.request_count(), 2u);
    EXPECT_TRUE(wait_for("answers_kept", 0));
    EXPECT_TRUE(wait_for("call_memory_bytes", 0));
}

TEST_F(Replay, WhatIsKeptMakesRoomForBodiesAndForWhatIsUnderWay) {
    // 1 MiB for each worker, half of it for answers.
    fleet_.write_config(yaml("3600", "  app_name: two\n  limits: {body_bytes: 1MiB, body_memory_bytes: 2MiB}\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    Step step = saying("");
    step.message.text_bytes = 100U << 10;
    provider_.set_script(script_of({step}));
    for (int i = 0; i < 30; ++i) {
        RawResponse answer = fleet_.ask(unstreamed(fmt::format("prompt {}", i)));
        EXPECT_EQ(answer.status, 200u);
        ASSERT_TRUE(wait_for("requests_in_flight", 0));
    }
    EXPECT_LE(metric("call_memory_bytes"), 1.2 * (1U << 20));
    EXPECT_GE(metric("answers_kept"), 2);
    // The newest is there.
    EXPECT_NE(retry(unstreamed("prompt 29")).header("x-balancer-coalesced"), "");
    // Two large bodies on each worker.
    std::vector<RawClient> clients;
    provider_.set_script(script_of({slowly(saying("large"), milliseconds(1000))}));
    for (int i = 0; i < 2; ++i) {
        ClaudeCodeRequest large = unstreamed(fmt::format("large {}", i));
        large.body_bytes = 450U << 10;
        clients.push_back(start(large));
    }
    for (RawClient& client : clients) {
        Result<RawResponse> answer = client.read_response();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer_text(*answer), "large");
    }
}

TEST(WithoutAReplayWindow, NothingIsKept) {
    FakeProvider provider(script_of({saying("one"), saying("two")}));
    Fleet fleet(to_yaml({{{"only", provider.base_url()}}, {}, {}}));
    EXPECT_EQ(answer_text(fleet.ask(streamed())), "one");
    EXPECT_EQ(answer_text(exchange_raw(fleet.port(), trying_again(streamed()))), "two");
    EXPECT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet).sum("balancer_dp_call_memory_bytes") == 0; }));
    EXPECT_EQ(read_metrics(fleet).sum("balancer_dp_answers_kept"), 0);
}

}  // namespace
}  // namespace balancer::tests
