// How long a provider is waited for, how often it is asked at once, and which connections are used
// again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/silent_listener.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;
using std::chrono::seconds;

// Settings that would let a request wait far longer than the test does.
constexpr const char* kPatient =
    "  unhealthy_threshold: 1000\n"
    "  timeouts:\n"
    "    streaming: {connect_timeout: 60, read_timeout: 60, pool_timeout: 60}\n"
    "    non_streaming: {connect_timeout: 60, read_timeout: 60, pool_timeout: 60}\n";

// Asks, and checks that the answer came between `least` and a few seconds.
RawResponse ask_within(
    const Fleet& fleet, const ClaudeCodeRequest& request, std::chrono::milliseconds least
) {
    auto began = std::chrono::steady_clock::now();
    RawResponse answer = fleet.ask(request);
    auto took = std::chrono::steady_clock::now() - began;
    EXPECT_GE(took, least);
    EXPECT_LT(took, seconds(8));
    return answer;
}

TEST(ProviderTimeouts, ConnectIsItsOwn) {
    SilentListener nobody;
    FakeProvider good;
    Fleet fleet(to_yaml(
        {{{"bad", nobody.base_url(), "    timeouts: {connect: 0.3}\n"}, {"good", good.base_url()}},
         {},
         kPatient}
    ));
    RawResponse answer = ask_within(fleet, unstreamed(), std::chrono::milliseconds(300));
    EXPECT_EQ(answer.header("x-provider-used"), "good");
    std::string words = failed_attempts(fleet, answer);
    EXPECT_NE(words.find("\"timeout\""), std::string::npos) << words;
    EXPECT_NE(words.find("connect timeout"), std::string::npos) << words;
}

TEST(ProviderTimeouts, FirstByteIsItsOwn) {
    FakeProvider bad(script_of({break_step(How::kHang, After::kHeadBytes, 0)}));
    FakeProvider good;
    Fleet fleet(to_yaml(
        {{{"bad", bad.base_url(), "    timeouts: {first_byte: 0.3}\n"}, {"good", good.base_url()}},
         {},
         kPatient}
    ));
    for (bool stream : {false, true}) {
        RawResponse answer = ask_within(
            fleet, in_session(stream ? "s1" : "s2", stream), std::chrono::milliseconds(300)
        );
        EXPECT_EQ(answer.header("x-provider-used"), "good");
        std::string words = failed_attempts(fleet, answer);
        EXPECT_NE(words.find("timeout before the answer's head"), std::string::npos) << words;
    }
}

TEST(ProviderTimeouts, IdleIsItsOwn) {
    FakeProvider provider(script_of({break_step(How::kHang, After::kEvents, 6)}));
    Fleet fleet(
        to_yaml({{{"main", provider.base_url(), "    timeouts: {idle: 0.3}\n"}}, {}, kPatient})
    );
    RawResponse answer = ask_within(fleet, streamed(), std::chrono::milliseconds(300));
    EXPECT_TRUE(event_names(answer.body).ends_with("error")) << event_names(answer.body);
    EXPECT_NE(answer.end, BodyEnd::kComplete);
    std::string words = failed_attempts(fleet, answer);
    EXPECT_NE(words.find("timeout before the answer's end"), std::string::npos) << words;
}

TEST(ProviderTimeouts, SignsOfLifeAreNoAnswer) {
    Step alive;
    alive.message.pings_before_start = 600;
    alive.message.ping_gap = milliseconds(50);
    FakeProvider stuck(script_of({alive}));
    FakeProvider good;
    Fleet fleet(to_yaml(
        {{{"stuck", stuck.base_url(), "    timeouts: {first_byte: 0.5, idle: 0.4}\n"}, {"good", good.base_url()}},
         {},
         kPatient}
    ));
    RawResponse answer = ask_within(fleet, streamed(), std::chrono::milliseconds(500));
    EXPECT_EQ(answer.header("x-provider-used"), "good");
    std::string words = failed_attempts(fleet, answer);
    EXPECT_NE(words.find("only signs of life"), std::string::npos) << words;
}

