// Providers in background mode: a stream is collected at their pace, so that a failure before its end still fails over, and the
// client gets it in order once it is whole, or too long to be held.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kBackground = "    streaming_mode: background\n";

class Background : public testing::Test {
  protected:
    std::string yaml(const std::string& of_first, const std::string& settings = {}) const {
        return yaml_of({{"first", first_.base_url(), of_first}, {"second", second_.base_url(), of_first}}, {}, settings);
    }

    // A stream of many events that ends after so many of them.
    static Step long_step(How how, std::size_t bytes, std::size_t events) {
        Step step = break_step(how, After::kEvents, events);
        step.message.text_bytes = bytes;
        step.message.delta_bytes = 64;
        return step;
    }

    // A client that has asked for a stream, and has read nothing of it yet.
    static Result<RawClient> asking(const Fleet& fleet) {
        Result<RawClient> client = RawClient::connect(fleet.port());
        if (!client) return client;
        if (Result<void> sent = client->send(claude_code_request(streamed())); !sent) return sent.error();
        return client;
    }

    FakeProvider first_;
    FakeProvider second_{script_of({saying("the second one's")})};
};

TEST_F(Background, AFailureAnywhereBeforeTheEndFailsOver) {
    Fleet fleet(yaml(kBackground));
    for (How how : {How::kReset, How::kClose, How::kFinish, How::kBadChunk}) {
        for (std::size_t events = 0; events <= 8; ++events) {
            SCOPED_TRACE(fmt::format("how {} after {} events", static_cast<int>(how), events));
            Step step = break_step(how, After::kEvents, events);
            step.message.text = "one two three";
            first_.set_script(script_of({step}));
            ClaudeCodeRequest request = streamed();
            request.session_id = fmt::format("s-{}-{}", static_cast<int>(how), events);
            RawResponse answer = fleet.ask(request);
            EXPECT_EQ(answer.status, 200u);
            EXPECT_EQ(answer.end, BodyEnd::kComplete);
            EXPECT_EQ(answer.header("x-provider-used"), "second");
            EXPECT_EQ(answer_text(answer), "the second one's");
        }
    }
    Step error = saying("one two three");
    error.error_event = ErrorEvent{6, {"overloaded_error", "Overloaded in the middle"}};
    first_.set_script(script_of({error}));
    EXPECT_EQ(answer_text(fleet.ask(in_session(streamed(), "error"))), "the second one's");
}

