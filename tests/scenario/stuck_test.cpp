// Data planes that are slow, stuck or many: the others are served all the while.
#include <fmt/format.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/scenario/data_plane_process.hpp"
#include "tests/scenario/stress_fixture.hpp"
#include "tests/support/tcp_relay.hpp"

namespace balancer::tests {
namespace {

// Connections of the control plane's gRPC port that are open on its side.
std::size_t open_connections(std::uint16_t port) {
    // Of either family: gRPC listens on the mapped address.
    std::string local = fmt::format("0100007F:{:04X}", port);
    std::size_t count = 0;
    for (const char* table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
        std::ifstream file(table);
        for (std::string line; std::getline(file, line);) {
            std::istringstream words(line);
            std::string number;
            std::string from;
            std::string to;
            std::string state;
            words >> number >> from >> to >> state;
            count += from.ends_with(local) && state == "01" ? 1 : 0;
        }
    }
    return count;
}

// Never acknowledging, never reading, never speaking: each is left within its time, and costs the
// others nothing until then.
TEST_F(Stress, WhoNeverAnswersIsLeftAndDelaysNobody) {
    RoguePlane mute = rogue("mute");  // reads, and says nothing but Hello
    ASSERT_TRUE(mute.hello());
    ASSERT_TRUE(mute.read_update());
    RoguePlane deaf = rogue("deaf");  // does not even read
    ASSERT_TRUE(deaf.hello());
    RoguePlane shy = rogue("shy");  // opens a stream and says no Hello
    std::vector<RawClient> silent;
    for (int i = 0; i < 20; ++i) {
        Result<RawClient> client = RawClient::connect(grpc_port());
        ASSERT_TRUE(client);
        silent.push_back(*std::move(client));
    }
    ASSERT_TRUE(Fleet::eventually([&] {
        return view("mute").connected() && view("deaf").connected();
    }));
    EXPECT_FALSE(view("mute").in_sync());
    changes_are_prompt_for(std::chrono::seconds(11));
    ASSERT_TRUE(Fleet::eventually([&] {
        return !view("mute").connected() && !view("deaf").connected();
    }));
    EXPECT_NE(view("mute").gone_reason().find("no acknowledgement"), std::string::npos);
    EXPECT_NE(view("deaf").gone_reason().find("no acknowledgement"), std::string::npos);
    std::optional<v1::SyncResponse> goaway = mute.read(v1::SyncResponse::kGoaway);
    ASSERT_TRUE(goaway);
    EXPECT_EQ(goaway->goaway().reason(), v1::Goaway::OVERLOADED);
    // A connection that never becomes HTTP/2 does not keep its descriptor.
    for (RawClient& client : silent) EXPECT_TRUE(client.wait_for_close());
    EXPECT_TRUE(shy.wait_for_end().ok());
}

TEST_F(Stress, AStoppedProcessIsLeftAndComesBackWhenItIsWoken) {
    auto child = start_data_plane_process(fleet_, "stopped", grpc_address());
    ASSERT_TRUE(Fleet::eventually([&] { return view("stopped").in_sync(); }));
    std::size_t connections = open_connections(grpc_port());
    ASSERT_GE(connections, 3U);
    child->signal(SIGSTOP);
    changes_are_prompt_for(std::chrono::seconds(12));
    ASSERT_TRUE(Fleet::eventually([&] { return !view("stopped").connected(); }));
    EXPECT_NE(view("stopped").gone_reason(), "");
    // HTTP/2 keepalive ends what neither Finish nor TryCancel can.
    ASSERT_TRUE(Fleet::eventually([&] { return open_connections(grpc_port()) < connections; }));
    child->signal(SIGCONT);
    EXPECT_TRUE(Fleet::eventually([&] { return view("stopped").in_sync(); }));
}

// Each kernel holds its end, and nothing passes any more: both programs see it by what they do not
// hear.
TEST_F(Stress, AHalfOpenConnectionIsLeftByBothAndReplaced) {
    TcpRelay relay(grpc_port());
    auto child = start_data_plane_process(fleet_, "far", relay.address());
    ASSERT_TRUE(Fleet::eventually([&] { return view("far").in_sync(); }));
    UnixMs first = view("far").connected_at_ms();
    relay.freeze();
    changes_are_prompt_for(std::chrono::seconds(14));
    ASSERT_TRUE(Fleet::eventually([&] {
        v1::DataPlaneView far = view("far");
        return far.in_sync() && far.connected_at_ms() > first;
    }));
    EXPECT_TRUE(child->running());
    change_is_prompt();
}

TEST_F(Stress, NeitherADeafNorAStoppedDataPlaneKeepsTheControlPlaneFromStopping) {
    auto deaf = std::make_unique<RoguePlane>(grpc_address(), fleet_.data_plane_token(), "deaf");
    ASSERT_TRUE(deaf->hello());
    auto child = start_data_plane_process(fleet_, "stopped", grpc_address());
    ASSERT_TRUE(Fleet::eventually([&] {
        return view("deaf").connected() && view("stopped").in_sync();
    }));
    child->signal(SIGSTOP);
    change_is_prompt();
    SteadyTime begin = steady_now();
    fleet_.stop_control_plane();
    EXPECT_LT(elapsed_ms(begin, steady_now()), 20'000) << "keepalive ends it at the latest";
}

TEST_F(Stress, TwoHundredThatComeBackAtOnceDelayNobody) {
    Crowd crowd(grpc_address(), fleet_.data_plane_token(), 200);
    for (int wave = 0; wave < 3; ++wave) {
        if (wave > 0) crowd.reconnect();
        SteadyTime limit = steady_now() + std::chrono::seconds(30);
        std::uint64_t seq = change();
        while (crowd.at_least(seq) < crowd.size() && steady_now() < limit) {
            change_is_prompt();
            if (HasFailure()) return;
        }
        EXPECT_EQ(crowd.at_least(seq), crowd.size()) << "wave " << wave;
    }
    v1::GetStatusResponse status = admin(&v1::Admin::Stub::GetStatus, v1::GetStatusRequest());
    EXPECT_EQ(status.data_planes_connected(), 201U);
}

}  // namespace
}  // namespace balancer::tests
