// The fleet behind the load balancers of deploy/, as clients see it: real HAProxy and nginx, real data planes.
#include <gtest/gtest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <future>
#include <set>

#include "tests/scenario/load_balancer.hpp"
#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;
using std::chrono::seconds;

constexpr seconds kLong{60};

class BehindLoadBalancer : public testing::TestWithParam<Product> {
  protected:
    static std::string yaml(const FakeProvider& provider) {
        ConfigText text{{{"alpha", provider.base_url()}}};
        // No failure is to bench the only provider.
        text.settings = "  ping_interval: 0.2\n  unhealthy_threshold: 1000\n  trusted_proxies: [127.0.0.1]\n";
        return to_yaml(text);
    }

    RawClient begin(const std::string& request) const {
        Result<RawClient> client = RawClient::connect(balancer_.port());
        EXPECT_TRUE(client);
        EXPECT_TRUE(client->send(request, kLong));
        return *std::move(client);
    }
    RawResponse ask(const std::string& request) const {
        Result<RawResponse> answer = begin(request).read_response(kLong);
        EXPECT_TRUE(answer) << answer.error().text();
        return answer ? *answer : RawResponse{};
    }
    RawResponse ask_in(const std::string& session) const { return ask(claude_code_request(in_session(session))); }

    // Good answers of each data plane.
    std::array<double, 2> served() const {
        std::array<double, 2> counts{};
        for (std::size_t i = 0; i < 2; ++i) {
            counts[i] = parse_metrics(fleet_.metrics(i)).sum("balancer_dp_requests_total", {{"outcome", "ok"}}).value_or(0);
        }
        return counts;
    }
    // The data plane that serves one more request of that session.
    std::size_t plane_of(const std::string& session) const {
        std::array<double, 2> before = served();
        EXPECT_EQ(ask_in(session).status, 200U);
        std::array<double, 2> after = before;
        EXPECT_TRUE(Fleet::eventually([&] {
            after = served();
            return after[0] + after[1] == before[0] + before[1] + 1;
        }));
        return after[0] > before[0] ? 0 : 1;
    }
    std::vector<std::string> sessions_of(std::size_t plane, std::size_t wanted) const {
        std::vector<std::string> sessions;
        for (int i = 0; sessions.size() < wanted && i < 100; ++i) {
            std::string session = fmt::format("session-{}", i);
            if (plane_of(session) == plane) sessions.push_back(session);
        }
        return sessions;
    }

    FakeProvider provider_;
    ProcessFleet fleet_{yaml(provider_), 2};
    LoadBalancer balancer_{GetParam(), fleet_};
};

std::string name_of(const testing::TestParamInfo<Product>& info) {
    return info.param == Product::kHaproxy ? "Haproxy" : "Nginx";
}
INSTANTIATE_TEST_SUITE_P(Deploy, BehindLoadBalancer, testing::Values(Product::kHaproxy, Product::kNginx), name_of);

TEST_P(BehindLoadBalancer, ASessionStaysWithOneDataPlaneAndBothAreUsed) {
    std::set<std::size_t> used_planes;
    for (int i = 0; i < 12; ++i) {
        std::string session = fmt::format("session-{}", i);
        std::size_t plane = plane_of(session);
        EXPECT_EQ(plane_of(session), plane) << session;
        EXPECT_EQ(plane_of(session), plane) << session;
        used_planes.insert(plane);
    }
    EXPECT_EQ(used_planes.size(), 2U);

    // Nobody says which session it is.
    std::array<double, 2> before = served();
    for (int i = 0; i < 30; ++i) EXPECT_EQ(ask(post_request("", small_body())).status, 200U);
    EXPECT_TRUE(Fleet::eventually([&] { return served()[0] > before[0] && served()[1] > before[1]; }));
}

TEST_P(BehindLoadBalancer, AStreamPassesEventByEventAndEndsWithItsClient) {
    provider_.set_script(script_of({break_step(How::kHang, After::kEvents, 5)}));
    RawClient client = begin(claude_code_request(in_session("one", true)));
    Result<RawResponse> head = client.read_head();
    ASSERT_TRUE(head);
    // The provider has not ended its answer, and is not going to: what had been kept back would never come.
    std::string names;
    for (int i = 0; i < 5; ++i) {
        Result<SseEvent> event = client.read_event(*head);
        ASSERT_TRUE(event) << names;
        names += event->name + " ";
    }
    EXPECT_EQ(names, "message_start ping content_block_start content_block_delta content_block_delta ");
    Result<SseEvent> ping = client.read_event(*head);
    ASSERT_TRUE(ping);
    EXPECT_EQ(ping->name, "ping");
    client.close();
    EXPECT_TRUE(provider_.wait_for_abandoned(1, kLong));

    // The same before the answer has begun.
    provider_.set_script(script_of({break_step(How::kHang, After::kHeadBytes, 0)}));
    RawClient impatient = begin(claude_code_request(in_session("one")));
    ASSERT_TRUE(provider_.wait_for_requests(2, kLong));
    impatient.close();
    EXPECT_TRUE(provider_.wait_for_abandoned(2, kLong));
}

