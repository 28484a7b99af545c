#include "base/clock_watch.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

namespace balancer {
namespace {

constexpr UnixMs kHour = 3'600'000;

ClockReading reading(UnixMs wall, std::int64_t since_boot_ms) {
    return {wall, Milliseconds(since_boot_ms)};
}

TEST(ClockWatch, TellsAStepOnceAndInBothDirections) {
    ClockWatch watch;
    EXPECT_EQ(watch.look(reading(1'000'000, 5'000)).count(), 0);  // the first reading is no step, whatever it says
    EXPECT_EQ(watch.look(reading(1'001'000, 6'000)).count(), 0);
    EXPECT_EQ(watch.look(reading(1'002'000 + kHour, 7'000)).count(), kHour);
    EXPECT_EQ(watch.look(reading(1'003'000 + kHour, 8'000)).count(), 0);
    EXPECT_EQ(watch.look(reading(1'004'000, 9'000)).count(), -kHour);
}

TEST(ClockWatch, FollowsASlewSilently) {
    ClockWatch watch;
    UnixMs wall = 1'000'000;
    for (std::int64_t boot = 0; boot < 100'000; boot += 1'000, wall += 1'010) {
        EXPECT_EQ(watch.look(reading(wall, boot)).count(), 0);
    }
}

TEST(ClockWatch, AProcessThatWasStoppedHasMetNoStep) {
    ClockWatch watch;
    watch.look(reading(1'000'000, 0));
    EXPECT_EQ(watch.look(reading(1'000'000 + kHour, kHour)).count(), 0);
}

// The kernel's own word for it is the first figure of /proc/uptime, seconds since boot with the sleep in it.
TEST(ClockWatch, ReadsTheTimeSinceBootWithTheSleepInIt) {
    auto uptime = [] {
        double seconds = 0;
        std::ifstream("/proc/uptime") >> seconds;
        return Milliseconds(static_cast<std::int64_t>(seconds * 1'000));
    };
    Milliseconds before = uptime();
    Milliseconds read = read_clocks().since_boot;
    Milliseconds kRounding{10};  // it has two decimals
    EXPECT_GE(read, before - kRounding);
    EXPECT_LE(read, uptime() + kRounding);
}

TEST(OnOurClock, MovesTimesOfAnotherClockOnly) {
    UnixMs now = 50'000'000;
    EXPECT_EQ(on_our_clock(now + 60'000, now, now), now + 60'000);
    EXPECT_EQ(on_our_clock(now + 60'000, now - 400, now), now + 60'000);  // on its way that long
    EXPECT_EQ(on_our_clock(now + kHour + 60'000, now + kHour, now), now + 60'000);
    EXPECT_EQ(on_our_clock(now - kHour + 60'000, now - kHour, now), now + 60'000);
    EXPECT_EQ(on_our_clock(0, now + kHour, now), 0);           // no time at all
    EXPECT_EQ(on_our_clock(now + 60'000, 0, now), now + 60'000);  // the other clock is not known
    constexpr UnixMs kMost = std::numeric_limits<UnixMs>::max();
    constexpr UnixMs kLeast = std::numeric_limits<UnixMs>::min();
    for (UnixMs absurd : {kMost, kLeast}) {
        EXPECT_EQ(on_our_clock(absurd, now + kHour, now), absurd);
        EXPECT_EQ(on_our_clock(now, absurd, now), now);
    }
}

}  // namespace
}  // namespace balancer