TEST_F(Background, AWholeAnswerComesInOrderBehindPings) {
    Fleet fleet(yaml(kBackground, "  ping_interval: 0.2\n"));
    Step slow = saying("one two three");
    slow.message.event_gap = milliseconds(100);
    first_.set_script(script_of({slow}));
    RawResponse answer = fleet.ask(streamed());
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(answer_text(answer), "one two three");
    std::string names = event_names(answer.body);
    EXPECT_THAT(names, StartsWith("ping ping"));
    // The one that the provider sends stands behind its message_start; none of ours comes in between.
    EXPECT_THAT(
        names,
        EndsWith(
            "message_start ping content_block_start content_block_delta content_block_delta content_block_delta "
            "content_block_stop message_delta message_stop"
        )
    );
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST_F(Background, WhatIsTooLongToBeHeldIsShownWhileItComes) {
    Fleet fleet(yaml(std::string(kBackground) + "    background_bytes: 2KiB\n"));
    first_.set_script(script_of({long_step(How::kHang, 16U << 10, 60)}));
    Result<RawClient> client = asking(fleet);
    ASSERT_TRUE(client);
    Result<RawResponse> head = client->read_head();
    ASSERT_TRUE(head);
    EXPECT_EQ(head->header("x-provider-used"), "first");
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(client->read_event(*head)) << i;
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST_F(Background, ACutBehindThatIsACleanErrorEvent) {
    Fleet fleet(yaml(std::string(kBackground) + "    background_bytes: 2KiB\n"));
    first_.set_script(script_of({long_step(How::kClose, 16U << 10, 60)}));
    RawResponse answer = fleet.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.header("x-provider-used"), "first");
    EXPECT_NE(answer.end, BodyEnd::kComplete);
    EXPECT_THAT(event_names(answer.body), StartsWith("message_start ping content_block_start content_block_delta"));
    EXPECT_THAT(event_names(answer.body), EndsWith("content_block_delta error"));
    EXPECT_THAT(split_events(answer.body).back().data, HasSubstr("overloaded_error"));
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST_F(Background, AFailureCountsAgainstItsProviderAndOnlyTheAnswerThatIsShownIsTold) {
    Fleet fleet(yaml(kBackground));
    Step step = break_step(How::kClose, After::kEvents, 6);
    step.message.text = "one two three";
    first_.set_script(script_of({step}));
    Step other = saying("the second one's");
    other.message.input_tokens = 40;
    other.message.output_tokens = 7;
    second_.set_script(script_of({other}));
    RawResponse answer = fleet.ask(streamed());
    EXPECT_THAT(answer.body, HasSubstr("\"output_tokens\":7"));
    EXPECT_THAT(failed_attempts(fleet, answer), HasSubstr("broken_stream"));
    nlohmann::json record = access_record(fleet, answer.header("x-balancer-request-id"));
    EXPECT_EQ(record.value("provider", ""), "second");
    EXPECT_EQ(record.value("outcome", ""), "ok");
    EXPECT_EQ(record.value("bytes_out", 0u), answer.body.size());
    EXPECT_EQ(attempts(fleet, "first", "broken_stream"), 1);
    EXPECT_EQ(attempts(fleet, "second", "none"), 1);
    EXPECT_EQ(read_metrics(fleet).sum("balancer_dp_sent_bytes_total"), static_cast<double>(answer.body.size()));
    EXPECT_TRUE(wait_for_failures(fleet, "first", 1));
}

TEST_F(Background, WithoutAnybodyElseABreakIsAnErrorAndNoHalfAnswer) {
    Step step = break_step(How::kClose, After::kEvents, 6);
    step.message.event_gap = milliseconds(20);
    first_.set_script(script_of({step}));
    for (const char* pings : {"", "  ping_interval: 0.05\n"}) {
        Fleet fleet(yaml_of({{"first", first_.base_url(), kBackground}}, {}, pings));
        RawResponse answer = fleet.ask(streamed());
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        EXPECT_THAT(answer.body, HasSubstr("broken_stream"));
        EXPECT_EQ(answer_text(answer), "");
        EXPECT_EQ(answer.status, *pings == '\0' ? 503u : 200u);
        if (*pings != '\0') EXPECT_THAT(event_names(answer.body), EndsWith("ping error"));
    }
}

TEST_F(Background, AClientThatLeavesEndsTheCallThoughItHasGotNothingYet) {
    Fleet fleet(yaml(kBackground));
    Step slow = saying("one two three four five six seven eight");
    slow.message.event_gap = milliseconds(500);
    first_.set_script(script_of({slow}));
    Result<RawClient> client = asking(fleet);
    ASSERT_TRUE(client);
    ASSERT_TRUE(first_.wait_for_requests(1));
    client->close();
    EXPECT_TRUE(first_.wait_for_abandoned(1));
    EXPECT_EQ(second_.request_count(), 0u) << "nobody is left to be served by it";
}

TEST_F(Background, IdenticalRequestsShareWhatWasFailedOver) {
    Fleet fleet(yaml(kBackground, "  ping_interval: 0.2\n"));
    Step broken = break_step(How::kClose, After::kEvents, 6);
    broken.message.text = "one two three";
    broken.message.event_gap = milliseconds(100);
    first_.set_script(script_of({broken}));
    Step whole = saying("the second one's");
    whole.message.event_gap = milliseconds(50);
    second_.set_script(script_of({whole}));
    std::vector<RawClient> clients;
    for (int i = 0; i < 10; ++i) {
        Result<RawClient> client = RawClient::connect(fleet.port());
        ASSERT_TRUE(client);
        ASSERT_TRUE(client->send(claude_code_request(i % 3 == 2 ? unstreamed() : streamed())));
        if (i == 0) ASSERT_TRUE(first_.wait_for_requests(1));
        clients.push_back(*std::move(client));
    }
    for (RawClient& client : clients) {
        Result<RawResponse> answer = client.read_response();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
        EXPECT_EQ(answer->end, BodyEnd::kComplete);
        EXPECT_EQ(answer_text(*answer), "the second one's");
        bool streams = answer->header("content-type").starts_with("text/event-stream");
        if (streams) EXPECT_THAT(event_names(answer->body), StartsWith("ping "));
    }
    EXPECT_EQ(first_.request_count(), 1u);
    EXPECT_EQ(second_.request_count(), 1u);
}

TEST_F(Background, WhatIsHeldBackCountsAsBodiesDo) {
    Fleet fleet(yaml(std::string(kBackground) + "    background_bytes: 4MiB\n"));
    first_.set_script(script_of({long_step(How::kHang, 1U << 20, 800)}));
    Result<RawClient> client = asking(fleet);
    ASSERT_TRUE(client);
    EXPECT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet).sum("balancer_dp_body_memory_bytes") > 50e3; }));
    client->abort();
    EXPECT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet).sum("balancer_dp_body_memory_bytes") == 0; }));
    // And when it is shown, or another one in its place.
    first_.set_script(script_of({long_step(How::kClose, 1U << 20, 800), saying("whole")}));
    EXPECT_EQ(answer_text(fleet.ask(streamed())), "the second one's");
    EXPECT_EQ(answer_text(fleet.ask(in_session(streamed(), "other"))), "whole");
    EXPECT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet).sum("balancer_dp_body_memory_bytes") == 0; }));
}

