// The fleet's health rules against the failure matrix, over many seeds; and the checkers against
// planted faults.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/sim_fleet.hpp"

namespace balancer::simulation {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr std::uint64_t kSeeds = 220;

// One way in which a fleet can suffer, for about half a minute. `well`: what nobody may take out.
struct Suffering {
    const char* name;
    std::set<std::string> well;
    void (*begin)(SimFleet&);
    std::size_t data_planes = 5;
    std::map<std::size_t, UnixMs> ahead = {};
};

const Suffering kMatrix[] = {
    {"nothing but noise", {"a", "b", "c"}, [](SimFleet&) {}},
    {"one data plane has no way out",
     {"a", "b", "c"},
     [](SimFleet& fleet) {
         fleet.cut_off("dp-2", {"a", "b", "c"});
     }},
    {"one data plane has no way to one provider",
     {"a", "b", "c"},
     [](SimFleet& fleet) { fleet.cut_off("dp-5", {"b"}); }},
    {"one data plane sees errors everywhere",
     {"a", "b", "c"},
     [](SimFleet& fleet) { fleet.lie("dp-1"); }},
    {"a provider is broken",
     {"b", "c"},
     [](SimFleet& fleet) { fleet.set_fault("a", Fault::kBroken); }},
    {"a provider cannot be reached",
     {"b", "c"},
     [](SimFleet& fleet) { fleet.set_fault("a", Fault::kUnreachable); }},
    {"a provider is broken, and one data plane lies about the others",
     {"b", "c"},
     [](SimFleet& fleet) {
         fleet.set_fault("a", Fault::kBroken);
         fleet.lie("dp-3");
     }},
    {"two of three are broken",
     {"c"},
     [](SimFleet& fleet) {
         fleet.set_fault("a", Fault::kBroken);
         fleet.set_fault("b", Fault::kOverloaded);
     }},
    {"all are broken",
     {},
     [](SimFleet& fleet) {
         for (const char* name : {"a", "b", "c"}) fleet.set_fault(name, Fault::kBroken);
     }},
    {"all keys are refused",
     {},
     [](SimFleet& fleet) {
         for (const char* name : {"a", "b", "c"}) fleet.set_fault(name, Fault::kRefusesKey);
     }},
    {"a key is refused",
     {"b", "c"},
     [](SimFleet& fleet) { fleet.set_fault("a", Fault::kRefusesKey); }},
    {"one model is limited everywhere",
     {},
     [](SimFleet& fleet) {
         for (const char* name : {"a", "b", "c"}) fleet.set_fault(name, Fault::kLimited, "opus");
     }},
    {"the control plane restarts in an outage",
     {"b", "c"},
     [](SimFleet& fleet) {
         fleet.set_fault("a", Fault::kBroken);
         fleet.run_for(7'000);
         fleet.restart_control_plane();
     }},
    {"a data plane is cut off from the control plane in an outage",
     {"b", "c"},
     [](SimFleet& fleet) {
         fleet.set_fault("a", Fault::kOverloaded);
         fleet.run_for(3'000);
         fleet.partition(3, true);
         fleet.run_for(15'000);
         fleet.partition(3, false);
     }},
    {"settings change in an outage, and late news comes in",
     {"b", "c"},
     [](SimFleet& fleet) {
         fleet.set_fault("a", Fault::kBroken);
         fleet.run_for(2'000);
         fleet.change_settings("a");
         fleet.run_for(4'000);
         fleet.change_settings("a");
     }},
    {"data planes restart in an outage",
     {"b", "c"},
     [](SimFleet& fleet) {
         fleet.set_fault("a", Fault::kBroken);
         fleet.run_for(5'000);
         fleet.restart_data_plane(0);
         fleet.run_for(5'000);
         fleet.restart_data_plane(4);
     }},
    {"the bad one of two data planes leaves, and comes back well",
     {"a", "b", "c"},
     [](SimFleet& fleet) {
         fleet.cut_off("dp-2", {"a", "b", "c"});
         fleet.run_for(6'000);
         fleet.partition(1, true);
         fleet.run_for(8'000);
         fleet.cut_off("dp-2", {});
         fleet.restart_data_plane(1);
         fleet.partition(1, false);
     },
     2},
    {"the bad one of two data planes restarts at once",
     {"a", "b", "c"},
     [](SimFleet& fleet) {
         fleet.lie("dp-2");
         fleet.run_for(6'000);
         fleet.restart_data_plane(1);
     },
     2},
    {"a provider is broken, and clocks of data planes are ahead",
     {"b", "c"},
     [](SimFleet& fleet) { fleet.set_fault("a", Fault::kBroken); },
     5,
     {{1, 30'000}, {3, 700}, {4, 86'400'000}}},
    {"one data plane sees errors everywhere, and its clock is ahead",
     {"a", "b", "c"},
     [](SimFleet& fleet) { fleet.lie("dp-1"); },
     5,
     {{1, 30'000}}},
};

void suffer(SimFleet& fleet, const Suffering& kind) {
    fleet.run_for(5'000);
    fleet.expect_well(kind.well);
    kind.begin(fleet);
    fleet.run_for(25'000);
    fleet.end_faults();
    fleet.stop_noise();
    // The longest bench, a lease that nobody uses, and the ramp.
    UnixMs healed = fleet.now();
    while (!fleet.settled() && fleet.now() < healed + 70'000) fleet.run_for(1'000);
    fleet.stop_requests();
    fleet.run_for(12'000);
    fleet.check_end();
}

std::string words(const std::vector<std::string>& violations) {
    std::string all;
    for (const std::string& one : violations) all += one + "\n";
    return all;
}

// The seeds can be moved: FLEET_SIMULATION_SEED=n starts there.
std::uint64_t first_seed() {
    const char* text = std::getenv("FLEET_SIMULATION_SEED");
    return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

TEST(FleetSimulation, HoldsItsInvariantsOverTheFailureMatrix) {
    controlplane::ProbeTally probes;
    std::size_t spared = 0;
    std::size_t opened = 0;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + kSeeds; ++seed) {
        const Suffering& kind = kMatrix[seed % std::size(kMatrix)];
        FleetShape shape;
        shape.seed = seed;
        shape.data_planes = kind.data_planes;
        shape.ahead = kind.ahead;
        SimFleet fleet(shape);
        suffer(fleet, kind);
        ASSERT_TRUE(fleet.violations().empty()) << "seed " << seed << ", " << kind.name << ":\n"
                                                << words(fleet.violations());
        ASSERT_GT(fleet.data_planes()[0]->requests(), 50U);
        const controlplane::ProbeTally& tally = fleet.merger().probe_tally();
        probes.succeeded += tally.succeeded;
        probes.failed += tally.failed;
        probes.expired += tally.expired;
        probes.ignored += tally.ignored;
        spared += fleet.spared_somebody() ? 1 : 0;
        opened += fleet.merger().history("a")->counted().contains(v1::CIRCUIT_OPEN) ? 1 : 0;
    }
    // What is to be checked did happen.
    EXPECT_GT(probes.succeeded, kSeeds / 4);
    EXPECT_GT(probes.failed, kSeeds / 4);
    EXPECT_GT(probes.expired + probes.ignored, 0U);
    EXPECT_GT(spared, kSeeds / 10);
    EXPECT_GT(opened, kSeeds / 3);
}

TEST(FleetSimulation, IsTheSameForTheSameSeed) {
    auto history = [] {
        SimFleet fleet({.seed = 77});
        fleet.set_fault("a", Fault::kBroken);
        fleet.run_for(30'000);
        return fleet.merger().section().SerializeAsString() +
               std::to_string(fleet.attempts_at("a")) + "/" +
               std::to_string(fleet.attempts_at("b"));
    };
    EXPECT_EQ(history(), history());
}

// The figures that the rules were chosen for, at twenty requests a second and data plane.
class Figures : public testing::TestWithParam<std::uint64_t> {
  protected:
    FleetShape shape() const {
        FleetShape shape;
        shape.seed = GetParam();
        shape.providers = {"a", "b", "c", "d"};
        shape.requests_per_second = 20;
        shape.cooldown = 30'000;
        return shape;
    }
};

TEST_P(Figures, OneBrokenReplicaBenchesNobodyAndIsFoundOut) {
    SimFleet fleet(shape());
    fleet.run_for(5'000);
    fleet.expect_well({"a", "b", "c", "d"});
    fleet.cut_off("dp-1", {"a", "b", "c", "d"});
    fleet.run_for(30'000);
    EXPECT_EQ(fleet.wrong_ms(), 0);
    EXPECT_TRUE(fleet.violations().empty()) << words(fleet.violations());
    ASSERT_TRUE(fleet.merger().standings().contains("dp-1"));
    EXPECT_EQ(fleet.merger().standings().size(), 1U);
    EXPECT_TRUE(fleet.merger().standings().at("dp-1").may_turn_unready);
}

TEST_P(Figures, ARealOutageIsSeenByAllWithinASecond) {
    SimFleet fleet(shape());
    fleet.run_for(5'000);
    UnixMs before = fleet.attempts_at("a");
    fleet.set_fault("a", Fault::kBroken);
    UnixMs began = fleet.now();
    while (!fleet.benched_everywhere("a", "opus") && fleet.now() < began + 10'000) fleet.run_for(5);
    EXPECT_LE(fleet.now() - began, 1'000);
    EXPECT_TRUE(fleet.out("a"));
    UnixMs wasted = fleet.attempts_at("a") - before;
    EXPECT_LE(wasted, 40);
    fleet.run_for(29'000);
    EXPECT_LE(fleet.attempts_at("a") - before - wasted, 3) << "probes, and nothing else";
}

TEST_P(Figures, ARevokedKeyCostsOneAttemptAndThoseAlreadyUnderWay) {
    FleetShape calm = shape();
    calm.requests_per_second = 1;
    SimFleet fleet(calm);
    fleet.run_for(5'000);
    UnixMs before = fleet.attempts_at("a");
    fleet.set_fault("a", Fault::kRefusesKey);
    UnixMs began = fleet.now();
    while (!fleet.benched_everywhere("a", "opus") && fleet.now() < began + 30'000) fleet.run_for(1);
    UnixMs paid = fleet.attempts_at("a") - before;
    // At five requests a second by the fleet and four providers, more than one under way is rare.
    EXPECT_LE(paid, 3);
    fleet.run_for(29'000);
    EXPECT_EQ(fleet.attempts_at("a") - before, paid);
}

TEST_P(Figures, ClocksThatAreAheadMakeNoDifferenceToAnOutage) {
    FleetShape ahead = shape();
    ahead.ahead = {{1, 30'000}, {2, 30'000}, {3, 30'000}, {4, 30'000}, {5, 30'000}};
    SimFleet fleet(ahead);
    fleet.run_for(5'000);
    UnixMs before = fleet.attempts_at("a");
    fleet.set_fault("a", Fault::kBroken);
    UnixMs began = fleet.now();
    while (!fleet.benched_everywhere("a", "opus") && fleet.now() < began + 10'000) fleet.run_for(5);
    EXPECT_LE(fleet.now() - began, 1'000);
    EXPECT_TRUE(fleet.out("a"));
    EXPECT_LE(fleet.attempts_at("a") - before, 40);
    fleet.run_for(20'000);
    EXPECT_TRUE(fleet.out("a")) << "and nothing ends it before its time";
}

INSTANTIATE_TEST_SUITE_P(FleetSimulation, Figures, testing::Range<std::uint64_t>(1, 6));

// Each checker catches the fault that it is there for.
class Planted : public testing::Test {
  protected:
    // What the checkers say, of a few seeds together.
    static std::vector<std::string> caught(
        Mutant mutant, void (*begin)(SimFleet&), std::set<std::string> well
    ) {
        std::vector<std::string> all;
        for (std::uint64_t seed = 1; seed <= 6; ++seed) {
            FleetShape shape;
            shape.seed = seed;
            shape.mutant = mutant;
            SimFleet fleet(shape);
            suffer(fleet, {"planted", well, begin, 5, {}});
            for (std::string& one : fleet.violations()) all.push_back(std::move(one));
        }
        return all;
    }
};

TEST_F(Planted, OneThatSpeaksForAllTakesOutAProviderThatIsWell) {
    auto begin = [](SimFleet& fleet) { fleet.lie("dp-1"); };
    EXPECT_THAT(
        caught(Mutant::kOneSpeaksForAll, begin, {"a", "b", "c"}),
        Contains(HasSubstr("is well, and out"))
    );
}

TEST_F(Planted, ALeaseForAllIsSeveralProbes) {
    auto begin = [](SimFleet& fleet) { fleet.set_fault("a", Fault::kBroken); };
    EXPECT_THAT(
        caught(Mutant::kLeaseForAll, begin, {}), Contains(HasSubstr("data planes hold probe"))
    );
}

TEST_F(Planted, WithoutSparingNobodyIsLeft) {
    auto begin = [](SimFleet& fleet) {
        for (const char* name : {"a", "b", "c"}) fleet.set_fault(name, Fault::kBroken);
    };
    EXPECT_THAT(caught(Mutant::kNothingSpared, begin, {}), Contains(HasSubstr("nobody is left")));
}

TEST_F(Planted, CountingTwiceIsFoundInTheTotals) {
    EXPECT_THAT(
        caught(Mutant::kCountsTwice, [](SimFleet&) {}, {}),
        Contains(HasSubstr("attempts were made"))
    );
}

TEST_F(Planted, LateNewsThatCountsIsFound) {
    auto begin = [](SimFleet& fleet) {
        fleet.set_fault("a", Fault::kBroken);
        for (int i = 0; i < 20; ++i) {
            fleet.run_for(500);
            fleet.change_settings("a");
        }
    };
    EXPECT_THAT(
        caught(Mutant::kLateNewsCounts, begin, {}), Contains(HasSubstr("news of old settings"))
    );
}

TEST_F(Planted, ADeafDataPlaneSeesAnOutageTooLate) {
    FleetShape shape;
    shape.requests_per_second = 20;
    shape.cooldown = 30'000;
    shape.mutant = Mutant::kDeafDataPlane;
    SimFleet fleet(shape);
    fleet.run_for(5'000);
    fleet.set_fault("a", Fault::kRefusesKey);
    // dp-1 has to find out by itself that which the others hear of.
    UnixMs before = fleet.attempts_at("a");
    fleet.run_for(30'000);
    FleetShape sound = shape;
    sound.mutant = Mutant::kNone;
    SimFleet healthy(sound);
    healthy.run_for(5'000);
    healthy.set_fault("a", Fault::kRefusesKey);
    UnixMs healthy_before = healthy.attempts_at("a");
    healthy.run_for(30'000);
    EXPECT_GT(fleet.attempts_at("a") - before, healthy.attempts_at("a") - healthy_before);
}

TEST_F(Planted, AKeyThatNeedsVotesCostsMoreThanAFewAttempts) {
    FleetShape shape;
    shape.requests_per_second = 1;
    shape.cooldown = 30'000;
    shape.mutant = Mutant::kAccountsNeedAVote;
    SimFleet fleet(shape);
    fleet.run_for(5'000);
    UnixMs before = fleet.attempts_at("a");
    fleet.set_fault("a", Fault::kRefusesKey);
    fleet.run_for(30'000);
    EXPECT_GT(fleet.attempts_at("a") - before, 3);
}

}  // namespace
}  // namespace balancer::simulation
