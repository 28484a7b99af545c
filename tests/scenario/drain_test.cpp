// How a data plane's process ends, and how another takes its place: real processes, real signals.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.hpp"
#include "base/unique_fd.hpp"
#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kHello = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";

// A stream of `words` events, each after a while.
Script slow_stream(std::size_t words, milliseconds gap) {
    Step step;
    for (std::size_t i = 0; i < words; ++i) step.message.text += fmt::format("{} ", i);
    step.message.event_gap = gap;
    return script_of({step});
}

RawClient begin_stream(std::uint16_t port, const std::string& prompt) {
    Result<RawClient> client = RawClient::connect(port);
    EXPECT_TRUE(client);
    EXPECT_TRUE(client->send(claude_code_request(streamed(prompt))));
    return *std::move(client);
}

nlohmann::json data_plane(const ProcessFleet& fleet, const std::string& id) {
    std::string said;
    const bool known = fleet.ctl({"-o", "json", "dataplanes", "get", id}, said) == 0;
    return nlohmann::json::parse(known ? said : "{}");
}

RawResponse readyz(const ProcessFleet& fleet) {
    return exchange_raw(fleet.admin_port(0), "GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
}

bool connects(std::uint16_t port) { return RawClient::connect(port).has_value(); }

bool ended(ChildProcess& process) {
    return Fleet::eventually([&] { return !process.running(); });
}

class Drain : public testing::Test {
  protected:
    FakeProvider provider_;
    const std::string yaml_ = to_yaml({{{"main", provider_.base_url()}}, {}, {}, "INFO"});
};

TEST_F(Drain, IsUnreadyFirstAndServesOnForTheGraceThenWaitsForItsStreamsAndEndsWell) {
    provider_.set_script(slow_stream(80, milliseconds(200)));
    ProcessFleet fleet(yaml_, 1, {"--drain-grace=6", "--drain-deadline=60"});
    Result<RawClient> kept = RawClient::connect(fleet.port(0));
    ASSERT_TRUE(kept);
    kept->expect_no_body();
    EXPECT_NE(kept->exchange(kHello)->header("connection"), "close");
    RawClient stream = begin_stream(fleet.port(0), "before");
    Result<RawResponse> head = stream.read_head();
    ASSERT_TRUE(head);

    fleet.signal_data_plane(0, SIGTERM);
    ASSERT_TRUE(Fleet::eventually([&] { return readyz(fleet).status == 503U; }));
    EXPECT_EQ(readyz(fleet).body, "draining\n");
    EXPECT_NE(fleet.metrics(0).find("\nbalancer_dp_draining 1\n"), std::string::npos);
    // A load balancer has not noticed yet: whoever comes is served, and told to come back by another connection.
    Result<RawClient> late = RawClient::connect(fleet.port(0));
    ASSERT_TRUE(late);
    late->expect_no_body();
    Result<RawResponse> answer = late->exchange(kHello);
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 200U);
    EXPECT_EQ(answer->header("connection"), "close");
    answer = kept->exchange(kHello);
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->header("connection"), "close");
    EXPECT_TRUE(Fleet::eventually([&] { return data_plane(fleet, "dp1").value("draining", false); }));

    EXPECT_TRUE(Fleet::eventually([&] { return !connects(fleet.port(0)); })) << "the grace is over";
    EXPECT_TRUE(fleet.data_plane_process(0).running());
    stream.read_body(*head, seconds(60));
    EXPECT_EQ(head->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(head->body).ends_with("message_stop")) << event_names(head->body);
    ASSERT_TRUE(ended(fleet.data_plane_process(0)));
    EXPECT_EQ(fleet.data_plane_process(0).status(), 0);
    EXPECT_EQ(data_plane(fleet, "dp1").value("gone_reason", ""), "it has drained");
}

