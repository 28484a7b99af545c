// What a client cannot do to the balancer or to the others: sizes, memory, connections, slowness.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

constexpr std::size_t kMiB = 1 << 20;

std::string body_of(std::size_t bytes) {
    std::string body = R"({"model":"m","x":")";
    return body + std::string(bytes - body.size() - 2, 'x') + "\"}";
}

std::string head_of(std::string_view framing, std::string_view lines = {}) {
    return fmt::format(
        "POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{}{}\r\n",
        framing,
        lines
    );
}

std::string sized(std::size_t bytes) {
    return head_of(fmt::format("Content-Length: {}\r\n", bytes)) + body_of(bytes);
}

std::string chunked(std::size_t bytes) {
    return head_of("Transfer-Encoding: chunked\r\n") +
           fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", bytes, body_of(bytes));
}

nlohmann::json error_of(const RawResponse& answer) {
    auto json = nlohmann::json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(json.is_object()) << answer.body;
    EXPECT_EQ(json.value("type", ""), "error");
    return json.is_object() ? json["error"] : nlohmann::json::object();
}

class BodyLimit : public testing::Test {
  protected:
    FakeProvider provider_;
    Fleet fleet_{to_yaml(
        {{{"main", provider_.base_url()}}, {}, "  limits: {body_bytes: 1MiB, header_bytes: 4KiB}\n"}
    )};
};

// What goes on to the control plane is bounded by itself, whatever its framing.
TEST(ManagementBody, IsAMebibyteAtMost) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{{"main", provider.base_url()}}}));
    for (std::string request : {sized(kMiB + 1), chunked(kMiB + 1)}) {
        SCOPED_TRACE(request.substr(66, 30));
        request.replace(request.find("/v1/messages"), 12, "/providers/reload");
        RawResponse answer = exchange_raw(fleet.port(), request);
        EXPECT_EQ(answer.status, 413u);
        EXPECT_NE(answer.body.find("1048576 bytes, the most that this page takes"), std::string::npos) << answer.body;
    }
}

TEST_F(BodyLimit, ABodyThatIsTooLargeGets413WhileItIsStillBeingSent) {
    for (const std::string& request :
         {sized(kMiB + 1), sized(12 * kMiB), chunked(kMiB + 1), chunked(12 * kMiB)}) {
        SCOPED_TRACE(request.substr(66, 30));
        Result<RawClient> client = RawClient::connect(fleet_.port());
        ASSERT_TRUE(client);
        Result<void> sent = client->send(request);
        EXPECT_TRUE(sent) << "reset while sending: " << sent.error().text();
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << answer.error().text();
        EXPECT_EQ(answer->status, 413u);
        EXPECT_EQ(answer->end, BodyEnd::kComplete);
        EXPECT_EQ(answer->header("connection"), "close");
        EXPECT_EQ(answer->header("x-should-retry"), "false");
        EXPECT_EQ(error_of(*answer).value("type", ""), "request_too_large");
        EXPECT_NE(answer->body.find("1048576"), std::string::npos)
            << "names the limit: " << answer->body;
        EXPECT_TRUE(client->wait_for_close());
    }
    EXPECT_EQ(provider_.connection_count(), 0u);
    EXPECT_EQ(
        read_metrics(fleet_).sum("balancer_dp_requests_total", {{"outcome", "too_large"}}), 4
    );
    EXPECT_EQ(exchange_raw(fleet_.port(), sized(kMiB)).status, 200u);
    EXPECT_EQ(exchange_raw(fleet_.port(), chunked(kMiB)).status, 200u);
}

TEST_F(BodyLimit, AnAnnouncedBodyIsRefusedBeforeItIsSent) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(head_of("Content-Length: 5000000\r\n", "Expect: 100-continue\r\n")));
    Result<RawResponse> first = client->read_head();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->status, 413u) << "asked for a body that it does not want";
}

TEST_F(BodyLimit, AHeadThatIsTooLargeGets431) {
    for (std::size_t bytes : {std::size_t{5000}, std::size_t{12'000}, std::size_t{200'000}}) {
        SCOPED_TRACE(bytes);
        Result<RawClient> client = RawClient::connect(fleet_.port());
        ASSERT_TRUE(client);
        std::string lines = "X-Long: " + std::string(bytes, 'x') + "\r\n";
        EXPECT_TRUE(client->send(head_of("Content-Length: 13\r\n", lines) + R"({"model":"m"})"));
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << answer.error().text();
        EXPECT_EQ(answer->status, 431u);
        EXPECT_EQ(error_of(*answer).value("type", ""), "invalid_request_error");
        EXPECT_TRUE(client->wait_for_close());
    }
    EXPECT_EQ(provider_.connection_count(), 0u);
    std::string lines = "X-Long: " + std::string(3500, 'x') + "\r\n";
    EXPECT_EQ(
        exchange_raw(fleet_.port(), head_of("Content-Length: 13\r\n", lines) + R"({"model":"m"})")
            .status,
        200u
    );
}

