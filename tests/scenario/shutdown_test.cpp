// What a data plane that stops does to the requests that it still serves.
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;
using std::chrono::seconds;

class Shutdown : public testing::Test {
  protected:
    RawClient begin(const ClaudeCodeRequest& request) {
        Result<RawClient> client = RawClient::connect(fleet_.port());
        EXPECT_TRUE(client);
        EXPECT_TRUE(client->send(claude_code_request(request)));
        return *std::move(client);
    }
    // Stops the data plane and checks that it does not take long.
    void stop(Milliseconds grace) {
        auto began = std::chrono::steady_clock::now();
        fleet_.stop_data_plane(0, grace);
        EXPECT_LT(std::chrono::steady_clock::now() - began, grace + seconds(6));
    }

    FakeProvider first_;
    FakeProvider second_;
    Fleet fleet_{to_yaml(
        {{{"first", first_.base_url()}, {"second", second_.base_url()}},
         {},
         "  timeouts:\n    streaming: {connect_timeout: 60, read_timeout: 60}\n"
         "    non_streaming: {connect_timeout: 60, read_timeout: 60}\n"}
    )};
};

TEST_F(Shutdown, WaitsForAnAnswerThatComesInTime) {
    Step step;
    step.message.text = "one two three four five six";
    step.message.event_gap = std::chrono::milliseconds(100);
    first_.set_script(script_of({step}));
    RawClient client = begin(streamed());
    ASSERT_TRUE(first_.wait_for_requests(1));
    auto stopped = std::async(std::launch::async, [&] { stop(Milliseconds(20'000)); });
    Result<RawResponse> answer = client.read_response();
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(answer->body).ends_with("message_stop"));
    stopped.get();
}

TEST_F(Shutdown, ARequestThatIsStillWaitingIsToldToComeAgainAndNobodyElseIsAsked) {
    first_.set_script(script_of({break_step(How::kHang, After::kHeadBytes, 0)}));
    RawClient client = begin(unstreamed());
    ASSERT_TRUE(first_.wait_for_requests(1));
    stop(Milliseconds(200));
    Result<RawResponse> answer = client.read_response();
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 503u);
    EXPECT_NE(answer->body.find("SHUTTING_DOWN"), std::string::npos) << answer->body;
    EXPECT_EQ(answer->header("connection"), "close");
    EXPECT_EQ(second_.request_count(), 0u);
    EXPECT_TRUE(first_.wait_for_abandoned(1));
    std::vector<nlohmann::json> records = access_records(fleet_);
    ASSERT_FALSE(records.empty());
    EXPECT_EQ(records.back().value("outcome", ""), "shutdown");
}

TEST_F(Shutdown, AStreamThatTakesLongerEndsWithAnErrorEventAndBlamesNobody) {
    first_.set_script(script_of({break_step(How::kHang, After::kEvents, 5)}));
    RawClient client = begin(streamed());
    Result<RawResponse> head = client.read_head();
    ASSERT_TRUE(head);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.read_event(*head));
    stop(Milliseconds(200));
    client.read_body(*head);
    EXPECT_TRUE(event_names(head->body).ends_with("error")) << event_names(head->body);
    EXPECT_NE(head->body.find("stopping"), std::string::npos);
    EXPECT_NE(head->end, BodyEnd::kComplete);
    std::vector<nlohmann::json> records = access_records(fleet_);
    ASSERT_FALSE(records.empty());
    EXPECT_EQ(records.back().value("outcome", ""), "shutdown");
    EXPECT_FALSE(records.back().contains("failed_attempts"));
}

// The first worker keeps the lists of models, and may have nothing to do long before the others.
TEST_F(Shutdown, WhoeverIsServedStillGetsTheModels) {
    constexpr std::string_view kAsk = "GET /v1/models HTTP/1.1\r\nHost: b\r\nx-api-key: k\r\n";
    std::optional<RawClient> client;
    std::string models;
    for (int i = 0; i < 100 && !client; ++i) {
        Result<RawClient> made = RawClient::connect(fleet_.port());
        ASSERT_TRUE(made);
        Result<RawResponse> answer = made->exchange(std::string(kAsk) + "\r\n");
        ASSERT_TRUE(answer) << answer.error().text();
        nlohmann::json record = access_record(fleet_, answer->header("x-balancer-request-id"));
        models = answer->body;
        if (!record.value("worker", "").ends_with("/0")) client = *std::move(made);
    }
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(kAsk));  // the end of the head is missing: not idle any more
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    auto stopped = std::async(std::launch::async, [&] { stop(Milliseconds(20'000)); });
    std::this_thread::sleep_for(std::chrono::seconds(2));
    Result<RawResponse> answer = client->exchange("\r\n");
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 200u);
    EXPECT_EQ(answer->body, models);
    stopped.get();
}

TEST_F(Shutdown, AClientThatTakesNothingDoesNotHoldItUp) {
    Step large;
    large.message.text_bytes = 64 << 20;
    large.message.delta_bytes = 60'000;
    first_.set_script(script_of({large}));
    RawClient client = begin(streamed());
    Result<RawResponse> head = client.read_head();
    ASSERT_TRUE(head);
    stop(Milliseconds(200));
}

TEST_F(Shutdown, ClientsThatAreLetInAtTheLastMomentAreServed) {
    // As many as the kernel queues before a worker wakes up.
    std::vector<RawClient> clients;
    auto stopped = std::async(std::launch::async, [&] { stop(Milliseconds(10'000)); });
    std::size_t answered = 0;
    std::size_t connected = 0;
    for (int i = 0; i < 200; ++i) {
        Result<RawClient> client = RawClient::connect(fleet_.port());
        if (!client) break;  // the listener is closed: a balancer in front goes elsewhere
        ++connected;
        Result<RawResponse> answer = client->exchange("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        if (answer && answer->status == 200) ++answered;
    }
    stopped.get();
    EXPECT_EQ(answered, connected);
}

}  // namespace
}  // namespace balancer::tests
