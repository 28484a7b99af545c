// A data plane that is started while no control plane can be reached.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "tests/scenario/data_plane_process.hpp"
#include "tests/scenario/fleet.hpp"
#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

namespace fs = std::filesystem;

class LastKnownGood : public testing::Test {
  protected:
    FakeProvider a_;
    FakeProvider b_;

    std::string only(const std::string& name, const FakeProvider& provider) const {
        return to_yaml({{{name, provider.base_url()}}});
    }
    std::string only_a() const { return only("a", a_); }
    std::string only_b() const { return only("b", b_); }

    static bool served_by(const Fleet& fleet, const std::string& name, std::size_t index = 0) {
        return fleet.ask(unstreamed(), index).header("x-provider-used") == name;
    }

    static double metric(
        const Fleet& fleet,
        const std::string& name,
        const std::map<std::string, std::string>& labels = {},
        std::size_t index = 0
    ) {
        return read_metrics(fleet, index).sum("balancer_dp_" + name, labels).value_or(-1);
    }

    static bool from(const Fleet& fleet, const char* source, std::size_t index = 0) {
        return metric(fleet, "snapshot_source", {{"source", source}}, index) == 1;
    }

    static bool ready(const Fleet& fleet, std::size_t index = 0) {
        return fleet.get_at(fleet.admin_port(index), "/readyz").status == 200;
    }

    // Waits until so many states have been written since the data plane's start.
    static void wait_until_kept(const Fleet& fleet, double count = 1) {
        ASSERT_TRUE(Fleet::eventually([&] {
            return metric(fleet, "last_known_good_writes_total", {{"result", "kept"}}) >= count;
        }));
    }

    static fs::path newest_of(const fs::path& folder) {
        fs::path one = folder / "last-known-good.1";
        fs::path two = folder / "last-known-good.2";
        if (!fs::exists(two)) return one;
        return fs::last_write_time(one) > fs::last_write_time(two) ? one : two;
    }
};

TEST_F(LastKnownGood, IsServedAfterARestartWithoutAControlPlaneAndGivesWayToIt) {
    Fleet fleet(only_a(), {1, 1});
    wait_until_kept(fleet);
    fleet.stop_control_plane();
    fleet.restart_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return ready(fleet); }));
    EXPECT_TRUE(served_by(fleet, "a"));
    EXPECT_TRUE(from(fleet, "disk"));
    EXPECT_EQ(a_.requests().back().header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_GE(metric(fleet, "snapshot_age_seconds"), 0);

    fleet.write_config(only_b());
    fleet.start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, "b"); }));
    EXPECT_TRUE(from(fleet, "memory"));
}

TEST_F(LastKnownGood, HoldsNoCredentialInClear) {
    Fleet fleet(only_a(), {1, 1});
    wait_until_kept(fleet);
    EXPECT_TRUE(files_holding(fleet.state_dir(), "sk-test-key-of-provider").empty());
}

TEST_F(LastKnownGood, TheOlderStateIsServedWhenTheNewestIsDamaged) {
    Fleet fleet(only_a(), {1, 1});
    wait_until_kept(fleet);
    double before = metric(fleet, "last_known_good_writes_total", {{"result", "kept"}});
    fleet.write_config(only_b());
    ASSERT_TRUE(Fleet::eventually([&] { return served_by(fleet, "b"); }));
    wait_until_kept(fleet, before + 1);
    fleet.stop_control_plane();
    fleet.stop_data_plane(0);
    fs::path newest = newest_of(fleet.state_dir());
    fs::resize_file(newest, fs::file_size(newest) - 1);
    fleet.restart_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return ready(fleet); }));
    EXPECT_TRUE(served_by(fleet, "a"));
    EXPECT_EQ(metric(fleet, "last_known_good_refused_total"), 1);
}

// The fleet's bench is in the state on disk; with no control plane nobody will end it but the data plane itself.
TEST_F(LastKnownGood, ABenchOfTheFleetEndsWithoutAControlPlane) {
    a_.set_script(script_of({failing(500, "for a while")}));
    Fleet fleet(
        to_yaml({
            {{"a", a_.base_url()}, {"b", b_.base_url()}},
            {},
            "  unhealthy_threshold: 1\n  failure_cooldown: 5\n",
        }),
        {1, 1}
    );
    EXPECT_TRUE(served_by(fleet, "b"));
    ASSERT_TRUE(Fleet::eventually([&] { return !provider_view(fleet, "a")["healthy"].get<bool>(); }));
    ASSERT_TRUE(Fleet::eventually([&] { return available(fleet, 0) == 1; }));
    fleet.stop_control_plane();
    a_.set_script(script_of({saying("well again")}));
    fleet.restart_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return ready(fleet) && from(fleet, "disk"); }));
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, "a"); }));
}

TEST_F(LastKnownGood, AnotherReplicasFilesAreRefusedAndTheDataPlaneWaits) {
    Fleet fleet(only_a(), {1, 1});
    wait_until_kept(fleet);
    fleet.stop_control_plane();
    fs::copy(fleet.state_dir(0), fleet.state_dir(1), fs::copy_options::recursive);
    std::size_t foreign = fleet.add_data_plane();
    ASSERT_TRUE(Fleet::eventually([&] {
        return metric(fleet, "last_known_good_refused_total", {}, foreign) == 1;
    }));
    EXPECT_FALSE(ready(fleet, foreign));
    EXPECT_EQ(fleet.ask(unstreamed(), foreign).status, 503U);
    fleet.start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return ready(fleet, foreign); })) << "it kept trying";
}