TEST_F(Drain, AnOperatorEndsADataPlaneByNameAndItEndsWell) {
    ProcessFleet fleet(yaml_, 2);
    std::string said;
    EXPECT_EQ(fleet.ctl({"dataplanes", "drain", "nobody"}, said), 1);
    EXPECT_NE(said.find("there are: dp1, dp2"), std::string::npos) << said;
    ASSERT_EQ(fleet.ctl({"dataplanes", "drain", "dp1", "--reason", "new disk", "--wait=30"}, said), 0) << said;
    EXPECT_NE(said.find("'dp1' drains, with 0 in flight"), std::string::npos) << said;
    EXPECT_NE(said.find("it has ended"), std::string::npos) << said;
    ASSERT_TRUE(ended(fleet.data_plane_process(0)));
    EXPECT_EQ(fleet.data_plane_process(0).status(), 0) << "Restart=on-failure lets it be";
    EXPECT_NE(read_file(fleet.folder() / "dp1.output")->find("an operator wants it: new disk"), std::string::npos);
    EXPECT_TRUE(fleet.ready(1));
    EXPECT_EQ(fleet.ctl({"dataplanes", "drain", "dp1"}, said), 1) << "it is gone";
}

TEST_F(Drain, WhatTakesLongerThanTheDeadlineEndsWithAnErrorThatSaysToSendItAgain) {
    provider_.set_script(slow_stream(600, milliseconds(200)));
    ProcessFleet fleet(yaml_, 1, {"--drain-grace=0", "--drain-deadline=1"});
    RawClient stream = begin_stream(fleet.port(0), "long");
    Result<RawResponse> head = stream.read_head();
    ASSERT_TRUE(head);
    ASSERT_TRUE(stream.read_event(*head));
    fleet.signal_data_plane(0, SIGTERM);
    stream.read_body(*head, seconds(30));
    EXPECT_TRUE(event_names(head->body).ends_with("error")) << event_names(head->body);
    EXPECT_NE(head->body.find("overloaded_error"), std::string::npos);
    ASSERT_TRUE(ended(fleet.data_plane_process(0)));
    EXPECT_EQ(fleet.data_plane_process(0).status(), 0);
}

TEST_F(Drain, AnUpgradeUnderTwoHundredStreamsCutsNoneAndTurnsNobodyAway) {
    constexpr std::size_t kStreams = 200;
    provider_.set_script(slow_stream(120, milliseconds(250)));
    ProcessFleet fleet(yaml_, 1, {"--drain-grace=0"});
    std::vector<RawClient> streams;
    for (std::size_t i = 0; i < kStreams; ++i) streams.push_back(begin_stream(fleet.port(0), fmt::format("stream {}", i)));
    ASSERT_TRUE(provider_.wait_for_requests(kStreams, seconds(30)));

    // All the while others come, and each is answered.
    std::atomic<std::size_t> answered{0};
    std::vector<std::string> turned_away;
    std::jthread crowd([&](const std::stop_token& enough) {
        while (!enough.stop_requested()) {
            Result<RawClient> client = RawClient::connect(fleet.port(0));
            if (client) client->expect_no_body();
            Result<RawResponse> answer = client ? client->exchange(kHello) : Result<RawResponse>(client.error());
            if (answer && answer->status == 200U) {
                ++answered;
            } else {
                turned_away.push_back(answer ? answer->start_line : answer.error().text());
            }
        }
    });
    std::unique_ptr<ChildProcess> older = fleet.upgrade_data_plane(0);
    EXPECT_TRUE(Fleet::eventually([&] { return data_plane(fleet, "dp1").value("draining_in_flight", 0U) == kStreams; }))
        << data_plane(fleet, "dp1").dump();
    EXPECT_TRUE(older->running());
    crowd.request_stop();
    crowd.join();
    EXPECT_GT(answered, 0U);
    EXPECT_TRUE(turned_away.empty()) << turned_away.size() << " of " << answered << ": " << turned_away.front();

    // The old listener is closed by now: whoever comes, comes to the new process.
    auto served_by_the_new = [&] { return parse_metrics(fleet.metrics(0)).sum("balancer_dp_connections_total").value_or(-1); };
    double before = served_by_the_new();
    for (int i = 0; i < 100; ++i) {
        Result<RawClient> client = RawClient::connect(fleet.port(0));
        ASSERT_TRUE(client) << client.error().text();
        client->expect_no_body();
        EXPECT_TRUE(client->exchange(kHello));
    }
    EXPECT_EQ(served_by_the_new() - before, 100);
    EXPECT_TRUE(fleet.ready(0)) << "to a load balancer nothing has happened";

    std::size_t whole = 0;
    for (RawClient& client : streams) {
        Result<RawResponse> answer = client.read_response(seconds(120));
        whole += answer && answer->end == BodyEnd::kComplete && event_names(answer->body).ends_with("message_stop") ? 1 : 0;
    }
    EXPECT_EQ(whole, kStreams);
    ASSERT_TRUE(ended(*older));
    EXPECT_EQ(older->status(), 0);
    EXPECT_TRUE(fleet.in_sync());
    std::string log = *read_file(fleet.folder() / "dp1.output");
    EXPECT_EQ(log.find("REPLACED"), std::string::npos) << log;
    EXPECT_EQ(log.find("cannot be kept"), std::string::npos) << "the folder was free for the new one";
}

