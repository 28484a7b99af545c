// kill -9 of the control plane: what it must know again after a restart.
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

class ControlPlaneKilled : public testing::Test {
  protected:
    std::string yaml(const std::string& key_of_alpha = "sk-test-key-one") const {
        ConfigText text{{{"alpha", alpha_.base_url()}, {"beta", beta_.base_url()}}};
        text.providers[0].auth = "    auth_type: api_key\n    auth_value: " + key_of_alpha + "\n";
        text.settings = "  failure_cooldown: 600\n";
        return to_yaml(text);
    }

    nlohmann::json health(const ProcessFleet& fleet, const std::string& provider) {
        EXPECT_EQ(fleet.ctl({"-o", "json", "providers", "get", provider}, said_), 0) << said_;
        auto answer = nlohmann::json::parse(said_, nullptr, false);
        return answer.contains("health") ? answer["health"] : nlohmann::json::object();
    }

    FakeProvider alpha_;
    FakeProvider beta_;
    std::string said_;
};

TEST_F(ControlPlaneKilled, ARevokedKeyIsNotTriedAgainByTheFleet) {
    Step revoked = status_step(401);
    alpha_.set_script(script_of({revoked}));
    ProcessFleet fleet(yaml(), 2);
    ASSERT_EQ(used(fleet.ask(unstreamed(), 0)), "beta");
    ASSERT_TRUE(Fleet::eventually([&] { return health(fleet, "alpha")["circuit"] == "CIRCUIT_OPEN"; }));
    ASSERT_EQ(alpha_.request_count(), 1U);

    fleet.kill_control_plane();
    // Those that know nothing of it: they have been restarted too, or are new, and their disks are empty.
    for (std::size_t i = 0; i < 2; ++i) {
        fleet.kill_data_plane(i);
        for (const char* file : {"last-known-good.1", "last-known-good.2"}) {
            std::filesystem::remove(fleet.folder() / ("dp" + std::to_string(i + 1)) / file);
        }
    }
    fleet.start_control_plane();
    for (std::size_t i = 0; i < 2; ++i) fleet.start_data_plane(i);
    fleet.add_data_plane();
    ASSERT_TRUE(Fleet::eventually([&] { return fleet.in_sync(); }));

    nlohmann::json held = health(fleet, "alpha");
    EXPECT_EQ(held["circuit"], "CIRCUIT_OPEN") << said_;
    EXPECT_NE(held["cause"].get<std::string>().find("auth (HTTP 401)"), std::string::npos) << held["cause"];
    for (int turn = 0; turn < 5; ++turn) {
        for (std::size_t i = 0; i < fleet.data_planes(); ++i) {
            EXPECT_EQ(used(fleet.ask(in_session("s" + std::to_string(turn)), i)), "beta");
        }
    }
    EXPECT_EQ(alpha_.request_count(), 1U);

    // Another key is another matter.
    alpha_.set_script({});
    fleet.write_config(yaml("sk-test-key-two"));
    int session = 0;
    EXPECT_TRUE(Fleet::eventually([&] {
        return used(fleet.ask(in_session("new" + std::to_string(++session)), 2)) == "alpha";
    }));
    // And the old hold does not come back with the next start.
    fleet.kill_control_plane();
    fleet.start_control_plane();
    EXPECT_EQ(health(fleet, "alpha")["circuit"], "CIRCUIT_CLOSED") << said_;
}

// What an operator has reset is not held against the provider by the next start.
TEST_F(ControlPlaneKilled, AResetIsForGood) {
    alpha_.set_script(script_of({status_step(401)}));
    ProcessFleet fleet(yaml(), 1);
    ASSERT_EQ(used(fleet.ask(unstreamed(), 0)), "beta");
    ASSERT_TRUE(Fleet::eventually([&] { return health(fleet, "alpha")["circuit"] == "CIRCUIT_OPEN"; }));
    ASSERT_EQ(fleet.ctl({"providers", "reset", "alpha"}, said_), 0) << said_;
    fleet.kill_control_plane();
    fleet.start_control_plane();
    EXPECT_EQ(health(fleet, "alpha")["circuit"], "CIRCUIT_CLOSED") << said_;
}

// No provider at all, because an operator means it: known to whoever was away, and to the next start.
TEST_F(ControlPlaneKilled, AnEmptySetThatIsMeantIsMeantAfterARestartAsWell) {
    ProcessFleet fleet(yaml(), 2);
    ASSERT_EQ(fleet.ctl({"providers", "disable", "alpha", "--wait"}, said_), 0) << said_;
    EXPECT_EQ(fleet.ctl({"providers", "disable", "beta"}, said_), 1);
    fleet.signal_data_plane(1, SIGSTOP);
    ASSERT_EQ(fleet.ctl({"providers", "disable", "beta", "--force", "--reason", "closing down"}, said_), 0) << said_;
    fleet.kill_control_plane();
    fleet.start_control_plane();
    // It has a provider in memory, and is told by a control plane that was started since.
    fleet.signal_data_plane(1, SIGCONT);
    EXPECT_TRUE(Fleet::eventually([&] { return fleet.in_sync(); }));
    EXPECT_EQ(fleet.ask(unstreamed(), 0).status, 404U);
    EXPECT_TRUE(Fleet::eventually([&] { return fleet.ask(unstreamed(), 1).status == 404U; }));
    ASSERT_EQ(fleet.ctl({"providers", "enable", "alpha", "--wait"}, said_), 0) << said_;
    EXPECT_EQ(used(fleet.ask(unstreamed(), 1)), "alpha");
}

}  // namespace
}  // namespace balancer::tests