TEST_F(Background, WhatThereIsNoRoomForIsShownWhileItComes) {
    // 512 KiB for each worker.
    Fleet fleet(yaml(
        std::string(kBackground) + "    background_bytes: 4MiB\n",
        "  limits: {body_bytes: 1MiB, body_memory_bytes: 1MiB}\n"
    ));
    Step step = long_step(How::kHang, 2U << 20, 60);
    step.message.delta_bytes = 16U << 10;
    first_.set_script(script_of({step}));
    Result<RawClient> client = asking(fleet);
    ASSERT_TRUE(client);
    Result<RawResponse> head = client->read_head();
    ASSERT_TRUE(head);
    EXPECT_EQ(head->header("x-provider-used"), "first");
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(client->read_event(*head)) << i;
    EXPECT_TRUE(Fleet::eventually([&] { return *read_metrics(fleet).sum("balancer_dp_body_memory_bytes") == 0; }));
}

TEST_F(Background, RequestsThatDoNotStreamAreAsEver) {
    Fleet fleet(yaml(kBackground));
    EXPECT_EQ(fleet.ask(unstreamed()).status, 200u);
    EXPECT_EQ(first_.request_count(), 1u);
}

// A stream that breaks behind its first words: who fails over has held it back.
std::string provider_of_a_broken_stream(const std::string& type, const std::string& mode) {
    Step step = break_step(How::kClose, After::kEvents, 6);
    step.message.text = "one two three four five six";
    FakeProvider first(script_of({step}));
    FakeProvider second;
    std::string extra = "    streaming_mode: " + mode + "\n";
    ProviderText one = type == "openai" ? openai_provider("first", first, extra) : ProviderText{"first", first.base_url(), extra};
    Fleet fleet(yaml_of({one, {"second", second.base_url()}}));
    return fleet.ask(streamed()).header("x-provider-used");
}

TEST(StreamingMode, AChatIsHeldBackToo) {
    Step step = break_step(How::kClose, After::kEvents, 4);
    step.message.text = "one two three four five six";
    FakeProvider first(script_of({step}));
    FakeProvider second(script_of({saying("the second one's")}));
    Fleet fleet(yaml_of(
        {openai_provider("first", first, "    streaming_mode: auto\n"),
         openai_provider("second", second, "    streaming_mode: auto\n")}
    ));
    RawResponse answer = exchange_raw(fleet.port(), chat_request(chat_body(true)));
    EXPECT_EQ(answer.header("x-provider-used"), "second");
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(chat_text(answer.body), "the second one's[DONE]");
    EXPECT_EQ(first.request_count(), 1u);
}

TEST(StreamingMode, AutoShowsWhatAnAnthropicProviderSendsAndHoldsBackWhatAnOpenaiOneDoes) {
    EXPECT_EQ(provider_of_a_broken_stream("anthropic", "auto"), "first");
    EXPECT_EQ(provider_of_a_broken_stream("openai", "auto"), "second");
    EXPECT_EQ(provider_of_a_broken_stream("anthropic", "background"), "second");
    EXPECT_EQ(provider_of_a_broken_stream("openai", "direct"), "first");
}

}  // namespace
}  // namespace balancer::tests
