#include "model/circuit.hpp"

#include <gtest/gtest.h>

#include <random>

namespace balancer {
namespace {

constexpr UnixMs kStart = 1'000'000;

class CircuitTest : public testing::Test {
  protected:
    HealthPolicy policy_{Milliseconds(60'000), 2, true, Milliseconds(0)};
    Circuit circuit_;

    // Opens and tells for how long.
    UnixMs open(UnixMs now, double chance = 0) {
        circuit_.open(policy_, chance, now);
        EXPECT_EQ(circuit_.state(), CircuitState::kOpen);
        return circuit_.until() - now;
    }
};

TEST_F(CircuitTest, GoesAllTheWayRound) {
    EXPECT_EQ(circuit_.state(), CircuitState::kClosed);
    EXPECT_FALSE(circuit_.next_change());
    EXPECT_EQ(open(kStart), 60'000);
    EXPECT_TRUE(circuit_.out());
    EXPECT_EQ(circuit_.next_change(), kStart + 60'000);
    EXPECT_FALSE(circuit_.tick(policy_, kStart + 59'999));
    EXPECT_TRUE(circuit_.tick(policy_, kStart + 60'000));
    EXPECT_EQ(circuit_.state(), CircuitState::kHalfOpen);
    EXPECT_TRUE(circuit_.out());
    EXPECT_FALSE(circuit_.tick(policy_, kStart + 10'000'000)) << "time alone proves nothing";
    UnixMs proved = kStart + 70'000;
    circuit_.ramp(policy_, proved);
    EXPECT_EQ(circuit_.state(), CircuitState::kRamp);
    EXPECT_EQ(circuit_.ramp_percent(), 10U);
    EXPECT_TRUE(circuit_.tick(policy_, proved + 5'000));
    EXPECT_EQ(circuit_.ramp_percent(), 50U);
    EXPECT_TRUE(circuit_.tick(policy_, proved + 10'000));
    EXPECT_EQ(circuit_.state(), CircuitState::kClosed);
    EXPECT_EQ(circuit_.ramp_percent(), 100U);
    EXPECT_FALSE(circuit_.next_change());
}

TEST_F(CircuitTest, BenchesGrowToTenCooldownsAndStartAnewAfterAStableTime) {
    UnixMs now = kStart;
    for (UnixMs expected : {60, 120, 240, 480, 600, 600}) {
        EXPECT_EQ(open(now), expected * 1'000);
        now = circuit_.until();
        circuit_.tick(policy_, now);
    }
    circuit_.ramp(policy_, now);
    circuit_.tick(policy_, now + 5'000);
    circuit_.tick(policy_, now + 10'000);
    now += 10'000;
    Circuit soon = circuit_;
    soon.open(policy_, 0, now + 599'999);
    EXPECT_EQ(soon.until() - now - 599'999, 600'000) << "not stable for as long as the last bench";
    EXPECT_EQ(open(now + 600'000), 60'000);
}

TEST_F(CircuitTest, ChanceShortensAllBenchesButTheFirst) {
    EXPECT_EQ(open(kStart, 0.99), 60'000) << "the operator's own number";
    circuit_.tick(policy_, kStart + 60'000);
    EXPECT_EQ(open(kStart + 60'000, 0.5), 108'000);
}

TEST_F(CircuitTest, AToldTimeCountsForItselfAndAnHourAtMost) {
    circuit_.open(policy_, 0, kStart, kStart + 1'000);
    EXPECT_TRUE(circuit_.told());
    EXPECT_EQ(circuit_.until(), kStart + 1'000);
    circuit_.open(policy_, 0, kStart, kStart + 500);
    EXPECT_EQ(circuit_.until(), kStart + 1'000) << "the later one holds";
    circuit_.open(policy_, 0, kStart, kStart + 100'000'000);
    EXPECT_EQ(circuit_.until(), kStart + kBenchMax.count());
    circuit_.tick(policy_, kStart + kBenchMax.count());
    EXPECT_EQ(open(kStart + kBenchMax.count()), 60'000) << "what was told is no strike";
}

TEST_F(CircuitTest, TheResetTimeoutEndsALongerBench) {
    policy_.failure_cooldown = Milliseconds(300'000);
    policy_.reset_timeout = Milliseconds(2'000);
    EXPECT_EQ(open(kStart), 2'000);
    circuit_.tick(policy_, kStart + 2'000);
    EXPECT_EQ(open(kStart + 2'000), 2'000) << "growth ends there too";
}

TEST_F(CircuitTest, NoBenchIsEverLongerThanItMayBe) {
    std::mt19937_64 random(7);
    for (int run = 0; run < 2'000; ++run) {
        auto pick = [&](std::int64_t least, std::int64_t most) {
            return std::uniform_int_distribution<std::int64_t>(least, most)(random);
        };
        policy_.failure_cooldown =
            Milliseconds(pick(0, 3) == 0 ? pick(3'600'000, 90'000'000) : pick(0, 100'000));
        policy_.reset_timeout = Milliseconds(pick(0, 1) == 0 ? 0 : pick(1, 400'000));
        Circuit circuit;
        UnixMs now = kStart;
        for (int step = 0; step < 30; ++step) {
            now += pick(0, 200'000);
            switch (pick(0, 4)) {
                case 0:
                    circuit.ramp(policy_, now);
                    break;
                case 1:
                    circuit.close(now);
                    break;
                case 2:
                    circuit.open(policy_, 0.999, now, now + pick(1, 10'000'000));
                    break;
                default:
                    circuit.open(policy_, 0.999, now);
                    break;
            }
            if (circuit.state() == CircuitState::kOpen && !circuit.told()) {
                std::int64_t most = std::max<std::int64_t>(
                    policy_.failure_cooldown.count(),
                    std::min<std::int64_t>(policy_.failure_cooldown.count() * 10, kBenchMax.count())
                );
                if (policy_.reset_timeout.count() > 0) {
                    most = std::min(most, policy_.reset_timeout.count());
                }
                ASSERT_LE(circuit.until() - now, std::max<std::int64_t>(most, kBenchMax.count()));
            }
            circuit.tick(policy_, now);
            if (auto next = circuit.next_change()) ASSERT_GT(*next, now);
        }
    }
}

}  // namespace
}  // namespace balancer
