// Identical requests in flight share one upstream call: every client gets the whole answer in its own mode, whoever else comes
// or leaves.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <utility>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/support/anthropic_dialect.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;
using testing::EndsWith;
using testing::HasSubstr;

// A stream of about a dozen events, this far apart.
Step telling(milliseconds gap, std::string text = "one two three") {
    Step step = saying(std::move(text));
    step.message.event_gap = gap;
    return step;
}

class Coalesce : public testing::Test {
  protected:
    RawClient start(const ClaudeCodeRequest& request) {
        Result<RawClient> client = RawClient::connect(fleet_.port());
        EXPECT_TRUE(client);
        EXPECT_TRUE(client->send(claude_code_request(request)));
        return *std::move(client);
    }

    // The one that makes the call.
    RawClient start_first(const ClaudeCodeRequest& request) {
        std::size_t before = provider_.request_count();
        RawClient client = start(request);
        EXPECT_TRUE(provider_.wait_for_requests(before + 1));
        return client;
    }

    // Until so many have come to read somebody else's call, since the fleet's start.
    bool wait_for_readers(double count) {
        return Fleet::eventually([&] { return read_metrics(fleet_).sum("balancer_dp_coalesced_requests_total") == count; });
    }

    static RawResponse finish(RawClient& client) {
        Result<RawResponse> answer = client.read_response(std::chrono::seconds(30));
        EXPECT_TRUE(answer) << (answer ? "" : answer.error().text());
        return answer ? *answer : RawResponse{};
    }

    // Nothing is left of any call.
    void expect_nothing_left() {
        EXPECT_TRUE(Fleet::eventually([&] {
            Metrics metrics = read_metrics(fleet_);
            return metrics.sum("balancer_dp_requests_in_flight") == 0 && metrics.sum("balancer_dp_calls") == 0 &&
                   metrics.sum("balancer_dp_call_memory_bytes") == 0;
        }));
    }

    std::string yaml(const std::string& more = "", const std::string& delay = "0") const {
        return to_yaml(
            {{{"only", provider_.base_url()}},
             {},
             fmt::format(
                 "  unhealthy_threshold: 1000\n  deduplication: {{sse_error_cleanup_delay: {}}}\n{}", delay, more
             )}
        );
    }

    FakeProvider provider_;
    Fleet fleet_{yaml()};
};

class CoalesceMode : public Coalesce, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(TheFirstStreams, CoalesceMode, testing::Bool(), [](const auto& info) {
    return info.param ? "Yes" : "No";
});