TEST(ProviderTimeouts, TotalEndsAStreamThatIsNeverIdle) {
    Step step;
    step.message.text_bytes = 5000;
    step.message.event_gap = milliseconds(30);
    FakeProvider provider(script_of({step}));
    Fleet fleet(to_yaml(
        {{{"main", provider.base_url(), "    timeouts: {idle: 20, total: 0.8}\n"}}, {}, kPatient}
    ));
    RawResponse answer = ask_within(fleet, streamed(), std::chrono::milliseconds(800));
    EXPECT_GT(split_events(answer.body).size(), 8u);
    EXPECT_TRUE(event_names(answer.body).ends_with("error"));
    EXPECT_NE(answer.end, BodyEnd::kComplete);
}

TEST(ProviderTimeouts, ZeroMeansNoLimitAndGoesBeforeTheSettings) {
    Step step;
    step.delay = milliseconds(900);
    FakeProvider provider(script_of({step}));
    Fleet fleet(to_yaml(
        {{{"main", provider.base_url(), "    timeouts: {first_byte: 0}\n"}},
         {},
         "  timeouts:\n    non_streaming: {read_timeout: 0.2}\n"}
    ));
    EXPECT_EQ(ask_within(fleet, unstreamed(), std::chrono::milliseconds(900)).status, 200u);
}

TEST(ProviderTimeouts, ASlowClientIsNotTheProvidersFault) {
    Step large;
    large.message.text_bytes = 24 << 20;
    large.message.delta_bytes = 60'000;
    FakeProvider provider(script_of({large}));
    Fleet fleet(to_yaml({{{"main", provider.base_url(), "    timeouts: {idle: 0.4}\n"}}, {}, kPatient}));
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    Result<RawResponse> answer = client->read_head();
    ASSERT_TRUE(answer);
    // Longer than idle, with all buffers in between full.
    std::this_thread::sleep_for(std::chrono::milliseconds(1'200));
    client->read_body(*answer, std::chrono::milliseconds(60'000));
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(answer->body).ends_with("message_stop"));
    EXPECT_EQ(attempts(fleet, "main", "timeout"), 0);
}

TEST(ProviderTimeouts, AProviderThatStopsReadingIsLeftAfterTheIdleTime) {
    SilentListener deaf(SilentListener::Connects::kAreQueued);
    FakeProvider good;
    Fleet fleet(to_yaml(
        {{{"deaf", deaf.base_url(), "    timeouts: {idle: 0.4}\n"},
          {"good", good.base_url()}},
         {},
         kPatient}
    ));
    RawResponse answer = ask_within(fleet, unstreamed(numbered_body(20 << 20)), std::chrono::milliseconds(300));
    EXPECT_EQ(answer.header("x-provider-used"), "good");
    std::string words = failed_attempts(fleet, answer);
    EXPECT_NE(words.find("timeout while sending the request"), std::string::npos) << words;
}

TEST(ProviderTimeouts, TheWordsOfAnErrorAreNotWaitedForWhenAnotherCanAnswer) {
    Step error = break_step(How::kHang, After::kBodyBytes, 10);
    error.status = 529;
    FakeProvider bad(script_of({error}));
    FakeProvider good;
    Fleet fleet(to_yaml({{{"bad", bad.base_url()}, {"good", good.base_url()}}, {}, kPatient}));
    RawResponse answer = ask_within(fleet, unstreamed(), std::chrono::milliseconds(0));
    EXPECT_EQ(answer.header("x-provider-used"), "good");
    EXPECT_EQ(attempts(fleet, "bad", "overloaded"), 1);
}

TEST(ProviderTimeouts, AClientsFaultIsWaitedForAndComesBackWordForWord) {
    Step slow = status_step(400);
    slow.error = ErrorSpec{"invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"};
    slow.trickle_bytes = 20;
    slow.trickle_gap = std::chrono::milliseconds(500);
    FakeProvider first(script_of({slow}));
    FakeProvider second;
    Fleet fleet(to_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}, {}, kPatient}));
    RawResponse answer = ask_within(fleet, unstreamed(), std::chrono::milliseconds(2'000));
    EXPECT_EQ(answer.status, 400u);
    EXPECT_NE(answer.body.find("prompt is too long: 210000 tokens"), std::string::npos) << answer.body;
    EXPECT_EQ(second.request_count(), 0u);
}

TEST(ProviderTimeouts, AClientsFaultWhoseWordsAreCutKeepsItsStatus) {
    Step cut = break_step(How::kClose, After::kBodyBytes, 10);
    cut.status = 413;
    FakeProvider first(script_of({cut}));
    FakeProvider second;
    Fleet fleet(to_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}, {}, kPatient}));
    RawResponse answer = ask_within(fleet, unstreamed(), std::chrono::milliseconds(0));
    EXPECT_EQ(answer.status, 413u);
    EXPECT_EQ(answer.header("x-should-retry"), "false");
    EXPECT_NE(answer.body.find("request_too_large"), std::string::npos) << answer.body;
    EXPECT_EQ(second.request_count(), 0u);
}