TEST(BodyMemory, RefusesWhatDoesNotFitAndServesItLater) {
    Step held = break_step(Break::How::kHang, Break::After::kHeadBytes, 0);
    held.times = 2;
    FakeProvider provider(script_of({held, Step{}}));
    Fleet fleet(
        to_yaml(
            {{{"main", provider.base_url()}},
             {},
             "  limits: {body_bytes: 24MiB, body_memory_bytes: 48MiB}\n  deduplication: {enabled: false}\n"}
        ),
        {1, 1}
    );
    std::string request = sized(20 * kMiB);
    std::vector<RawClient> holders;
    for (std::size_t i = 1; i <= 2; ++i) {
        Result<RawClient> client = RawClient::connect(fleet.port());
        ASSERT_TRUE(client);
        ASSERT_TRUE(client->send(request, std::chrono::seconds(30)));
        ASSERT_TRUE(provider.wait_for_requests(i, std::chrono::seconds(30)));
        holders.push_back(*std::move(client));
    }
    EXPECT_GE(read_metrics(fleet).sum("balancer_dp_body_memory_bytes").value_or(0), 40.0 * kMiB);
    for (const std::string& third : {request, chunked(20 * kMiB)}) {
        RawResponse answer = exchange_raw(fleet.port(), third);
        EXPECT_EQ(answer.status, 503u);
        EXPECT_EQ(error_of(answer).value("code", ""), "BODY_MEMORY");
        EXPECT_FALSE(answer.header("retry-after").empty());
    }
    // Small ones go on.
    EXPECT_EQ(exchange_raw(fleet.port(), sized(1000)).status, 200u);
    holders.pop_back();
    EXPECT_TRUE(Fleet::eventually([&] { return exchange_raw(fleet.port(), request).status == 200; })
    );
    holders.clear();
    EXPECT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet).sum("balancer_dp_body_memory_bytes") == 0;
    }));
}

TEST(BodyMemory, IsGivenBackWhenTheAnswerBegins) {
    FakeProvider provider(script_of({break_step(Break::How::kHang, Break::After::kEvents, 5)}));
    Fleet fleet(to_yaml({{{"main", provider.base_url()}}}), {1, 1});
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    ASSERT_TRUE(client->read_head());
    Metrics metrics = read_metrics(fleet);
    EXPECT_EQ(metrics.sum("balancer_dp_requests_in_flight"), 1);
    EXPECT_EQ(metrics.sum("balancer_dp_body_memory_bytes"), 0);
}

TEST(Connections, OverTheLimitAreClosedAndTheOthersServed) {
    FakeProvider provider;
    Fleet fleet(
        to_yaml({{{"main", provider.base_url()}}, {}, "  limits: {connections: 3}\n"}), {1, 1}
    );
    std::vector<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
        Result<RawClient> client = RawClient::connect(fleet.port());
        ASSERT_TRUE(client);
        Result<RawResponse> answer = client->exchange(claude_code_request(unstreamed()));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
        clients.push_back(*std::move(client));
    }
    Result<RawClient> fourth = RawClient::connect(fleet.port());
    ASSERT_TRUE(fourth);
    EXPECT_TRUE(fourth->wait_for_close(std::chrono::milliseconds(3000)));
    for (RawClient& client : clients) {
        Result<RawResponse> answer = client.exchange(claude_code_request(unstreamed()));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
    }
    clients.pop_back();
    EXPECT_TRUE(Fleet::eventually([&] {
        Result<RawClient> client = RawClient::connect(fleet.port());
        if (!client) return false;
        Result<RawResponse> answer = client->exchange(claude_code_request(unstreamed()));
        return answer && answer->status == 200;
    }));
}

class Slowness : public testing::Test {
  protected:
    // One worker: whoever blocked it would block everybody.
    FakeProvider provider_;
    Fleet fleet_{to_yaml({{{"main", provider_.base_url()}}}), {1, 1}};

    void expect_others_are_served() {
        for (int i = 0; i < 5; ++i) {
            RawResponse answer = fleet_.ask(i % 2 == 0 ? streamed() : unstreamed());
            EXPECT_EQ(answer.status, 200u);
            EXPECT_EQ(answer.end, BodyEnd::kComplete);
        }
    }
};

TEST_F(Slowness, AReaderThatStopsHoldsUpOnlyItself) {
    constexpr std::size_t kBytes = 16 * kMiB;
    Step step;
    step.message.text_bytes = kBytes;
    step.message.delta_bytes = 20'000;
    for (bool stream : {false, true}) {
        SCOPED_TRACE(stream);
        provider_.set_script(script_of({step, Step{}}));
        provider_.clear_requests();
        Result<RawClient> slow = RawClient::connect(fleet_.port());
        ASSERT_TRUE(slow);
        ASSERT_TRUE(slow->send(claude_code_request(stream ? streamed() : unstreamed())));
        ASSERT_TRUE(provider_.wait_for_requests(1));
        Result<RawResponse> answer = slow->read_head();
        ASSERT_TRUE(answer);
        expect_others_are_served();
        // What nobody reads is not gathered here either: the provider has to wait.
        EXPECT_LT(read_metrics(fleet_).sum("balancer_dp_buffer_bytes").value_or(1e9), 4.0 * kMiB);
        slow->read_body(*answer, std::chrono::seconds(20));
        EXPECT_EQ(answer->end, BodyEnd::kComplete);
        EXPECT_GT(answer->body.size(), kBytes);
    }
}

TEST_F(Slowness, ASenderThatStopsHoldsUpOnlyItself) {
    std::string request = sized(100'000);
    Result<RawClient> in_the_head = RawClient::connect(fleet_.port());
    Result<RawClient> in_the_body = RawClient::connect(fleet_.port());
    ASSERT_TRUE(in_the_head && in_the_body);
    ASSERT_TRUE(in_the_head->send(request.substr(0, 30)));
    ASSERT_TRUE(in_the_body->send(request.substr(0, 50'000)));
    expect_others_are_served();
    for (auto& [client, from] :
         {std::pair{&*in_the_head, std::size_t{30}}, std::pair{&*in_the_body, std::size_t{50'000}}
         }) {
        Result<RawResponse> answer = client->exchange(request.substr(from));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
    }
    EXPECT_TRUE(provider_.requests().back().body == body_of(100'000));
}

}  // namespace
}  // namespace balancer::tests