TEST_P(CoalesceMode, FiftyIdenticalRequestsMakeOneCallAndAllGetTheWholeAnswer) {
    Step step = telling(milliseconds(30), "an answer in a few words");
    step.message.thinking = "Let me think about it.";
    step.message.tool = ToolUse{"Read", R"({"path":"a.txt","lines":[1,2]})"};
    step.message.input_tokens = 37;
    step.message.output_tokens = 41;
    step.delay = milliseconds(300);
    provider_.set_script(script_of({step}));
    std::vector<RawClient> clients;
    ClaudeCodeRequest first = GetParam() ? streamed() : unstreamed();
    clients.push_back(start_first(first));
    for (int i = 1; i < 50; ++i) clients.push_back(start(i % 2 == 0 ? streamed() : unstreamed()));
    std::set<std::string> streams;
    std::set<std::string> messages;
    std::set<std::string> workers;
    std::string maker;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        RawResponse answer = finish(clients[i]);
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        EXPECT_EQ(answer_text(answer), "an answer in a few words");
        EXPECT_EQ(answer.header("x-provider-used"), "only");
        bool streams_it = answer.header("content-type").starts_with("text/event-stream");
        EXPECT_EQ(streams_it, i == 0 ? GetParam() : i % 2 == 0);
        (streams_it ? streams : messages).insert(answer.body);
        std::string id = answer.header("x-balancer-request-id");
        if (i == 0) maker = id;
        EXPECT_EQ(answer.header("x-balancer-coalesced"), i == 0 ? "" : maker);
        nlohmann::json record = access_record(fleet_, id);
        workers.insert(record.value("worker", ""));
        EXPECT_EQ(record.value("coalesced_with", ""), i == 0 ? "" : maker);
        EXPECT_EQ(record.value("readers", 0), i == 0 ? 49 : 0);
        EXPECT_EQ(record.value("outcome", ""), "ok");
    }
    EXPECT_EQ(provider_.request_count(), 1u);
    EXPECT_EQ(streams.size(), 1u);
    EXPECT_EQ(messages.size(), 1u);
    EXPECT_EQ(workers.size(), 2u);
    EXPECT_THAT(*streams.begin(), HasSubstr("message_stop"));
    auto message = nlohmann::json::parse(*messages.begin());
    ASSERT_EQ(message["content"].size(), 3u);
    EXPECT_EQ(message["content"][0]["thinking"], "Let me think about it.");
    EXPECT_EQ(message["content"][0]["signature"], std::string(kFakeSignature));
    EXPECT_EQ(message["content"][2]["name"], "Read");
    EXPECT_EQ(message["content"][2]["input"]["lines"][1], 2);
    EXPECT_EQ(message["stop_reason"], "tool_use");
    // Each in its own mode's places.
    std::vector<SseEvent> events = split_events(*streams.begin());
    auto begun = nlohmann::json::parse(events.front().data)["message"]["usage"];
    auto ended = nlohmann::json::parse(events[events.size() - 2].data)["usage"];
    EXPECT_EQ(begun["input_tokens"], 37);
    EXPECT_LE(begun["output_tokens"], 1);
    EXPECT_EQ(ended["output_tokens"], 41);
    EXPECT_EQ(message["usage"]["input_tokens"], 37);
    EXPECT_EQ(message["usage"]["output_tokens"], 41);
    Metrics metrics = read_metrics(fleet_);
    EXPECT_EQ(metrics.sum("balancer_dp_coalesced_input_tokens_total"), 49 * 37);
    EXPECT_EQ(metrics.sum("balancer_dp_coalesced_output_tokens_total"), 49 * 41);
    expect_nothing_left();
}

TEST_F(Coalesce, WhoComesLateGetsEverythingFromTheStart) {
    provider_.set_script(script_of({telling(milliseconds(150))}));
    RawClient first = start_first(streamed());
    Result<RawResponse> head = first.read_head();
    ASSERT_TRUE(head);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(first.read_event(*head));
    RawResponse late = fleet_.ask(streamed());
    first.read_body(*head);
    EXPECT_EQ(late.body.size(), head->body.size());
    EXPECT_EQ(late.body, head->body);
    EXPECT_THAT(event_names(late.body), EndsWith("message_stop"));
    EXPECT_EQ(provider_.request_count(), 1u);
}

TEST_F(Coalesce, WhenTheFirstLeavesAtAnyEventTheOthersGetTheRest) {
    provider_.set_script(script_of({slowly(telling(milliseconds(40)), milliseconds(150))}));
    for (int events = 0; events <= 9; ++events) {
        SCOPED_TRACE(fmt::format("left after {} events", events));
        provider_.clear_requests();
        RawClient first = start_first(streamed());
        RawClient stream = start(streamed());
        RawClient message = start(unstreamed());
        ASSERT_TRUE(wait_for_readers(2.0 * (events + 1)));
        if (events > 0) {
            Result<RawResponse> head = first.read_head();
            ASSERT_TRUE(head);
            for (int i = 0; i < events; ++i) ASSERT_TRUE(first.read_event(*head));
        }
        if (events % 2 == 0) {
            first.abort();
        } else {
            first.close();
        }
        RawResponse whole = finish(stream);
        EXPECT_EQ(whole.end, BodyEnd::kComplete);
        EXPECT_EQ(answer_text(whole), "one two three");
        EXPECT_THAT(event_names(whole.body), EndsWith("message_stop"));
        EXPECT_EQ(answer_text(finish(message)), "one two three");
        EXPECT_EQ(provider_.request_count(), 1u);
        expect_nothing_left();
    }
}

