// Data planes that are slow, stuck, lying or many: the others are served all the while.
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "balancer/v1/admin.grpc.pb.h"
#include "base/file.hpp"
#include "cli/run.hpp"
#include "dataplane/control/channel.hpp"
#include "tests/scenario/fleet.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/rogue_plane.hpp"
#include "tests/support/child_process.hpp"

namespace balancer::tests {
namespace {

namespace fs = std::filesystem;

// The promise is a second; twice that is for a machine that builds something meanwhile.
constexpr std::int64_t kPromptMs = 2'000;

class Stress : public testing::Test {
  protected:
    Stress() : fleet_(yaml(), {1, 1}) {
        admin_ = v1::Admin::NewStub(grpc::CreateChannel(
            fleet_.control_plane_addresses().grpc, grpc::InsecureChannelCredentials()
        ));
    }

    // With routes enough that an update does not fit into a flow-control window.
    std::string yaml() const {
        std::string routes = "  \"*\":\n    - {provider: a, model: passthrough, priority: 1}\n";
        for (int i = 0; i < 2'000; ++i) {
            routes += fmt::format(
                "  model-number-{}:\n    - {{provider: a, model: passthrough, priority: 1}}\n", i
            );
        }
        ConfigText config{{{"a", a_.base_url()}, {"spare", "http://127.0.0.1:1"}}, routes, {}, "INFO"};
        return to_yaml(config);
    }

    std::string grpc_address() const { return fleet_.control_plane_addresses().grpc; }

    RoguePlane rogue(const std::string& id) const {
        return RoguePlane(grpc_address(), fleet_.data_plane_token(), id);
    }

