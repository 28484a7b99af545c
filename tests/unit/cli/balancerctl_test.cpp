// balancerctl: status, providers, files, tokens, starts and stops.
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "balancer/v1/admin.grpc.pb.h"
#include "balancer/v1/data_plane.grpc.pb.h"
#include "base/file.hpp"
#include "tests/unit/cli/balancerctl_fixture.hpp"

namespace balancer::cli {
namespace {

using nlohmann::json;

TEST_F(BalancerctlTest, StatusIsZeroWhenAllIsWell) {
    start();
    EXPECT_EQ(ctl({"status"}), 0) << err_;
    EXPECT_TRUE(says("2 of 2 healthy")) << out_;
    EXPECT_TRUE(says("config.yaml"));
}

TEST_F(BalancerctlTest, StatusSpeaksJsonAndYaml) {
    start();
    ASSERT_EQ(ctl({"-o", "json", "status"}), 0);
    EXPECT_EQ(json::parse(out_)["providers_healthy"], 2);
    ASSERT_EQ(ctl({"status", "-o", "yaml"}), 0) << "global flags may come last";
    EXPECT_TRUE(says("providers_healthy: 2"));
}

TEST_F(BalancerctlTest, ListsProvidersAsATable) {
    start();
    ASSERT_EQ(ctl({"providers", "list"}), 0);
    EXPECT_EQ(out_.find("NAME "), 0U) << out_;
    EXPECT_TRUE(says("alpha"));
    EXPECT_TRUE(says("never"));
    ASSERT_EQ(ctl({"-o", "json", "providers", "list"}), 0);
    EXPECT_EQ(json::parse(out_)["providers"].size(), 3U);
}

TEST_F(BalancerctlTest, ShowsOneProviderWithItsRoutes) {
    start();
    ASSERT_EQ(ctl({"providers", "get", "beta"}), 0);
    EXPECT_TRUE(says("https://beta.example.com"));
    EXPECT_TRUE(says("*sonnet*"));
    EXPECT_TRUE(says("takes          images, documents, tools, parallel_tools, thinking, ")) << out_;
    EXPECT_TRUE(says("does not take  -")) << out_;
    EXPECT_TRUE(says("beta headers   all")) << out_;
    EXPECT_EQ(ctl({"providers", "get", "delta"}), 1);
    EXPECT_TRUE(says("alpha, beta, gamma")) << err_;
}

TEST_F(BalancerctlTest, DisablesAndEnablesAProvider) {
    start();
    ASSERT_EQ(ctl({"providers", "disable", "alpha", "--reason", "late invoice"}), 0) << err_;
    ASSERT_EQ(ctl({"-o", "json", "providers", "get", "alpha"}), 0);
    EXPECT_EQ(json::parse(out_)["provider"]["enabled"], false);
    EXPECT_EQ(json::parse(out_)["enabled_in_file"], true);
    EXPECT_EQ(ctl({"status"}), 0);
    EXPECT_TRUE(says("late invoice"));
    EXPECT_EQ(ctl({"providers", "disable", "beta"}), 1);
    EXPECT_TRUE(says("last enabled")) << err_;
    EXPECT_EQ(ctl({"providers", "enable", "alpha"}), 0);
    EXPECT_EQ(ctl({"providers", "reset", "alpha"}), 0);
}

TEST_F(BalancerctlTest, AnEmptyNameIsNotEverybody) {
    start();
    EXPECT_EQ(ctl({"providers", "get", ""}), 2);
    EXPECT_EQ(out_, "");
}

TEST_F(BalancerctlTest, AnAnswerThatCannotBeWrittenIsAFailure) {
    start();
    std::vector<const char*> argv{
        "balancerctl", "--server", addresses_.grpc.c_str(), "--token-file", token_file_.c_str(), "status"
    };
    std::ofstream full("/dev/full");
    std::ostringstream err;
    EXPECT_EQ(run(static_cast<int>(argv.size()), argv.data(), full, err), 1);
    EXPECT_NE(err.str().find("cannot be written"), std::string::npos);
}

TEST_F(BalancerctlTest, AChangeOfTheFileDuringTheStartIsNotMissed) {
    // Hidden behind the start's own work before: the file was watched long after it was read.
    for (int round = 0; round < 3; ++round) {
        dir_.write("config.yaml", config_yaml());
        server_ = std::make_unique<Server>(log_, options());
        std::atomic<bool> over = false;
        std::thread editor([&] {
            std::filesystem::path lock = dir_.path() / "state";
            while (!std::filesystem::exists(lock) && !over) std::this_thread::yield();
            dir_.write("config.yaml", "# edited\n" + config_yaml());
        });
        auto started = server_->start();
        over = true;
        editor.join();
        ASSERT_EQ(std::get_if<StartFailure>(&started), nullptr);
        addresses_ = std::get<Addresses>(started);
        token_file_ = (dir_.path() / "state" / "admin.token").string();
        std::string wanted = to_hex(sha256(*read_file(dir_.path() / "config.yaml")));
        bool seen = false;
        for (int i = 0; i < 100 && !seen; ++i) {
            ctl({"-o", "json", "status"});
            seen = says(wanted);
            if (!seen) std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        EXPECT_TRUE(seen);
        server_.reset();
        std::filesystem::remove_all(dir_.path() / "state");
    }
}

TEST_F(BalancerctlTest, ValidatesAFileWithoutUsingIt) {
    start();
    std::string good = dir_.write("good.yaml", config_yaml()).string();
    EXPECT_EQ(ctl({"config", "validate", good}), 0) << err_;
    std::string bad =
        dir_.write("bad.yaml", replaced(config_yaml(), "auth_type", "auth_typ")).string();
    EXPECT_EQ(ctl({"config", "validate", bad}), 1);
    EXPECT_TRUE(says(bad + ":5:5: ")) << err_;
    EXPECT_TRUE(says("did you mean 'auth_type'?"));
    EXPECT_EQ(ctl({"config", "validate"}), 0) << "the control plane's own";
    EXPECT_EQ(ctl({"config", "validate", "/nonexistent.yaml"}), 1);
    EXPECT_TRUE(says("/nonexistent.yaml"));
}

TEST_F(BalancerctlTest, ReloadsAndSaysWhatCameOfIt) {
    start();
    ASSERT_EQ(ctl({"config", "reload"}), 0);
    EXPECT_TRUE(says("already")) << out_;
    dir_.write("config.yaml", "providers: 3\n");
    EXPECT_EQ(ctl({"config", "reload"}), 1);
    EXPECT_TRUE(says("config.yaml:1:")) << err_;
    EXPECT_TRUE(says("stays in force"));
    EXPECT_EQ(ctl({"status"}), 0) << "what is in force still works";
    EXPECT_TRUE(says("last reload refused"));
}

TEST_F(BalancerctlTest, ShowsTheConfigurationMasked) {
    start();
    ASSERT_EQ(ctl({"config", "show"}), 0);
    EXPECT_TRUE(says("[redacted]")) << out_;
    EXPECT_TRUE(says("name: alpha"));
    ASSERT_EQ(ctl({"-o", "json", "config", "show"}), 0);
    EXPECT_EQ(json::parse(out_)["config"]["providers"][1]["proxy_url"], "[redacted]");
}

TEST_F(BalancerctlTest, SecretsAreMaskedBeforeTheyLeaveTheControlPlane) {
    start();
    auto stub =
        v1::Admin::NewStub(grpc::CreateChannel(addresses_.grpc, grpc::InsecureChannelCredentials())
        );
    std::string bearer = "Bearer " + *read_secret_file(token_file_);
    auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
    grpc::ClientContext show_context;
    show_context.AddMetadata("authorization", bearer);
    show_context.set_deadline(deadline);
    v1::ShowConfigResponse config;
    ASSERT_TRUE(stub->ShowConfig(&show_context, v1::ShowConfigRequest(), &config).ok());
    EXPECT_EQ(config.SerializeAsString().find("canary"), std::string::npos);
    EXPECT_EQ(config.config().providers(0).headers(0).value(), "[redacted]");
    grpc::ClientContext list_context;
    list_context.AddMetadata("authorization", bearer);
    list_context.set_deadline(deadline);
    v1::ListProvidersResponse providers;
    ASSERT_TRUE(stub->ListProviders(&list_context, v1::ListProvidersRequest(), &providers).ok());
    EXPECT_EQ(providers.SerializeAsString().find("canary"), std::string::npos);
    EXPECT_EQ(providers.providers(1).provider().proxy_url(), "[redacted]");
}

TEST_F(BalancerctlTest, SaysHowToStartADataPlaneWhenThereIsNone) {
    start();
    EXPECT_EQ(ctl({"dataplanes", "list"}), 0);
    EXPECT_TRUE(says("balancer-dataplane --control-plane " + addresses_.grpc)) << out_;
}

TEST_F(BalancerctlTest, AWrongTokenIsNotAllowedIn) {
    start();
    std::string real = token_file_;
    token_file_ = dir_.write("wrong.token", "wrong\n").string();
    ASSERT_EQ(::chmod(token_file_.c_str(), 0600), 0);
    EXPECT_EQ(ctl({"status"}), 3);
    EXPECT_TRUE(says("does not accept the token")) << err_;
    EXPECT_EQ(ctl({"providers", "disable", "alpha"}), 3);
    token_file_ = (dir_.path() / "state" / "dataplane.token").string();
    EXPECT_EQ(ctl({"status"}), 3) << "a data plane's token is not an operator's";
    token_file_ = real;
    ASSERT_EQ(ctl({"-o", "json", "providers", "get", "alpha"}), 0);
    EXPECT_EQ(json::parse(out_)["provider"]["enabled"], true);
}

TEST_F(BalancerctlTest, SaysWhereTheTokenLiesAndWhoIsNotThere) {
    token_file_ = "/nonexistent/admin.token";
    EXPECT_EQ(ctl({"status"}), 3);
    EXPECT_TRUE(says("--state-dir")) << err_;
    token_file_ = dir_.write("a.token", "x").string();
    ASSERT_EQ(::chmod(token_file_.c_str(), 0600), 0);
    EXPECT_EQ(ctl({"--timeout", "5", "status"}), 3);
    EXPECT_TRUE(says("127.0.0.1:1")) << err_;
    EXPECT_TRUE(says("--server"));
}

TEST_F(BalancerctlTest, WrongUsageIsTwo) {
    EXPECT_EQ(ctl({}), 2);
    EXPECT_EQ(ctl({"providers"}), 2);
    EXPECT_EQ(ctl({"providers", "get"}), 2);
    EXPECT_EQ(ctl({"-o", "xml", "status"}), 2);
    EXPECT_EQ(ctl({"--bogus", "status"}), 2);
    EXPECT_EQ(ctl({"--help"}), 0);
    EXPECT_TRUE(says("Examples:"));
    EXPECT_EQ(ctl({"--version"}), 0);
}

TEST_F(BalancerctlTest, ABadConfigurationEndsTheStartWithTwoAndLeavesNoTrace) {
    dir_.write("config.yaml", replaced(config_yaml(), "auth_type", "auth_typ"));
    Server server(log_, options());
    auto started = server.start();
    auto* failure = std::get_if<StartFailure>(&started);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->exit_code, 2);
    EXPECT_NE(failure->text.find("config.yaml:"), std::string::npos) << failure->text;
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "state"));
}