TEST_F(Coalesce, TheLastToLeaveEndsTheCall) {
    provider_.set_script(script_of({telling(milliseconds(300), "one two three four five six seven eight nine ten")}));
    RawClient first = start_first(streamed());
    RawClient second = start(streamed());
    RawClient third = start(unstreamed());
    ASSERT_TRUE(wait_for_readers(2));
    ASSERT_TRUE(second.read_head());
    first.abort();
    third.abort();
    EXPECT_FALSE(provider_.wait_for_abandoned(1, milliseconds(400)));
    second.abort();
    EXPECT_TRUE(provider_.wait_for_abandoned(1));
    expect_nothing_left();
    // Whoever comes now is the first of another call.
    provider_.set_script({});
    EXPECT_EQ(fleet_.ask(streamed()).header("x-balancer-coalesced"), "");
}

TEST_F(Coalesce, AFirstThatReadsNothingKeepsNobodyWaiting) {
    Step step = slowly(saying(""), milliseconds(200));
    step.message.text_bytes = 24U << 20;
    step.message.delta_bytes = 64U << 10;
    provider_.set_script(script_of({step}));
    RawClient first = start_first(streamed());
    RawClient second = start(streamed());
    RawResponse whole = finish(second);
    EXPECT_EQ(whole.end, BodyEnd::kComplete);
    EXPECT_GT(whole.body.size(), 24U << 20);
    // What it has not read was kept for it.
    RawResponse own = finish(first);
    EXPECT_EQ(own.end, BodyEnd::kComplete);
    EXPECT_TRUE(own.body == whole.body);
    EXPECT_EQ(provider_.request_count(), 1u);
    expect_nothing_left();
}

TEST_F(Coalesce, OneThatJoinsWhileTheFirstIsStuckIsServed) {
    Step step = saying("");
    step.message.text_bytes = 24U << 20;
    step.message.delta_bytes = 64U << 10;
    provider_.set_script(script_of({step}));
    RawClient first = start_first(streamed());
    // Stuck: nothing has been sent for a while.
    double sent = -1;
    ASSERT_TRUE(Fleet::eventually([&] {
        double now = *read_metrics(fleet_).sum("balancer_dp_sent_bytes_total");
        std::this_thread::sleep_for(milliseconds(100));
        return std::exchange(sent, now) == now && now > 0;
    }));
    EXPECT_LT(sent, 20.0 * (1U << 20));
    RawResponse whole = fleet_.ask(streamed());
    EXPECT_GT(whole.body.size(), 24U << 20);
    EXPECT_EQ(whole.end, BodyEnd::kComplete);
    EXPECT_TRUE(finish(first).body == whole.body);
    EXPECT_EQ(provider_.request_count(), 1u);
}

TEST_F(Coalesce, OneThatFallsSixtyFourMebibytesBehindIsCutWithAnErrorAndTheOthersAreNot) {
    Step step = slowly(saying(""), milliseconds(300));
    step.message.text_bytes = 84U << 20;
    step.message.delta_bytes = 256U << 10;
    provider_.set_script(script_of({step}));
    RawClient first = start_first(streamed());
    RawClient slow = start(streamed());
    RawClient second = start(streamed());
    ASSERT_TRUE(wait_for_readers(2));
    RawResponse whole = finish(second);
    EXPECT_EQ(whole.end, BodyEnd::kComplete);
    EXPECT_GT(whole.body.size(), 84U << 20);
    for (RawClient* late : {&first, &slow}) {
        RawResponse cut = finish(*late);
        EXPECT_EQ(cut.status, 200u);
        EXPECT_NE(cut.end, BodyEnd::kComplete);
        EXPECT_NE(cut.end, BodyEnd::kTimeout);
        EXPECT_LT(cut.body.size(), whole.body.size());
        ASSERT_GT(cut.body.size(), 1000U);
        EXPECT_THAT(cut.body.substr(cut.body.size() - 1000), HasSubstr("event: error"));
        EXPECT_THAT(cut.body.substr(cut.body.size() - 1000), HasSubstr("overloaded_error"));
    }
    expect_nothing_left();
}

