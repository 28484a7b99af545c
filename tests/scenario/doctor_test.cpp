// balancerctl doctor against a fleet: what is well, and what each kind of trouble is called.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/fleet.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

class Doctor : public testing::Test {
  protected:
    // A route that names a model, so that there is one to ask for.
    void start(const std::string& yaml) { fleet_ = std::make_unique<Fleet>(yaml, FleetOptions{1, 1}); }

    int ctl(std::vector<std::string> words) {
        std::ostringstream out;
        std::ostringstream err;
        int code = balancerctl(
            fleet_->control_plane_addresses().grpc, fleet_->control_plane_dir(), std::move(words), out, err
        );
        said_ = out.str() + err.str();
        EXPECT_EQ(said_.find("sk-test-key"), std::string::npos) << said_;
        return code;
    }

    bool says(const std::string& text) const { return said_.find(text) != std::string::npos; }

    // Answers other than success, for one path.
    void answer(FakeProvider& provider, std::vector<Rule> rules) {
        Script script;
        script.rules = std::move(rules);
        provider.set_script(std::move(script));
    }

    static Rule refusing(Match match, unsigned status) { return Rule{std::move(match), {status_step(status)}}; }

    FakeProvider a_;
    FakeProvider b_;
    std::unique_ptr<Fleet> fleet_;
    std::string said_;
};

TEST_F(Doctor, FindsNothingWhereAllIsWell) {
    start(to_yaml({{{"a", a_.base_url()}}}));
    ASSERT_EQ(ctl({"doctor", "--model", "claude-haiku-4-5"}), 0) << said_;
    for (const char* part :
         {"ok      control plane: ",
          "ok      clock: ",
          "ok      configuration: the file is good",
          "ok      data planes: 1 connected",
          "ok      sealed secrets: ",
          "ok      provider a: answers claude-haiku-4-5 in ",
          "streams, tools, betas, count_tokens, models"}) {
        EXPECT_TRUE(says(part)) << part << " in:\n" << said_;
    }
    EXPECT_EQ(a_.request_count(), 6U);
    a_.clear_requests();
    EXPECT_EQ(ctl({"doctor", "--no-probes"}), 0) << said_;
    EXPECT_EQ(a_.request_count(), 0U) << "it costs nothing";
}

TEST_F(Doctor, SaysWhatAProviderCannotAndWhatToDo) {
    start(to_yaml({{{"a", a_.base_url()}, {"b", b_.base_url()}}}));
    answer(
        a_,
        {refusing(Match{.path = "/v1/messages/count_tokens", .model = {}, .header = {}, .stream = {}}, 404),
         refusing(Match{.path = "/v1/models", .model = {}, .header = {}, .stream = {}}, 404),
         refusing(Match{.path = {}, .model = {}, .header = "anthropic-beta", .stream = {}}, 400)}
    );
    EXPECT_EQ(ctl({"doctor", "--model", "m"}), 4) << "warnings only:\n" << said_;
    EXPECT_TRUE(says("warning provider a: without count_tokens: 404")) << said_;
    EXPECT_TRUE(says("tokens are counted locally"));
    EXPECT_TRUE(says("warning provider a: without betas: 400")) << said_;
    EXPECT_TRUE(says("beta_headers"));
    EXPECT_TRUE(says("ok      provider b: ")) << said_;

    answer(a_, {refusing(Match{.path = {}, .model = {}, .header = {}, .stream = true}, 500)});
    EXPECT_EQ(ctl({"doctor", "--model", "m", "--provider", "a"}), 1) << said_;
    EXPECT_TRUE(says("bad     provider a: without streams: 500")) << said_;

    answer(a_, {refusing(Match{.path = {}, .model = {}, .header = {}, .stream = true}, 529)});
    EXPECT_EQ(ctl({"doctor", "--model", "m", "--provider", "a"}), 4) << "who is busy may well stream:\n" << said_;
    EXPECT_TRUE(says("warning provider a: not known for streams: 529")) << said_;
    EXPECT_FALSE(says("provider b")) << "it was not asked for";
}

TEST_F(Doctor, ToldForScripts) {
    start(to_yaml({{{"a", a_.base_url()}, {"b", b_.base_url()}}}));
    b_.stop();
    ASSERT_EQ(ctl({"-o", "json", "doctor", "--model", "m", "--provider", "b", "--provider", "nobody"}), 1) << said_;
    bool refused = false;
    bool unknown = false;
    const json told = json::parse(said_);
    for (const json& finding : told["findings"]) {
        if (finding["verdict"] != "bad") continue;
        const std::string words = finding["finding"];
        refused = refused || (finding["subject"] == "provider b" && words.find("Connection refused") != std::string::npos);
        unknown = unknown || finding["subject"] == "provider nobody";
    }
    EXPECT_TRUE(refused) << said_;
    EXPECT_TRUE(unknown) << said_;
}

TEST_F(Doctor, NoControlPlaneIsTheFirstFinding) {
    start(to_yaml({{{"a", a_.base_url()}}}));
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(balancerctl("127.0.0.1:1", fleet_->control_plane_dir(), {"doctor"}, out, err), 3);
    EXPECT_NE(err.str().find("cannot reach the control plane"), std::string::npos) << err.str();
}

}  // namespace
}  // namespace balancer::tests