    template <class Request, class Response>
    Response admin(
        grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
        const Request& request
    ) {
        grpc::ClientContext context;
        dataplane::set_token(context, fleet_.admin_token());
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
        Response response;
        grpc::Status status = (admin_.get()->*method)(&context, request, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
        return response;
    }

    // Publishes a changed configuration; its seq.
    std::uint64_t change() {
        v1::SetProviderEnabledRequest request;
        request.set_name("spare");
        request.set_enabled(spare_enabled_ = !spare_enabled_);
        return admin(&v1::Admin::Stub::SetProviderEnabled, request).version().seq();
    }

    std::uint64_t good_seq() const {
        return static_cast<std::uint64_t>(
            read_metrics(fleet_).sum("balancer_dp_snapshot_seq").value_or(0)
        );
    }

    // One change, and that the good data plane has it promptly, and that the loop answers promptly.
    void change_is_prompt() {
        SteadyTime begin = steady_now();
        std::uint64_t seq = change();
        EXPECT_LT(elapsed_ms(begin, steady_now()), kPromptMs) << "the loop was blocked";
        ASSERT_TRUE(Fleet::eventually([&] { return good_seq() >= seq; }));
        EXPECT_LT(elapsed_ms(begin, steady_now()), kPromptMs) << "the good data plane had to wait";
    }

    void changes_are_prompt_for(std::chrono::seconds time) {
        SteadyTime until = steady_now() + time;
        while (steady_now() < until && !HasFailure()) {
            change_is_prompt();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    }

    v1::DataPlaneView view(const std::string& id) {
        v1::ListDataPlanesResponse all =
            admin(&v1::Admin::Stub::ListDataPlanes, v1::ListDataPlanesRequest());
        for (const v1::DataPlaneView& each : all.data_planes()) {
            if (each.dp_id() == id) return each;
        }
        return {};
    }

    std::size_t lines_of_log() const {
        std::ifstream file(fleet_.control_plane_dir() / "log.jsonl");
        return static_cast<std::size_t>(
            std::count(std::istreambuf_iterator<char>(file), {}, '\n')
        );
    }

    int ctl(std::vector<std::string> words) {
        std::string token_file = (fleet_.control_plane_dir() / "admin.token").string();
        words.insert(
            words.begin(),
            {"balancerctl", "--server", grpc_address(), "--token-file", token_file}
        );
        std::vector<const char*> argv;
        for (const std::string& word : words) argv.push_back(word.c_str());
        std::ostringstream out;
        std::ostringstream err;
        int code = cli::run(static_cast<int>(argv.size()), argv.data(), out, err);
        said_ = out.str() + err.str();
        return code;
    }

    // Connections of the control plane's gRPC port that are open on its side.
    std::size_t open_connections() const {
        std::string address = grpc_address();
        int port = std::stoi(address.substr(address.rfind(':') + 1));
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

    FakeProvider a_;
    Fleet fleet_;
    std::unique_ptr<v1::Admin::Stub> admin_;
    bool spare_enabled_ = true;
    std::string said_;
};

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
    std::uint16_t port = static_cast<std::uint16_t>(
        std::stoi(grpc_address().substr(grpc_address().rfind(':') + 1))
    );
    for (int i = 0; i < 20; ++i) {
        Result<RawClient> client = RawClient::connect(port);
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
    fs::path folder = fleet_.folder() / "stopped";
    fs::create_directories(folder);
    ChildProcess child(
        BALANCER_DATA_PLANE_PROGRAM,
        {"--control-plane",
         grpc_address(),
         "--token-file",
         (fleet_.control_plane_dir() / "dataplane.token").string(),
         "--state-dir",
         folder.string(),
         "--id",
         "stopped",
         "--workers",
         "1",
         "--listen",
         "127.0.0.1:0",
         "--admin",
         "127.0.0.1:0"},
        folder / "output"
    );
    ASSERT_TRUE(Fleet::eventually([&] { return view("stopped").in_sync(); }));
    std::size_t connections = open_connections();
    ASSERT_GE(connections, 3U);
    child.signal(SIGSTOP);
    changes_are_prompt_for(std::chrono::seconds(12));
    ASSERT_TRUE(Fleet::eventually([&] { return !view("stopped").connected(); }));
    EXPECT_NE(view("stopped").gone_reason(), "");
    // HTTP/2 keepalive ends what neither Finish nor TryCancel can.
    ASSERT_TRUE(Fleet::eventually([&] { return open_connections() < connections; }));
    child.signal(SIGCONT);
    EXPECT_TRUE(Fleet::eventually([&] { return view("stopped").in_sync(); }));
}

TEST_F(Stress, AStoppedProcessDoesNotKeepTheControlPlaneFromStopping) {
    auto stuck = std::make_unique<RoguePlane>(grpc_address(), fleet_.data_plane_token(), "deaf");
    ASSERT_TRUE(stuck->hello());
    ASSERT_TRUE(Fleet::eventually([&] { return view("deaf").connected(); }));
    SteadyTime begin = steady_now();
    fleet_.stop_control_plane();
    EXPECT_LT(elapsed_ms(begin, steady_now()), 10'000);
    stuck.reset();
}

TEST_F(Stress, ALoopOfRefusalsAndReconnectsFillsNoLog) {
    std::size_t before = lines_of_log();
    SteadyTime until = steady_now() + std::chrono::seconds(4);
    std::thread loop([&] {
        while (steady_now() < until) {
            RoguePlane liar = rogue("liar");
            // Digests that it does not hold: the update leaves out what it has not got.
            if (!liar.hello()) continue;
            for (int i = 0; i < 2; ++i) {
                std::optional<v1::Update> update = liar.read_update();
                if (!update) break;
                v1::SyncRequest refusal;
                refusal.mutable_nack()->set_nonce(update->nonce());
                *refusal.mutable_nack()->mutable_rejected() = update->version();
                refusal.mutable_nack()->set_code(v1::NACK_CODE_INVALID);
                v1::ResourceError& error = *refusal.mutable_nack()->add_errors();
                error.set_resource("section/config");
                error.set_message(std::string(100'000, 'x'));
                if (!liar.send(refusal) || i == 1) break;
            }
        }
    });
    std::uint64_t changes = 0;
    while (steady_now() < until && !HasFailure()) {
        change_is_prompt();
        ++changes;
    }
    loop.join();
    v1::DataPlaneView shown = view("liar");
    EXPECT_FALSE(shown.in_sync());
    EXPECT_GT(shown.last_nack_at_ms(), 0);
    EXPECT_LT(shown.last_nack().size(), 3'000U);
    // A change leaves two lines (the call, the version); what the liar does, a few in a second.
    std::size_t lines = lines_of_log() - before - 2 * changes;
    EXPECT_LT(lines, 150U);
    EXPECT_LT(fs::file_size(fleet_.control_plane_dir() / "log.jsonl"), 2U << 20);
}

TEST_F(Stress, LiesAreNotBelieved) {
    RoguePlane liar = rogue("liar");
    ASSERT_TRUE(liar.hello());
    std::optional<v1::Update> update = liar.read_update();
    ASSERT_TRUE(update);
    v1::SyncRequest heartbeat;
    *heartbeat.mutable_heartbeat()->mutable_applied() = update->version();
    heartbeat.mutable_heartbeat()->set_ready(true);
    ASSERT_TRUE(liar.send(heartbeat));
    heartbeat.mutable_heartbeat()->mutable_applied()->set_seq(~0ULL);
    heartbeat.mutable_heartbeat()->set_last_seen_head_seq(~0ULL);
    ASSERT_TRUE(liar.send(heartbeat));
    ASSERT_TRUE(Fleet::eventually([&] { return view("liar").ready(); }));
    EXPECT_FALSE(view("liar").in_sync()) << "it has acknowledged nothing";
    EXPECT_EQ(view("liar").applied().seq(), 0U);

    v1::SyncRequest ack;
    ack.mutable_ack()->set_nonce(update->nonce() + 77);
    *ack.mutable_ack()->mutable_applied() = update->version();
    ASSERT_TRUE(liar.send(ack));
    ack.mutable_ack()->set_nonce(update->nonce());
    ack.mutable_ack()->mutable_applied()->set_seq(update->version().seq() + 1);
    ASSERT_TRUE(liar.send(ack));
    EXPECT_TRUE(liar.read(v1::SyncResponse::kGoaway));
    ASSERT_TRUE(Fleet::eventually([&] { return !view("liar").connected(); }));
    EXPECT_NE(view("liar").gone_reason().find("was not sent"), std::string::npos);
    change_is_prompt();
}

TEST_F(Stress, AFloodIsCutOff) {
    RoguePlane flood = rogue("flood");
    ASSERT_TRUE(flood.hello());
    std::optional<v1::Update> update = flood.read_update();
    ASSERT_TRUE(update);
    ASSERT_TRUE(flood.acknowledge(*update));
    v1::SyncRequest answer;
    answer.mutable_ack()->set_nonce(1'000'000);
    int taken = 0;
    while (taken < 200'000 && flood.send(answer)) ++taken;
    EXPECT_LT(taken, 200'000);
    ASSERT_TRUE(Fleet::eventually([&] { return !view("flood").connected(); }));
    change_is_prompt();
}

TEST_F(Stress, WhatIsTooLongOrTooLargeIsCutOrRefused) {
    RoguePlane long_name = rogue(std::string(65, 'n'));
    long_name.hello();
    EXPECT_EQ(long_name.wait_for_end().error_code(), grpc::StatusCode::INVALID_ARGUMENT);

    RoguePlane huge = rogue("huge");
    huge.hello([](v1::Hello& hello) { hello.set_build(std::string(32 << 20, 'b')); });
    EXPECT_EQ(huge.wait_for_end().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(view("huge").dp_id(), "");

    RoguePlane wordy = rogue("wordy");
    ASSERT_TRUE(wordy.hello([](v1::Hello& hello) { hello.set_build(std::string(1 << 20, 'b')); }));
    std::optional<v1::Update> update = wordy.read_update();
    ASSERT_TRUE(update);
    v1::SyncRequest ack;
    ack.mutable_ack()->set_nonce(update->nonce());
    *ack.mutable_ack()->mutable_applied() = update->version();
    for (int i = 0; i < 10'000; ++i) {
        ack.mutable_ack()->add_quarantined()->set_resource(std::string(300, 'q'));
    }
    ASSERT_TRUE(wordy.send(ack));
    ASSERT_TRUE(Fleet::eventually([&] { return view("wordy").in_sync(); }));
    EXPECT_LT(view("wordy").ByteSizeLong(), 30'000U);
    change_is_prompt();
}

TEST_F(Stress, AbsurdReportsDoNotSpoilTheNumbers) {
    auto channel = dataplane::make_channel(grpc_address());
    auto stub = v1::DataPlane::NewStub(channel);
    grpc::ClientContext context;
    dataplane::set_token(context, fleet_.data_plane_token());
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    auto stream = stub->Report(&context);
    std::string etag;
    v1::ListProvidersResponse all =
        admin(&v1::Admin::Stub::ListProviders, v1::ListProvidersRequest());
    for (const v1::ProviderView& each : all.providers()) {
        if (each.provider().name() == "a") etag = each.provider().etag();
    }
    for (std::uint64_t number = 1; number <= 20; ++number) {
        v1::ReportRequest report;
        report.set_dp_id("boaster");
        report.set_instance_id("i-1");
        report.set_report_seq(number);
        v1::Counters& absurd = *report.add_counters();
        absurd.set_provider("a");
        absurd.set_attempts(~0ULL);
        absurd.set_successes(5);
        for (std::uint64_t i = 0; i < 200; ++i) {
            v1::Counters& invented = *report.add_counters();
            invented.set_provider(fmt::format("invented-{}-{}", number, i));
            (*invented.mutable_failures())[4'000'000'000U] = i;
        }
        v1::Signal& signal = *report.add_signals();
        signal.set_provider("a");
        signal.set_etag(etag);
        signal.set_failure(v1::FAILURE_CLASS_UPSTREAM_5XX);
        signal.set_at_ms(unix_now() + 86'400'000);
        signal.set_started_at_ms(unix_now() + 86'400'000);
        signal.set_detail(std::string(100'000, 'd'));
        ASSERT_TRUE(stream->Write(report));
        v1::ReportResponse response;
        ASSERT_TRUE(stream->Read(&response));
        EXPECT_EQ(response.acked_report_seq(), number);
    }
    context.TryCancel();
    v1::ReportResponse ignored;
    while (stream->Read(&ignored)) {
    }
    stream->Finish();
    v1::ListProvidersRequest request;
    request.set_name("a");
    v1::ListProvidersResponse shown = admin(&v1::Admin::Stub::ListProviders, request);
    ASSERT_EQ(shown.providers_size(), 1);
    EXPECT_LT(shown.providers(0).totals().attempts(), 1'000'000U);
    EXPECT_LT(shown.ByteSizeLong(), 100'000U);
    for (const v1::Signal& signal : shown.providers(0).recent_failures()) {
        EXPECT_LE(signal.at_ms(), unix_now());
    }
    change_is_prompt();
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

TEST_F(Stress, AQuarantinedProviderIsShownWithItsReason) {
    RoguePlane picky = rogue("picky");
    ASSERT_TRUE(picky.hello());
    std::optional<v1::Update> update = picky.read_update();
    ASSERT_TRUE(update);
    v1::SyncRequest ack;
    ack.mutable_ack()->set_nonce(update->nonce());
    *ack.mutable_ack()->mutable_applied() = update->version();
    v1::ResourceError& error = *ack.mutable_ack()->add_quarantined();
    error.set_resource("provider/spare");
    error.set_field_path("type");
    error.set_message("this build does not know it");
    ASSERT_TRUE(picky.send(ack));
    ASSERT_TRUE(Fleet::eventually([&] { return view("picky").in_sync(); }));
    for (std::vector<std::string> words :
         {std::vector<std::string>{"dataplanes", "list"}, {"dataplanes", "get", "picky"}}) {
        EXPECT_EQ(ctl(words), 0);
        EXPECT_NE(said_.find("provider/spare: type: this build does not know it"), std::string::npos)
            << said_;
    }
}

}  // namespace
}  // namespace balancer::tests
