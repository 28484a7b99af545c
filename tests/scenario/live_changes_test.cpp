// An operator changes things while requests run: balancerctl, a control plane and two data planes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/fleet.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

class LiveChanges : public testing::Test {
  protected:
    void start(const std::string& yaml) {
        fleet_ = std::make_unique<Fleet>(yaml, FleetOptions{2, 1});
    }

    int ctl(std::vector<std::string> words, const std::string& input = {}) {
        std::ostringstream out;
        std::ostringstream err;
        int code = balancerctl(
            fleet_->control_plane_addresses().grpc, fleet_->control_plane_dir(), std::move(words), out, err, input
        );
        said_ = out.str() + err.str();
        EXPECT_EQ(said_.find("sk-test-key"), std::string::npos) << said_;
        return code;
    }

    bool says(const std::string& text) const { return said_.find(text) != std::string::npos; }

    // Of a session that nobody has seen before.
    std::string served_by(std::size_t index) {
        ClaudeCodeRequest request = unstreamed();
        request.session_id = fmt::format("session-{}", ++sessions_);
        return fleet_->ask(request, index).header("x-provider-used");
    }

    std::vector<std::string> adding(const std::string& name, const FakeProvider& provider) const {
        return {
            "providers",
            "add",
            name,
            "--type",
            "anthropic",
            "--base-url",
            provider.base_url(),
            "--auth-type",
            "api_key",
            "--key-stdin",
            "--route",
            "*",
            "--priority",
            "0",
            "--wait",
        };
    }

    FakeProvider a_;
    FakeProvider b_;
    std::unique_ptr<Fleet> fleet_;
    std::string said_;
    int sessions_ = 0;
};

TEST_F(LiveChanges, AProviderThatIsAddedServesEverywhereWhenTheCommandReturns) {
    start(to_yaml({{{"a", a_.base_url()}}}));
    ASSERT_EQ(ctl(adding("b", b_), "sk-test-key-of-b\n"), 0) << said_;
    EXPECT_TRUE(says("in force on dp1, dp2")) << said_;
    EXPECT_EQ(served_by(0), "b");
    EXPECT_EQ(served_by(1), "b");
    EXPECT_EQ(b_.requests().front().header("x-api-key"), "sk-test-key-of-b");
    ASSERT_EQ(ctl({"routes", "set", "*", "b", "--priority", "9", "--wait"}), 0) << said_;
    EXPECT_EQ(served_by(0), "a");
    ASSERT_EQ(ctl({"providers", "remove", "a", "--with-routes", "--wait"}), 0) << said_;
    EXPECT_EQ(served_by(1), "b");
    ASSERT_EQ(ctl({"config", "rollback", "1", "--wait"}), 0) << said_;
    EXPECT_EQ(served_by(0), "a");
}

TEST_F(LiveChanges, EditsHoldOverARestartOfTheControlPlaneUntilTheFileChanges) {
    start(to_yaml({{{"a", a_.base_url()}}}));
    ASSERT_EQ(ctl(adding("b", b_), "sk-test-key-of-b\n"), 0) << said_;
    fleet_->stop_control_plane();
    EXPECT_EQ(served_by(0), "b");
    fleet_->start_control_plane();
    ASSERT_EQ(ctl({"providers", "get", "b"}), 0) << said_;
    ASSERT_TRUE(Fleet::eventually([&] {
        return ctl({"status"}) == 0 && says("2 connected, 2 in sync");
    }));
    EXPECT_TRUE(says("not what the file says")) << said_;
    EXPECT_EQ(served_by(1), "b");
    fleet_->write_config(to_yaml({{{"a", a_.base_url()}}, {}, "  failure_cooldown: 77\n"}));
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(0) == "a" && served_by(1) == "a"; }));
    ASSERT_EQ(ctl({"status"}), 0) << said_;
    EXPECT_TRUE(says("lost: provider 'b' added; route '*' changed")) << said_;
}

TEST_F(LiveChanges, TheFileThatSaveWritesIsNoNewRevision) {
    start(to_yaml({{{"a", a_.base_url()}}}));
    ASSERT_EQ(ctl(adding("b", b_), "sk-test-key-of-b\n"), 0) << said_;
    ASSERT_EQ(ctl({"config", "save"}), 0) << said_;
    // The watch has seen it when this reload is done: both run on the control plane's loop.
    ASSERT_TRUE(Fleet::eventually([&] {
        std::string metrics = fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body;
        return metrics.find("config_reloads_total{result=\"unchanged\"} 1") != std::string::npos;
    }));
    ASSERT_EQ(ctl({"config", "history"}), 0);
    EXPECT_TRUE(says("2 *")) << said_;
    EXPECT_EQ(served_by(0), "b");
}