TEST_F(Coalesce, AFailureReachesEverybodyInTheSameWayWhereverTheUpstreamBreaks) {
    for (How how : {How::kClose, How::kFinish}) {
        for (std::size_t events = 0; events <= 8; ++events) {
            SCOPED_TRACE(fmt::format("how {} after {} events", static_cast<int>(how), events));
            Step step = break_step(how, After::kEvents, events);
            step.message = telling(milliseconds(20)).message;
            step.delay = milliseconds(200);
            provider_.set_script(script_of({step}));
            provider_.clear_requests();
            RawClient first = start_first(streamed());
            RawClient stream = start(streamed());
            RawClient message = start(unstreamed());
            RawResponse own = finish(first);
            RawResponse shared = finish(stream);
            RawResponse told = finish(message);
            EXPECT_EQ(provider_.request_count(), 1u);
            EXPECT_EQ(shared.status, own.status);
            EXPECT_EQ(shared.end, own.end);
            EXPECT_EQ(event_names(shared.body), event_names(own.body));
            EXPECT_EQ(told.status, 503u);
            if (own.status == 200) {
                EXPECT_THAT(event_names(own.body), EndsWith("error"));
                EXPECT_EQ(error_type(told), "overloaded_error");
            } else {
                EXPECT_EQ(own.status, 503u);
                EXPECT_EQ(error_message(shared), error_message(own));
                EXPECT_EQ(error_message(told), error_message(own));
            }
            expect_nothing_left();
        }
    }
}

TEST_F(Coalesce, AnErrorThatIsPassedOnIsPassedOnToAll) {
    provider_.set_script(script_of({slowly(failing(429, "slow down"), milliseconds(200))}));
    RawClient first = start_first(streamed());
    RawClient stream = start(streamed());
    RawClient message = start(unstreamed());
    for (RawClient* client : {&first, &stream, &message}) {
        RawResponse answer = finish(*client);
        EXPECT_EQ(answer.status, 429u);
        EXPECT_EQ(error_message(answer), "slow down");
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
    }
    EXPECT_EQ(provider_.request_count(), 1u);
}

TEST_F(Coalesce, AnErrorEventBecomesAnErrorForThoseWhoDoNotStream) {
    Step step = slowly(telling(milliseconds(20)), milliseconds(200));
    step.error_event = ErrorEvent{5, {"overloaded_error", "Overloaded in the middle"}};
    provider_.set_script(script_of({step}));
    RawClient first = start_first(streamed());
    RawClient stream = start(streamed());
    RawClient message = start(unstreamed());
    RawResponse own = finish(first);
    RawResponse shared = finish(stream);
    EXPECT_EQ(own.body, shared.body);
    EXPECT_EQ(own.end, shared.end);
    RawResponse told = finish(message);
    EXPECT_GE(told.status, 500u);
    EXPECT_EQ(error_message(told), "Overloaded in the middle");
}

TEST_F(Coalesce, ARetryWithinTheErrorDelayIsToldTheSameAndAfterItStartsAfresh) {
    fleet_.write_config(yaml("  app_name: two\n", "4"));
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    Step broken = break_step(How::kClose, After::kEvents, 6);
    provider_.set_script(script_of({broken, saying("whole again")}));
    RawResponse first = fleet_.ask(streamed());
    EXPECT_THAT(event_names(first.body), EndsWith("error"));
    RawResponse soon = fleet_.ask(streamed());
    EXPECT_EQ(event_names(soon.body), event_names(first.body));
    EXPECT_EQ(soon.header("x-balancer-coalesced"), first.header("x-balancer-request-id"));
    EXPECT_EQ(fleet_.ask(unstreamed()).status, 503u);
    EXPECT_EQ(provider_.request_count(), 1u);
    // Who asks meanwhile costs no call.
    EXPECT_TRUE(Fleet::eventually([&] { return answer_text(fleet_.ask(streamed())) == "whole again"; }));
    EXPECT_EQ(provider_.request_count(), 2u);
}

