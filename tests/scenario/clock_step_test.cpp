// The wall clock of one program is set while providers are benched: no bench ends early by much, none lasts for ever, and
// the planes go on understanding each other.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using std::chrono::seconds;

constexpr seconds kHour{3600};
constexpr Milliseconds kCooldown{4'000};

enum class Whose { kControlPlane, kDataPlane };

struct Case {
    Whose whose;
    int hours;
    friend void PrintTo(const Case& one, std::ostream* out) {
        *out << (one.whose == Whose::kControlPlane ? "control plane " : "data plane ") << one.hours << " h";
    }
};

class Clocks : public testing::Test {
  protected:
    std::string yaml() const {
        ConfigText text{{{"alpha", alpha_.base_url()}, {"beta", beta_.base_url()}}};
        text.settings = "  failure_cooldown: 4\n";
        return to_yaml(text);
    }

    void refuse_the_key() {
        Step step = status_step(401);
        alpha_.set_script(script_of({step}));
    }

    // Asks every data plane in turn, each time as another session, until alpha has been asked once more.
    bool until_alpha_is_asked(const ProcessFleet& fleet) {
        std::size_t before = alpha_.request_count();
        SteadyTime limit = steady_now() + kCooldown + seconds(30);
        while (alpha_.request_count() == before) {
            if (steady_now() > limit) return false;
            for (std::size_t i = 0; i < fleet.data_planes(); ++i) {
                RawResponse answer = fleet.ask(next(), i);
                EXPECT_EQ(answer.status, 200U);
            }
        }
        return true;
    }

    bool all_use_alpha(const ProcessFleet& fleet) {
        for (std::size_t i = 0; i < fleet.data_planes(); ++i) {
            for (int turn = 0; turn < 5; ++turn) {
                if (used(fleet.ask(next(), i)) != "alpha") return false;
            }
        }
        return true;
    }

    // Everybody has heard that alpha is out.
    bool nobody_uses_alpha(const ProcessFleet& fleet) {
        for (std::size_t i = 0; i < fleet.data_planes(); ++i) {
            if (used(fleet.ask(next(), i)) != "beta") return false;
        }
        return true;
    }

    // When the data plane has last written its state. By the kernel's clock, which nobody sets.
    static std::filesystem::file_time_type newest_state(const ProcessFleet& fleet) {
        auto newest = std::filesystem::file_time_type::min();
        for (const char* file : {"last-known-good.1", "last-known-good.2"}) {
            std::error_code none_yet;
            auto at = std::filesystem::last_write_time(fleet.folder() / "dp1" / file, none_yet);
            if (!none_yet) newest = std::max(newest, at);
        }
        return newest;
    }

    static void step(ProcessFleet& fleet, Whose whose, seconds offset) {
        if (whose == Whose::kControlPlane) {
            fleet.control_plane_host().set_clock(offset);
        } else {
            fleet.data_plane_host(0).set_clock(offset);
        }
    }

    // A session that no provider has served: none is preferred for it.
    ClaudeCodeRequest next() { return in_session("s" + std::to_string(++sessions_)); }

    FakeProvider alpha_;
    FakeProvider beta_;
    std::string said_;
    int sessions_ = 0;
};

class ClockStep : public Clocks, public testing::WithParamInterface<Case> {};

TEST_P(ClockStep, ABenchKeepsItsLength) {
    ProcessFleet fleet(yaml(), 3);
    refuse_the_key();
    SteadyTime before = steady_now();
    ASSERT_EQ(used(fleet.ask(next(), 1)), "beta");
    ASSERT_EQ(alpha_.request_count(), 1U);
    step(fleet, GetParam().whose, GetParam().hours * kHour);
    // Whoever has not heard of the bench yet may have asked alpha by then; that is no early end.
    ASSERT_TRUE(Fleet::eventually([&] { return nobody_uses_alpha(fleet); }));
    alpha_.set_script({});
    ASSERT_TRUE(until_alpha_is_asked(fleet)) << "benched for ever";
    EXPECT_GE(elapsed_ms(before, steady_now()), kCooldown.count() * 9 / 10) << "the bench ended early";
    EXPECT_TRUE(Fleet::eventually([&] { return all_use_alpha(fleet); })) << "somebody holds on to it";

    // They still understand each other: a second bench, by the data plane whose clock is off, reaches all.
    refuse_the_key();
    before = steady_now();
    ASSERT_TRUE(Fleet::eventually([&] { return used(fleet.ask(next(), 0)) == "beta"; }));
    ASSERT_TRUE(Fleet::eventually([&] { return nobody_uses_alpha(fleet); }));
    // And the clock is put right in the middle of it.
    step(fleet, GetParam().whose, seconds(0));
    alpha_.set_script({});
    ASSERT_TRUE(until_alpha_is_asked(fleet)) << "benched for ever";
    EXPECT_GE(elapsed_ms(before, steady_now()), kCooldown.count() * 9 / 10) << "the bench ended early";
    EXPECT_TRUE(Fleet::eventually([&] { return all_use_alpha(fleet); }));
    EXPECT_TRUE(fleet.in_sync());
}

INSTANTIATE_TEST_SUITE_P(
    BothWays,
    ClockStep,
    testing::Values(
        Case{Whose::kControlPlane, 1},
        Case{Whose::kControlPlane, -1},
        Case{Whose::kDataPlane, 1},
        Case{Whose::kDataPlane, -1}
    )
);

// Revisions and versions are ordered by number, and the state on disk by generation: a clock that goes back changes
// nothing of that.
TEST_F(Clocks, RevisionsAndTheStateOnDiskStayInOrder) {
    ProcessFleet fleet(yaml(), 1);
    fleet.control_plane_host().set_clock(-kHour);
    fleet.data_plane_host(0).set_clock(-kHour);
    ASSERT_EQ(fleet.ctl({"providers", "disable", "beta", "--reason", "an hour ago", "--wait"}, said_), 0) << said_;
    ASSERT_EQ(fleet.ctl({"-o", "json", "config", "history"}, said_), 0) << said_;
    auto history = nlohmann::json::parse(said_);
    EXPECT_EQ(history["head"], 2);
    EXPECT_EQ(history["revisions"][0]["reason"], "an hour ago");

    fleet.kill_control_plane();
    fleet.start_control_plane();
    ASSERT_TRUE(Fleet::eventually([&] { return fleet.in_sync(); }));
    ASSERT_EQ(fleet.ctl({"-o", "json", "config", "history"}, said_), 0) << said_;
    EXPECT_EQ(nlohmann::json::parse(said_)["head"], 2);
    // Written under the new clock, and taken under one that has gone back once more.
    ASSERT_EQ(fleet.ctl({"providers", "enable", "beta", "--wait"}, said_), 0) << said_;
    // On its disk a moment after it is in force: when nothing has been written for a while.
    ASSERT_TRUE(Fleet::eventually([&] {
        return newest_state(fleet) + seconds(2) < std::filesystem::file_time_type::clock::now();
    }));
    auto newest_has_beta = [&]() -> std::string {
        fleet.kill_control_plane();
        fleet.kill_data_plane(0);
        fleet.data_plane_host(0).set_clock(-2 * kHour);
        fleet.start_data_plane(0);
        EXPECT_TRUE(Fleet::eventually([&] { return fleet.ready(0); }));
        alpha_.stop();
        RawResponse answer = fleet.ask(next(), 0);
        return answer.status == 200 ? used(answer) : answer.body;
    };
    EXPECT_EQ(newest_has_beta(), "beta");
}

// A state from disk with a bench in it, read under a clock that has been set back meanwhile.
TEST_F(Clocks, ABenchFromDiskDoesNotLastAnHourMore) {
    ProcessFleet fleet(yaml(), 1);
    refuse_the_key();
    ASSERT_EQ(used(fleet.ask(next(), 0)), "beta");
    ASSERT_TRUE(Fleet::eventually([&] { return fleet.in_sync(); }));
    fleet.kill_control_plane();
    // In good order, so that the bench is on its disk.
    fleet.stop_data_plane(0);
    alpha_.set_script({});
    fleet.data_plane_host(0).set_clock(-kHour);
    fleet.start_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return fleet.ready(0); }));
    EXPECT_TRUE(until_alpha_is_asked(fleet)) << "benched for ever";
}

}  // namespace
}  // namespace balancer::tests