TEST_F(LastKnownGood, AControlPlaneOfAnotherStoreIsFollowedAfterARestart) {
    Fleet fleet(only_a(), {1, 1});
    wait_until_kept(fleet);
    fleet.stop_control_plane();
    for (const char* file : {"control-plane.db", "control-plane.db-wal", "control-plane.db-shm"}) {
        fs::remove(fleet.control_plane_dir() / file);
    }
    fleet.restart_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return from(fleet, "disk"); }));
    fleet.write_config(only_b());
    fleet.start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, "b"); }));
    EXPECT_TRUE(from(fleet, "memory"));
}

TEST_F(LastKnownGood, AControlPlaneThatWasSetBackIsRefusedUntilTheDataPlaneRestartsUnderIt) {
    Fleet fleet(only_a(), {1, 1});
    fleet.stop_control_plane();
    fs::path copy = fleet.folder() / "copy";
    fs::copy(fleet.control_plane_dir(), copy, fs::copy_options::recursive);
    for (int start = 0; start < 2; ++start) {
        fleet.start_control_plane();
        ASSERT_TRUE(Fleet::eventually([&] {
            return metric(fleet, "control_plane_connected") == 1 && from(fleet, "memory");
        }));
        double epoch = 2 + start;
        ASSERT_TRUE(Fleet::eventually([&] { return metric(fleet, "snapshot_epoch") == epoch; }));
        fleet.stop_control_plane();
    }
    fleet.restart_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return from(fleet, "disk"); }));
    EXPECT_EQ(metric(fleet, "snapshot_epoch"), 3);

    fs::remove_all(fleet.control_plane_dir());
    fs::rename(copy, fleet.control_plane_dir());
    fleet.write_config(only_b());
    fleet.start_control_plane();
    ASSERT_TRUE(Fleet::eventually([&] { return metric(fleet, "updates_refused_total") >= 1; }));
    EXPECT_TRUE(served_by(fleet, "a"));
    EXPECT_EQ(metric(fleet, "snapshot_epoch"), 3);

    fleet.restart_data_plane(0);
    EXPECT_TRUE(Fleet::eventually([&] { return ready(fleet) && served_by(fleet, "b"); }));
    EXPECT_EQ(metric(fleet, "snapshot_epoch"), 2);
}

TEST_F(LastKnownGood, AStateThatCannotBeWrittenHurtsNothingElse) {
    Fleet fleet(only_a(), {1, 1});
    wait_until_kept(fleet);
    fs::remove(fleet.state_dir() / "last-known-good.1");
    fs::remove(fleet.state_dir() / "last-known-good.2");
    // A name that cannot be replaced stands for a disk that takes nothing.
    fs::create_directories(fleet.state_dir() / "last-known-good.1" / "in-the-way");
    fs::create_directories(fleet.state_dir() / "last-known-good.2" / "in-the-way");
    fleet.write_config(only_b());
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, "b"); }));
    EXPECT_TRUE(Fleet::eventually([&] {
        return metric(fleet, "last_known_good_writes_total", {{"result", "failed"}}) >= 1;
    }));
    EXPECT_TRUE(ready(fleet));
    EXPECT_EQ(metric(fleet, "updates_refused_total"), 0);
}

// A process of its own, killed while states are written, started again without a control plane.
TEST_F(LastKnownGood, IsThereAfterAKillAtAnyMoment) {
    Fleet fleet(only_a(), {0, 1});
    fs::path folder = fleet.folder() / "killed";
    auto start = [&](const std::string& control_plane) {
        return start_data_plane_process(fleet, "killed", control_plane);
    };
    auto port = [&](const char* which) {
        Result<std::string> text = read_file(folder / "addresses.json");
        if (!text) return std::uint16_t{0};
        std::string address = nlohmann::json::parse(*text)[which].get<std::string>();
        return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    };
    auto child_ready = [&] {
        std::uint16_t admin = port("admin");
        return admin != 0 && fleet.get_at(admin, "/readyz").status == 200;
    };
    for (int round = 0; round < 4; ++round) {
        auto child = start(fleet.control_plane_addresses().grpc);
        ASSERT_TRUE(Fleet::eventually(child_ready));
        ASSERT_TRUE(Fleet::eventually([&] { return fs::exists(folder / "last-known-good.1"); }));
        std::string mark = fleet.get_at(port("admin"), "/metrics").body;
        fleet.write_config(round % 2 == 0 ? only_b() : only_a());
        // Anywhere between the update's arrival and the end of its file.
        ASSERT_TRUE(Fleet::eventually([&] {
            std::string body = fleet.get_at(port("admin"), "/metrics").body;
            return parse_metrics(body).sum("balancer_dp_updates_applied_total") >
                   parse_metrics(mark).sum("balancer_dp_updates_applied_total");
        }));
        std::this_thread::sleep_for(std::chrono::milliseconds(65 * round));
        child->kill();

        child = start("127.0.0.1:1");
        ASSERT_TRUE(Fleet::eventually(child_ready)) << "round " << round;
        Result<RawClient> client = RawClient::connect(port("listen"));
        ASSERT_TRUE(client);
        Result<RawResponse> answer = client->exchange(claude_code_request(unstreamed()));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200U);
        child->kill();
    }
}

}  // namespace
}  // namespace balancer::tests