TEST_F(BalancerctlTest, ASecondControlPlaneOnOneStateDirectoryIsRefused) {
    start();
    Server second(log_, options());
    auto started = second.start();
    auto* failure = std::get_if<StartFailure>(&started);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->exit_code, 1);
    EXPECT_NE(failure->text.find("--state-dir"), std::string::npos) << failure->text;
    EXPECT_EQ(ctl({"status"}), 0) << "the first one is unharmed";
}

TEST_F(BalancerctlTest, ATakenPortIsRefused) {
    start();
    ServerOptions other = options();
    other.state_dir = dir_.path() / "other";
    other.grpc_address = addresses_.grpc;
    Server second(log_, other);
    auto started = second.start();
    auto* failure = std::get_if<StartFailure>(&started);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->exit_code, 1);
    EXPECT_NE(failure->text.find("--grpc"), std::string::npos) << failure->text;
}

TEST_F(BalancerctlTest, ARestartKeepsTheStoreAndRaisesTheEpoch) {
    start();
    ASSERT_EQ(ctl({"providers", "disable", "alpha"}), 0);
    ASSERT_EQ(ctl({"-o", "json", "status"}), 0);
    json before = json::parse(out_);
    server_->stop();
    start();
    ASSERT_EQ(ctl({"-o", "json", "status"}), 0);
    json after = json::parse(out_);
    EXPECT_EQ(after["head"]["store_uuid"], before["head"]["store_uuid"]);
    EXPECT_EQ(after["head"]["epoch"], before["head"]["epoch"].get<int>() + 1);
    EXPECT_EQ(after["providers_total"], 1) << "the override holds";
}