TEST_F(Coalesce, WithoutAnErrorDelayARetryStartsAfreshAtOnce) {
    Step broken = break_step(How::kClose, After::kEvents, 6);
    provider_.set_script(script_of({broken, saying("whole again")}));
    EXPECT_THAT(event_names(fleet_.ask(streamed()).body), EndsWith("error"));
    EXPECT_EQ(answer_text(fleet_.ask(streamed())), "whole again");
}

TEST_F(Coalesce, OthersCredentialsOrBetasOrWordsAreOtherRequests) {
    provider_.set_script(script_of({slowly(telling(milliseconds(20)), milliseconds(400))}));
    ClaudeCodeRequest other_key = streamed();
    other_key.api_key = "another-client-key";
    ClaudeCodeRequest bearer = streamed();
    bearer.api_key.clear();
    bearer.auth_token = "test-client-key";
    ClaudeCodeRequest other_query = streamed();
    other_query.target = "/v1/messages";
    std::vector<RawClient> clients;
    for (const ClaudeCodeRequest& request : {streamed(), other_key, bearer, other_query, streamed("Say hello")}) {
        clients.push_back(start(request));
    }
    EXPECT_TRUE(provider_.wait_for_requests(5));
    for (RawClient& client : clients) EXPECT_EQ(finish(client).header("x-balancer-coalesced"), "");
}

TEST_F(Coalesce, AnotherLimitOfTokensIsTheSameRequestUnlessItIsSetOtherwise) {
    provider_.set_script(script_of({slowly(saying("shared"), milliseconds(300))}));
    auto ask_for = [&](int tokens) {
        Result<RawClient> client = RawClient::connect(fleet_.port());
        EXPECT_TRUE(client->send(request_with_fields(unstreamed(), {{"max_tokens", tokens}})));
        return *std::move(client);
    };
    RawClient first = ask_for(100);
    ASSERT_TRUE(provider_.wait_for_requests(1));
    RawClient second = ask_for(200);
    EXPECT_NE(finish(second).header("x-balancer-coalesced"), "");
    finish(first);
    std::string text = yaml("  app_name: two\n");
    text.replace(text.find("{sse_error"), 1, "{include_max_tokens_in_signature: true, ");
    fleet_.write_config(text);
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    RawClient third = ask_for(100);
    RawClient fourth = ask_for(200);
    EXPECT_TRUE(provider_.wait_for_requests(3));
    finish(third);
    finish(fourth);
}

TEST_F(Coalesce, SwitchedOffEveryRequestIsItsOwn) {
    std::string text = yaml("  app_name: two\n");
    text.replace(text.find("{sse_error"), 1, "{enabled: false, ");
    fleet_.write_config(text);
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    provider_.set_script(script_of({slowly(saying("alone"), milliseconds(300))}));
    RawClient first = start(streamed());
    RawClient second = start(streamed());
    EXPECT_TRUE(provider_.wait_for_requests(2));
    EXPECT_EQ(answer_text(finish(first)), "alone");
    EXPECT_EQ(answer_text(finish(second)), "alone");
}