TEST(Pool, AConnectionSurvivesAnErrorThatIsFailedOver) {
    FakeProvider bad(script_of({status_step(529)}));
    FakeProvider good;
    Fleet fleet(
        to_yaml({{{"bad", bad.base_url()}, {"good", good.base_url()}}, {}, "  unhealthy_threshold: 1000\n"}),
        {1, 1}
    );
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(fleet.ask(in_session("s" + std::to_string(i))).header("x-provider-used"), "good");
    }
    EXPECT_EQ(bad.request_count(), 3u);
    EXPECT_EQ(bad.connection_count(), 1u);
}

TEST(Pool, AConnectionThatDiesLateIsAFailureAndNotReplayed) {
    Step late = break_step(How::kReset, After::kHeadBytes, 0);
    late.delay = std::chrono::milliseconds(1'500);
    FakeProvider first(script_of({Step{}, late}));
    FakeProvider second;
    Fleet fleet(
        to_yaml({{{"first", first.base_url()}, {"second", second.base_url()}}, {}, "  unhealthy_threshold: 1000\n"}),
        {1, 1}
    );
    EXPECT_EQ(fleet.ask(unstreamed()).header("x-provider-used"), "first");
    EXPECT_EQ(fleet.ask(unstreamed()).header("x-provider-used"), "second");
    EXPECT_EQ(first.request_count(), 2u) << "somebody was at work on the request already";
    EXPECT_EQ(attempts(fleet, "first", "connect"), 1);
}

TEST(Pool, ConnectionsAreReusedAndCounted) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{{"main", provider.base_url()}}}), {1, 1});
    for (int i = 0; i < 10; ++i) {
        RawResponse answer = fleet.ask(i % 2 == 0 ? streamed() : unstreamed());
        ASSERT_EQ(answer.status, 200u);
    }
    EXPECT_EQ(provider.connection_count(), 1u);
    Metrics metrics = read_metrics(fleet);
    EXPECT_EQ(metrics.sum("balancer_dp_upstream_connections_made_total"), 1);
    EXPECT_EQ(metrics.sum("balancer_dp_upstream_connections_reused_total"), 9);
    EXPECT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet).sum("balancer_dp_upstream_connections_idle") == 1;
    }));
}

TEST(Pool, AConnectionWithSomethingLeftOnItIsNotReused) {
    FakeProvider provider;
    Fleet fleet(
        to_yaml({{{"main", provider.base_url()}}, {}, "  unhealthy_threshold: 1000\n"}), {1, 1}
    );
    // Two bytes more than announced: they would be taken for the next answer.
    Step lie;
    lie.content_length_off_by = -2;
    provider.set_script(script_of({lie, Step{}}));
    fleet.ask(unstreamed());
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(provider.connection_count(), 2u);
}

TEST(Pool, AChangedProviderGetsConnectionsOfItsOwn) {
    FakeProvider before;
    FakeProvider after;
    Fleet fleet(to_yaml({{{"main", before.base_url()}}}), {1, 1});
    for (int i = 0; i < 3; ++i) ASSERT_EQ(fleet.ask(unstreamed()).status, 200u);
    EXPECT_EQ(before.connection_count(), 1u);
    fleet.write_config(to_yaml({{{"main", after.base_url()}}}));
    ASSERT_TRUE(Fleet::eventually([&] {
        fleet.ask(unstreamed());
        return after.request_count() > 0;
    }));
    std::size_t left = before.request_count();
    for (int i = 0; i < 5; ++i) ASSERT_EQ(fleet.ask(unstreamed()).status, 200u);
    EXPECT_EQ(before.request_count(), left);
}