TEST_F(BalancerctlTest, StopsWhileADataPlaneIsConnected) {
    start();
    auto stub = v1::DataPlane::NewStub(
        grpc::CreateChannel(addresses_.grpc, grpc::InsecureChannelCredentials())
    );
    grpc::ClientContext context;
    std::string token = *read_secret_file(dir_.path() / "state" / "dataplane.token");
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto stream = stub->Sync(&context);
    v1::SyncRequest hello;
    hello.mutable_hello()->set_dp_id("dp-1");
    hello.mutable_hello()->set_instance_id("i-1");
    hello.mutable_hello()->set_protocol_major(1);
    ASSERT_TRUE(stream->Write(hello));
    v1::SyncResponse response;
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(ctl({"-o", "json", "dataplanes", "list"}), 0);
    EXPECT_EQ(json::parse(out_)["data_planes"][0]["dp_id"], "dp-1");
    EXPECT_EQ(ctl({"status"}), 4) << "it has not acknowledged anything";
    EXPECT_TRUE(says("out of sync")) << err_;

    EXPECT_TRUE(std::filesystem::exists(dir_.path() / "state" / "addresses.json"));
    server_->stop();
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "state" / "addresses.json"));
    bool goodbye = false;
    while (stream->Read(&response)) goodbye = goodbye || response.has_goaway();
    EXPECT_TRUE(goodbye);
    stream->Finish();
}