TEST_F(LiveChanges, ADrainLetsTheStreamEndAndSaysWhen) {
    Step slow;
    slow.message.text = "one two three four five six seven eight nine ten eleven twelve";
    slow.message.event_gap = std::chrono::milliseconds(400);
    a_.set_script(script_of({slow}));
    start(to_yaml({{{"a", a_.base_url()}, {"b", b_.base_url()}}}));
    Result<RawClient> client = RawClient::connect(fleet_->port(0));
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    Result<RawResponse> answer = client->read_head();
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->header("x-provider-used"), "a");
    ASSERT_EQ(ctl({"providers", "drain", "a", "--wait=0"}), 1) << said_;
    EXPECT_EQ(ctl({"providers", "drain", "a", "--wait=60"}), 0) << said_;
    EXPECT_TRUE(says("dp1: 1 in flight")) << said_;
    EXPECT_TRUE(says("in force on dp1, dp2")) << said_;
    EXPECT_EQ(served_by(0), "b");
    client->read_body(*answer);
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(answer->body).ends_with("message_stop"));
    ASSERT_EQ(ctl({"providers", "list"}), 0);
    EXPECT_TRUE(says("drained (by hand)")) << said_;
    ASSERT_EQ(ctl({"providers", "enable", "a", "--wait"}), 0) << said_;
    EXPECT_EQ(served_by(1), "a");
}

TEST_F(LiveChanges, ARefusedEditChangesNothingAnywhere) {
    start(to_yaml({{{"a", a_.base_url()}, {"b", b_.base_url()}}}));
    EXPECT_EQ(ctl({"providers", "update", "a", "--base-url", "ftp://x", "--wait"}), 1);
    EXPECT_TRUE(says("providers[0].base_url")) << said_;
    EXPECT_EQ(ctl({"providers", "remove", "a"}), 1);
    EXPECT_EQ(ctl({"providers", "disable", "a", "--wait"}), 0) << said_;
    EXPECT_EQ(ctl({"providers", "disable", "b"}), 1);
    EXPECT_TRUE(says("last enabled"));
    EXPECT_EQ(served_by(0), "b");
}

TEST_F(LiveChanges, TestsAProviderThroughItsOwnSettings) {
    TestCa ca;
    FakeProviderOptions options;
    options.tls = ca.issue({"localhost"});
    FakeProvider secure({}, options);
    TemporaryFile ca_file(ca.certificate_pem());
    start(to_yaml(
        {{{"a", a_.base_url()},
          {"tls", secure.base_url(), "    ca_file: " + ca_file.path() + "\n"}}}
    ));
    ASSERT_EQ(ctl({"providers", "test", "tls", "--model", "claude-x"}), 0) << said_;
    EXPECT_TRUE(says("200")) << said_;
    EXPECT_TRUE(says("ms"));
    EXPECT_EQ(secure.requests().front().header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_NE(secure.requests().front().body.find("\"max_tokens\":1"), std::string::npos);
    EXPECT_EQ(ctl({"providers", "test", "a"}), 1) << "no route names a model";
    EXPECT_TRUE(says("--model")) << said_;
    Step refusing = status_step(401);
    refusing.error = ErrorSpec{"authentication_error", "invalid x-api-key sk-test-key-of-provider"};
    a_.set_script(script_of({refusing}));
    EXPECT_EQ(ctl({"providers", "test", "a", "--model", "m"}), 1);
    EXPECT_TRUE(says("401")) << said_;
    EXPECT_TRUE(says("invalid x-api-key"));
    a_.stop();
    EXPECT_EQ(ctl({"-o", "json", "providers", "test", "a", "--model", "m"}), 1);
    EXPECT_EQ(json::parse(said_)["http_status"], 0);
    EXPECT_TRUE(says("Connection refused")) << said_;
    EXPECT_EQ(ctl({"status"}), 0) << "a test is no evidence";
}

}  // namespace
}  // namespace balancer::tests