TEST_F(Drain, ASuccessorThatDoesNotComeUpChangesNothing) {
    ProcessFleet fleet(yaml_, 1);
    const std::filesystem::path link = fleet.folder() / ProcessFleet::kProgramLink;
    std::filesystem::remove(link);
    std::filesystem::create_symlink("/bin/false", link);
    fleet.signal_data_plane(0, SIGUSR2);
    EXPECT_TRUE(Fleet::eventually([&] {
        return read_file(fleet.folder() / "dp1.output")->find("this process serves on") != std::string::npos;
    }));
    EXPECT_TRUE(fleet.ready(0));
    EXPECT_EQ(fleet.ask(unstreamed(), 0).status, 200U);
    EXPECT_TRUE(Fleet::eventually([&] { return !data_plane(fleet, "dp1").value("draining", true); }));
    // And the next one is welcome.
    std::filesystem::remove(link);
    std::filesystem::create_symlink(BALANCER_DATA_PLANE_PROGRAM, link);
    std::unique_ptr<ChildProcess> older = fleet.upgrade_data_plane(0);
    ASSERT_TRUE(ended(*older));
    EXPECT_EQ(fleet.ask(unstreamed(), 0).status, 200U);
}

// Both programs, as systemd starts units with Type=notify.
TEST_F(Drain, TheSupervisorHearsOfEachStep) {
    std::string pattern = (std::filesystem::temp_directory_path() / "balancer-notify-XXXXXX").string();
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    const std::filesystem::path path = folder / "socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    std::string heard;
    auto hears = [&](const std::string& words) {
        return Fleet::eventually([&] {
            char text[256];
            for (ssize_t size = 0; (size = ::recv(socket.get(), text, sizeof text, 0)) > 0;) {
                heard.append(text, static_cast<std::size_t>(size)) += '\n';
            }
            return heard.find(words) != std::string::npos;
        });
    };
    {
        ProcessFleet fleet(yaml_, 0);
        EXPECT_TRUE(hears("READY=1")) << "the control plane";
        heard.clear();
        fleet.add_data_plane();
        EXPECT_TRUE(hears("READY=1\nSTATUS=serving")) << heard;
        heard.clear();
        std::unique_ptr<ChildProcess> older = fleet.upgrade_data_plane(0);
        EXPECT_TRUE(hears(fmt::format("RELOADING=1\nMAINPID={}\nREADY=1\n", fleet.data_plane_process(0).pid()))) << heard;
        EXPECT_TRUE(ended(*older));
        heard.clear();
        fleet.stop_data_plane(0);
        EXPECT_TRUE(hears("STOPPING=1")) << heard;
        heard.clear();
        fleet.stop_control_plane();
        EXPECT_TRUE(hears("STOPPING=1")) << heard;
    }
    ::unsetenv("NOTIFY_SOCKET");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace balancer::tests