class Concurrency : public testing::Test {
  protected:
    static constexpr const char* kEachItsOwn = "  deduplication: {enabled: false}\n";

    // Sends a request that the provider holds until its delay is over.
    static RawClient begin(const Fleet& fleet, const std::string& session) {
        Result<RawClient> client = RawClient::connect(fleet.port());
        EXPECT_TRUE(client->send(claude_code_request(in_session(session))));
        return *std::move(client);
    }
};

TEST_F(Concurrency, TheSecondRequestOverflowsToTheNextProvider) {
    FakeProvider first(script_of({break_step(How::kHang, After::kHeadBytes, 0), Step{}}));
    FakeProvider second;
    Fleet fleet(to_yaml(
        {{{"first", first.base_url(), "    max_concurrency: 1\n"}, {"second", second.base_url()}},
         {},
         std::string(kPatient) + kEachItsOwn}
    ));
    RawClient held = begin(fleet, "held");
    ASSERT_TRUE(first.wait_for_requests(1));
    RawResponse answer = ask_within(fleet, in_session("other"), std::chrono::milliseconds(0));
    EXPECT_EQ(answer.header("x-provider-used"), "second");
    held.close();
    ASSERT_TRUE(first.wait_for_abandoned(1));
    // The place is free again, also after a client that left.
    EXPECT_TRUE(Fleet::eventually([&] {
        return fleet
                   .ask(in_session(
                       "new-" + std::to_string(first.request_count() + second.request_count())
                   ))
                   .header("x-provider-used") == "first";
    }));
}

TEST_F(Concurrency, AProviderAloneIsWaitedFor) {
    Step slow;
    slow.delay = milliseconds(600);
    FakeProvider only(script_of({slow, Step{}}));
    Fleet fleet(
        to_yaml({{{"only", only.base_url(), "    max_concurrency: 1\n"}}, {}, std::string(kPatient) + kEachItsOwn}), {1, 1}
    );
    RawClient held = begin(fleet, "held");
    ASSERT_TRUE(only.wait_for_requests(1));
    RawClient waiting = begin(fleet, "waiting");
    Result<RawResponse> first = held.read_response();
    ASSERT_TRUE(first);
    Result<RawResponse> second = waiting.read_response();
    ASSERT_TRUE(second);
    EXPECT_EQ(first->status, 200u);
    EXPECT_EQ(second->status, 200u);
    nlohmann::json record = access_record(fleet, second->header("x-balancer-request-id"));
    EXPECT_GE(record.value("duration_ms", 0), 300) << "it did not wait: " << record.dump();
    EXPECT_EQ(only.connection_count(), 1u) << "both were asked at once";
}

TEST_F(Concurrency, TheWaitEndsWithThePoolTimeout) {
    FakeProvider only(script_of({break_step(How::kHang, After::kHeadBytes, 0), Step{}}));
    Fleet fleet(to_yaml(
        {{{"only", only.base_url(), "    max_concurrency: 1\n"}},
         {},
         std::string("  timeouts:\n    non_streaming: {pool_timeout: 0.4, read_timeout: 60}\n") + kEachItsOwn}
    ));
    RawClient held = begin(fleet, "held");
    ASSERT_TRUE(only.wait_for_requests(1));
    RawResponse answer = ask_within(fleet, in_session("waiting"), std::chrono::milliseconds(400));
    EXPECT_EQ(answer.status, 503u);
    EXPECT_FALSE(answer.header("retry-after").empty());
    EXPECT_NE(answer.body.find("1 requests in flight already"), std::string::npos) << answer.body;
    EXPECT_EQ(only.request_count(), 1u);
    // A full provider is not a sick one.
    EXPECT_EQ(fleet.get("/health").status, 200u);
}

}  // namespace
}  // namespace balancer::tests