TEST_F(BalancerctlTest, NoHealthyProviderIsDegraded) {
    start();
    v1::ReportRequest report;
    ASSERT_EQ(ctl({"-o", "json", "providers", "list"}), 0);
    json providers = json::parse(out_)["providers"];
    auto channel = grpc::CreateChannel(addresses_.grpc, grpc::InsecureChannelCredentials());
    auto stub = v1::DataPlane::NewStub(channel);
    grpc::ClientContext context;
    std::string token = *read_secret_file(dir_.path() / "state" / "dataplane.token");
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    // Who reports is connected, and takes whatever comes.
    grpc::ClientContext sync_context;
    sync_context.AddMetadata("authorization", "Bearer " + token);
    sync_context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto sync = stub->Sync(&sync_context);
    v1::SyncRequest hello;
    hello.mutable_hello()->set_dp_id("dp-1");
    hello.mutable_hello()->set_instance_id("i-1");
    hello.mutable_hello()->set_protocol_major(1);
    ASSERT_TRUE(sync->Write(hello));
    v1::SyncResponse said;
    ASSERT_TRUE(sync->Read(&said));
    std::thread acknowledging([&] {
        while (sync->Read(&said)) {
            if (!said.has_update()) continue;
            v1::SyncRequest ack;
            ack.mutable_ack()->set_nonce(said.update().nonce());
            *ack.mutable_ack()->mutable_applied() = said.update().version();
            sync->Write(ack);
        }
    });
    auto stream = stub->Report(&context);
    report.set_dp_id("dp-1");
    report.set_instance_id("i-1");
    report.set_report_seq(1);
    for (const json& provider : providers) {
        v1::Signal& signal = *report.add_signals();
        signal.set_provider(provider["provider"]["name"].get<std::string>());
        signal.set_etag(provider["provider"]["etag"].get<std::string>());
        signal.set_failure(v1::FAILURE_CLASS_RATE_LIMITED);
        signal.set_http_status(429);
        signal.set_started_at_ms(unix_now());
        signal.set_at_ms(unix_now());
        signal.set_retry_at_ms(unix_now() + 600'000);
    }
    ASSERT_TRUE(stream->Write(report));
    v1::ReportResponse acknowledged;
    ASSERT_TRUE(stream->Read(&acknowledged));
    stream->WritesDone();
    stream->Finish();
    EXPECT_EQ(ctl({"status"}), 4);
    EXPECT_TRUE(says("no provider is healthy")) << err_;
    ASSERT_EQ(ctl({"providers", "list"}), 0);
    EXPECT_TRUE(says("open, ")) << out_;
    EXPECT_EQ(ctl({"providers", "reset", "alpha"}), 0);
    EXPECT_EQ(ctl({"status"}), 0);
    sync_context.TryCancel();
    acknowledging.join();
    sync->Finish();
}

TEST_F(BalancerctlTest, ExplainOfAnUnknownRequestSaysWhereItLooked) {
    start();
    EXPECT_EQ(ctl({"explain", "bal_0123456789abcdef"}), 1);
    EXPECT_TRUE(says("no data plane is connected, and none was in the last hour")) << err_;
    EXPECT_EQ(ctl({"-o", "json", "explain", "bal_0123456789abcdef"}), 1);
    EXPECT_TRUE(says("\"records\": []")) << out_;
    EXPECT_EQ(ctl({"explain", "two words"}), 1);
    EXPECT_TRUE(says("that is no id of a request")) << err_;
    EXPECT_EQ(ctl({"explain"}), 2);
}

TEST_F(BalancerctlTest, RequestsOfAFleetThatIsIdleAreNone) {
    start();
    EXPECT_EQ(ctl({"requests"}), 0);
    EXPECT_TRUE(says("nothing is under way")) << out_;
    EXPECT_EQ(ctl({"-o", "json", "requests"}), 0);
    EXPECT_TRUE(says("\"records\": []")) << out_;
}

}  // namespace
}  // namespace balancer::cli