TEST_F(Coalesce, WhoHasWaitedTooLongForASharedAnswerMakesItsOwnCall) {
    fleet_.write_config(yaml("  app_name: two\n  timeouts:\n    caching: {deduplication_timeout: 0.4}\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    provider_.set_script(script_of({slowly(saying("late"), milliseconds(1500)), saying("own")}));
    RawClient first = start_first(streamed());
    RawResponse second = fleet_.ask(streamed());
    EXPECT_EQ(answer_text(second), "own");
    EXPECT_EQ(second.header("x-balancer-coalesced"), "");
    EXPECT_EQ(answer_text(finish(first)), "late");
}

TEST_F(Coalesce, ReadersOfASilentCallGetPings) {
    fleet_.write_config(yaml("  ping_interval: 0.2\n  app_name: two\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    provider_.set_script(script_of({slowly(saying("at last"), milliseconds(1200))}));
    RawClient first = start_first(unstreamed());
    RawResponse second = fleet_.ask(streamed());
    EXPECT_EQ(second.status, 200u);
    EXPECT_TRUE(event_names(second.body).starts_with("ping ping")) << event_names(second.body);
    EXPECT_EQ(answer_text(second), "at last");
    EXPECT_EQ(answer_text(finish(first)), "at last");
    EXPECT_EQ(provider_.request_count(), 1u);
}

TEST_F(Coalesce, AnAnswerForWhichThereIsNoRoomIsNotJoinedAndTakesNone) {
    // 512 KiB for each worker, half of it for answers.
    fleet_.write_config(yaml("  app_name: two\n  limits: {body_bytes: 1MiB, body_memory_bytes: 1MiB}\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_.get("/").body.find("two") != std::string::npos; }));
    Step step = saying("");
    step.message.text_bytes = 24U << 20;
    step.message.delta_bytes = 16U << 10;
    provider_.set_script(script_of({step, saying("own")}));
    RawClient first = start_first(streamed());
    ASSERT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet_).sum("balancer_dp_sent_bytes_total") > 1e6; }));
    RawResponse second = fleet_.ask(streamed());
    EXPECT_EQ(answer_text(second), "own");
    EXPECT_EQ(second.header("x-balancer-coalesced"), "");
    EXPECT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet_).sum("balancer_dp_call_memory_bytes") < 600'000; }));
    RawResponse whole = finish(first);
    EXPECT_EQ(whole.end, BodyEnd::kComplete);
    EXPECT_GT(whole.body.size(), 24U << 20);
    expect_nothing_left();
}

// Clients of chat completions are told the usage where they asked for it, as far as the shared answer tells it.
TEST(CoalesceChat, UsageIsToldInEachOnesMode) {
    FakeProvider provider;
    Fleet fleet(yaml_of({openai_provider("only", provider)}));
    auto ask_both = [&](const std::string& first, const std::string& second) {
        Step step = slowly(saying("shared"), milliseconds(300));
        step.message.input_tokens = 37;
        provider.set_script(script_of({step}));
        provider.clear_requests();
        std::vector<RawResponse> answers;
        std::vector<RawClient> clients;
        for (const std::string* body : {&first, &second}) {
            Result<RawClient> client = RawClient::connect(fleet.port());
            EXPECT_TRUE(client && client->send(chat_request(*body)));
            clients.push_back(*std::move(client));
            EXPECT_TRUE(provider.wait_for_requests(1));
        }
        for (RawClient& client : clients) answers.push_back(*client.read_response());
        EXPECT_EQ(provider.request_count(), 1u);
        EXPECT_NE(answers[1].header("x-balancer-coalesced"), "");
        return answers;
    };
    auto with_usage = [](std::string body) {
        body.insert(body.size() - 1, R"(,"stream_options":{"include_usage":true})");
        return body;
    };
    for (bool asked : {false, true}) {
        SCOPED_TRACE(asked);
        std::string whole = asked ? with_usage(chat_body(false)) : chat_body(false);
        std::string stream = asked ? with_usage(chat_body(true)) : chat_body(true);
        RawResponse expanded = ask_both(whole, stream)[1];
        EXPECT_EQ(chat_text(expanded.body), "shared[DONE]");
        EXPECT_EQ(expanded.body.find("\"prompt_tokens\":37") != std::string::npos, asked) << expanded.body;
        auto aggregated = nlohmann::json::parse(ask_both(stream, whole)[1].body);
        EXPECT_EQ(aggregated["choices"][0]["message"]["content"], "shared");
        EXPECT_EQ(aggregated.contains("usage"), asked) << aggregated;
        if (asked) EXPECT_EQ(aggregated["usage"]["prompt_tokens"], 37);
    }
}

}  // namespace
}  // namespace balancer::tests