TEST_P(BehindLoadBalancer, WhatAClientSaysOfWhereItComesFromCountsOnlyBehindATrustedPeer) {
    std::string forged = post_request(
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil.example\r\n"
        "X-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n",
        small_body()
    );
    // Who it is to the data plane; the provider is told of nobody.
    auto client_of = [&](const LoadBalancer& balancer) {
        provider_.clear_requests();
        RawResponse answer = exchange_raw(balancer.port(), forged);
        EXPECT_EQ(answer.status, 200U);
        const RecordedRequest sent = provider_.requests().back();
        for (const auto& [name, value] : sent.headers) {
            for (const char* told : {"203.0.113.9", "127.0.0.1, ", "gopher", "evil.example"}) {
                EXPECT_EQ(value.find(told), std::string::npos) << name << ": " << value;
            }
        }
        std::string said;
        EXPECT_EQ(fleet_.ctl({"-o", "json", "explain", answer.header("x-balancer-request-id")}, said), 0) << said;
        return nlohmann::json::parse(said, nullptr, false)["records"][0].value("remote", "");
    };
    EXPECT_EQ(client_of(balancer_), "127.0.0.1");
    LoadBalancer trusting(GetParam(), fleet_, "127.0.0.1");
    EXPECT_EQ(client_of(trusting), "203.0.113.9");
}

// Its requests are as large as Claude Code's in a long conversation, and are at the provider when their data plane dies. None is
// a stream: one that has had its first ping has begun.
TEST_P(BehindLoadBalancer, AKilledDataPlaneCostsNoRequestWhoseAnswerHadNotBegun) {
    std::vector<std::string> sessions = sessions_of(0, 4);
    ASSERT_EQ(sessions.size(), 4U);
    provider_.clear_requests();
    Step never;
    never.delay = seconds(300);
    provider_.set_script(script_of({never}));
    std::vector<std::future<RawResponse>> answers;
    for (const std::string& session : sessions) {
        ClaudeCodeRequest request = in_session(session);
        request.prompt = session;  // or they would be identical, and share one call
        request.body_bytes = 900'000;
        answers.push_back(std::async(std::launch::async, [&, request] { return ask(claude_code_request(request)); }));
    }
    ASSERT_TRUE(provider_.wait_for_requests(4, kLong));
    provider_.set_script({});
    fleet_.kill_data_plane(0);
    for (auto& answer : answers) {
        RawResponse response = answer.get();
        EXPECT_EQ(response.status, 200U) << response.body;
        EXPECT_EQ(response.end, BodyEnd::kComplete);
    }
    EXPECT_EQ(provider_.request_count(), 8U);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(ask_in(fmt::format("session-{}", i)).status, 200U);
}

TEST_P(BehindLoadBalancer, ADrainingDataPlaneEndsItsStreamAndGetsNothingNew) {
    std::vector<std::string> sessions = sessions_of(0, 2);
    ASSERT_EQ(sessions.size(), 2U);
    Step slow;
    slow.message.text = "one two three four five six seven eight nine ten";
    slow.message.event_gap = milliseconds(300);
    Rule streams;
    streams.match.stream = true;
    streams.steps = {slow};
    provider_.set_script({{streams}});
    RawClient client = begin(claude_code_request(in_session(sessions[0], true)));
    Result<RawResponse> stream = client.read_head();
    ASSERT_TRUE(stream);
    ASSERT_TRUE(client.read_event(*stream));

    double before = served()[1];
    fleet_.signal_data_plane(0, SIGTERM);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(ask_in(sessions[1]).status, 200U);
    EXPECT_TRUE(Fleet::eventually([&] { return served()[1] == before + 10; }));
    client.read_body(*stream, kLong);
    EXPECT_EQ(stream->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(stream->body).ends_with("message_stop")) << event_names(stream->body);
}

// HAProxy's alone: nginx has no active checks.
TEST(BehindHaproxy, ADataPlaneThatSaysItIsNotReadyIsAskedNothing) {
    FakeProvider provider;
    ProcessFleet fleet(to_yaml({{{"alpha", provider.base_url()}}}), 2);
    // Started anew without its disk and without a control plane it listens, and has nothing to serve.
    fleet.kill_control_plane();
    fleet.kill_data_plane(1);
    for (const char* file : {"last-known-good.1", "last-known-good.2"}) {
        std::filesystem::remove(fleet.folder() / "dp2" / file);
    }
    fleet.start_data_plane(1);
    ASSERT_EQ(fleet.ask(unstreamed(), 1).status, 503U);
    LoadBalancer haproxy(Product::kHaproxy, fleet);
    ASSERT_TRUE(Fleet::eventually([&] { return !haproxy.sees_up(1); }));
    EXPECT_TRUE(haproxy.sees_up(0));
    for (int i = 0; i < 20; ++i) {
        ClaudeCodeRequest request = in_session(fmt::format("session-{}", i));
        EXPECT_EQ(exchange_raw(haproxy.port(), claude_code_request(request)).status, 200U);
    }
}

}  // namespace
}  // namespace balancer::tests
