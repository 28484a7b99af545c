// The disks of a fleet are full: requests go on, what cannot be kept is refused or told, and nothing is half done when there
// is room again.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

class DiskFull : public testing::Test {
  protected:
    std::string yaml() const { return to_yaml({{{"alpha", alpha_.base_url()}, {"beta", beta_.base_url()}}}); }

    int revision(const ProcessFleet& fleet) {
        EXPECT_EQ(fleet.ctl({"-o", "json", "config", "history"}, said_), 0) << said_;
        return nlohmann::json::parse(said_, nullptr, false).value("head", -1);
    }

    static double lkg_writes(const ProcessFleet& fleet, const std::string& result) {
        return parse_metrics(fleet.metrics(0))
            .sum("balancer_dp_last_known_good_writes_total", {{"result", result}})
            .value_or(0);
    }

    FakeProvider alpha_;
    FakeProvider beta_;
    std::string said_;
};

TEST_F(DiskFull, OfTheControlPlaneRefusesChangesAndServesOn) {
    ProcessFleet fleet(yaml(), 1);
    fleet.control_plane_host().fill_disk(true);
    EXPECT_EQ(fleet.ctl({"providers", "disable", "alpha"}, said_), 1);
    EXPECT_NE(said_.find("full"), std::string::npos) << said_;
    EXPECT_EQ(revision(fleet), 1);
    EXPECT_EQ(used(fleet.ask(unstreamed(), 0)), "alpha");
    EXPECT_EQ(fleet.ctl({"status"}, said_), 0) << said_;

    // What a provider says of its account acts on all, kept or not.
    alpha_.set_script(script_of({status_step(401)}));
    EXPECT_EQ(used(fleet.ask(unstreamed(), 0)), "beta");
    ASSERT_TRUE(Fleet::eventually([&] {
        return fleet.ctl({"-o", "json", "providers", "get", "alpha"}, said_) == 0 &&
               said_.find("CIRCUIT_OPEN") != std::string::npos;
    })) << said_;

    // With room again, a change is made and outlives a kill.
    fleet.control_plane_host().fill_disk(false);
    EXPECT_EQ(fleet.ctl({"providers", "disable", "alpha", "--wait"}, said_), 0) << said_;
    fleet.kill_control_plane();
    fleet.start_control_plane();
    EXPECT_EQ(revision(fleet), 2);
    EXPECT_TRUE(Fleet::eventually([&] { return fleet.in_sync(); }));
    EXPECT_EQ(used(fleet.ask(unstreamed(), 0)), "beta");
}

TEST_F(DiskFull, OfADataPlaneCostsItsNextColdStartOnly) {
    ProcessFleet fleet(yaml(), 1);
    ASSERT_TRUE(Fleet::eventually([&] { return lkg_writes(fleet, "kept") >= 1; }));
    fleet.data_plane_host(0).fill_disk(true);
    ASSERT_EQ(fleet.ctl({"providers", "disable", "alpha", "--wait"}, said_), 0) << said_;
    ASSERT_TRUE(Fleet::eventually([&] { return lkg_writes(fleet, "failed") >= 1; })) << fleet.metrics(0);
    EXPECT_EQ(used(fleet.ask(unstreamed(), 0)), "beta");
    // Killed now, it has the state of before on its disk, whole.
    fleet.kill_control_plane();
    fleet.kill_data_plane(0);
    fleet.data_plane_host(0).fill_disk(false);
    fleet.start_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return fleet.ready(0); }));
    EXPECT_EQ(used(fleet.ask(unstreamed(), 0)), "alpha");
    fleet.start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return used(fleet.ask(unstreamed(), 0)) == "beta"; }));
}

}  // namespace
}  // namespace balancer::tests
