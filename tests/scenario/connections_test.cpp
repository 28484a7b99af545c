// The client's connection: expectations, old versions, keep-alive, pipelines.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

class Connections : public testing::Test {
  protected:
    // The request that the provider saw last.
    RecordedRequest last() const {
        std::vector<RecordedRequest> seen = provider_.requests();
        if (!seen.empty()) return seen.back();
        ADD_FAILURE() << "nothing was forwarded";
        return {};
    }

    RawResponse send(std::string_view bytes) const { return exchange_raw(fleet_.port(), bytes); }

    FakeProvider provider_;
    Fleet fleet_{to_yaml({{{"main", provider_.base_url()}}})};
};

TEST_F(Connections, AsksForTheBodyThatIsAnnouncedByExpect) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    std::string request = post_request("Expect: 100-continue\r\n", small_body());
    std::size_t head = *head_size(request);
    ASSERT_TRUE(client->send(request.substr(0, head)));
    Result<RawResponse> interim = client->read_head();
    ASSERT_TRUE(interim);
    EXPECT_EQ(interim->status, 100u);
    EXPECT_EQ(provider_.connection_count(), 0u);
    ASSERT_TRUE(client->send(request.substr(head)));
    Result<RawResponse> answer = client->read_response();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200u);
    EXPECT_FALSE(last().has_header("expect"));
    EXPECT_EQ(last().body, small_body());

    // A client that does not wait gets no interim answer, or one; and the connection goes on either
    // way.
    Result<RawResponse> second = client->exchange(request);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->status, 200u);
}

TEST_F(Connections, ServesHttp10) {
    std::string body = small_body();
    std::string head = fmt::format(
        "POST /v1/messages HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.size()
    );
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    Result<RawResponse> answer = client->exchange(head + "\r\n" + body);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200u);
    EXPECT_TRUE(client->wait_for_close(std::chrono::milliseconds(2000)));
    EXPECT_EQ(last().version, "HTTP/1.1");

    std::string stream_body = R"({"model":"m","stream":true})";
    RawResponse streamed_answer = send(fmt::format(
        "POST /v1/messages HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n{}",
        stream_body.size(),
        stream_body
    ));
    EXPECT_EQ(streamed_answer.end, BodyEnd::kComplete);
    EXPECT_EQ(streamed_answer.header("transfer-encoding"), "");
    EXPECT_TRUE(event_names(streamed_answer.body).ends_with("message_stop"));

    Result<RawClient> kept_alive = RawClient::connect(fleet_.port());
    ASSERT_TRUE(kept_alive);
    for (int i = 0; i < 2; ++i) {
        Result<RawResponse> one =
            kept_alive->exchange(head + "Connection: keep-alive\r\n\r\n" + body);
        ASSERT_TRUE(one) << i;
        EXPECT_EQ(one->status, 200u);
    }
}

TEST_F(Connections, ProbesAreAnsweredHere) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    for (const char* path : {"/", "/api/hello"}) {
        Result<RawResponse> answer =
            client->exchange(fmt::format("HEAD {} HTTP/1.1\r\nHost: h\r\n\r\n", path));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200u);
        EXPECT_TRUE(answer->body.empty());
        EXPECT_FALSE(answer->header("x-balancer-request-id").empty());
    }
    EXPECT_EQ(provider_.connection_count(), 0u);
    // On the same connection: a probe's answer has left no bytes behind.
    Result<RawResponse> answer = client->exchange(claude_code_request(unstreamed()));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200u);
}

TEST_F(Connections, OneConnectionCarriesRequestsOfEveryKind) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    for (const std::string& request :
         {claude_code_request(streamed()),
          post_request("", "not JSON"),
          claude_code_request(unstreamed()),
          chunked_request("", small_body(), 3),
          std::string("GET /health HTTP/1.1\r\nHost: h\r\n\r\n"),
          std::string("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"),
          std::string("\r\n") + claude_code_request(streamed())}) {
        Result<RawResponse> answer = client->exchange(request);
        ASSERT_TRUE(answer) << request.substr(0, 100);
        EXPECT_EQ(answer->end, BodyEnd::kComplete);
        EXPECT_EQ(answer->header("connection"), "keep-alive");
    }
    EXPECT_EQ(provider_.request_count(), 4u);
    ASSERT_TRUE(client->send("GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    Result<RawResponse> end = client->read_response();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->header("connection"), "close");
    EXPECT_TRUE(client->wait_for_close(std::chrono::milliseconds(2000)));
}

TEST_F(Connections, PipelinedRequestsAreAnsweredInTheirOrder) {
    std::string all;
    for (int i = 0; i < 5; ++i) {
        std::string body = small_body(fmt::format("model-{}", i));
        all += i % 2 == 0 ? post_request("", body) : chunked_request("", body, 5);
    }
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(all));
    for (int i = 0; i < 5; ++i) {
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << i;
        EXPECT_NE(answer->body.find(fmt::format("\"model\":\"model-{}\"", i)), std::string::npos)
            << answer->body;
    }
    EXPECT_EQ(provider_.request_count(), 5u);
}

TEST(Pipelining, WhatFollowsAChunkedBodyDoesNotDisturbItsHead) {
    // A second request of more than the input buffer lies behind the first, which needs its head
    // again for the failover.
    FakeProvider bad(script_of({status_step(500)}));
    FakeProvider good;
    Fleet fleet(
        to_yaml(
            {{{"bad", bad.base_url()}, {"good", good.base_url()}},
             {},
             "  unhealthy_threshold: 1000\n"}
        ),
        {1, 1}
    );
    std::string first_body = numbered_body(30'000);
    std::string second_body = numbered_body(60'000);
    std::string lines = "X-Mark: first request's own mark\r\nX-Claude-Code-Session-Id: one\r\n";
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(
        client->send(chunked_request(lines, first_body, 1000) + post_request("", second_body))
    );
    for (int i = 0; i < 2; ++i) {
        Result<RawResponse> answer = client->read_response();
        ASSERT_TRUE(answer) << i;
        EXPECT_EQ(answer->status, 200u) << answer->body;
        nlohmann::json record = access_record(fleet, answer->header("x-balancer-request-id"));
        EXPECT_EQ(record.value("path", ""), "/v1/messages");
    }
    ASSERT_EQ(good.request_count(), 2u);
    RecordedRequest first = good.requests().front();
    EXPECT_EQ(first.header("x-mark"), "first request's own mark");
    EXPECT_EQ(first.target, "/v1/messages");
    EXPECT_TRUE(first.body == first_body);
    EXPECT_TRUE(good.requests().back().body == second_body);
}

}  // namespace
}  // namespace balancer::tests
