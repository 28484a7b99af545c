#include "model/health.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace balancer {
namespace {

constexpr ProviderSlot kSlot(0);

class HealthViewTest : public testing::Test {
  protected:
    HealthViewTest() { view_.by_slot.resize(1); }
    ProviderCondition& whole() { return view_.by_slot[0]; }
    Condition& model(const std::string& name) {
        for (ModelCondition& one : whole().models) {
            if (one.model == name) return one.condition;
        }
        whole().models.push_back({name, {}});
        return whole().models.back().condition;
    }
    Gate gate(const std::string& name, unsigned draw = 0) {
        return view_.admit(kSlot, name, draw).gate;
    }

    HealthView view_;
};

TEST_F(HealthViewTest, ASlotBeyondTheEndIsInGoodHealth) {
    EXPECT_EQ(view_.admit(ProviderSlot(9), "m", 0).gate, Gate::kOpen);
    EXPECT_FALSE(view_.benched(ProviderSlot(9)));
    EXPECT_FALSE(view_.watch_success(ProviderSlot(9), "m"));
    EXPECT_EQ(view_.benched_until(ProviderSlot(9), "m"), 0);
}

TEST_F(HealthViewTest, TheWorseOfProviderAndModelDecides) {
    model("opus").benched = true;
    model("opus").benched_until = 50;
    EXPECT_EQ(gate("opus"), Gate::kShut);
    EXPECT_EQ(gate("haiku"), Gate::kOpen);
    EXPECT_EQ(view_.benched_until(kSlot, "opus"), 50);
    EXPECT_EQ(view_.benched_until(kSlot, "haiku"), 0);
    EXPECT_FALSE(view_.benched(kSlot));
    whole().benched = true;
    whole().benched_until = 40;
    EXPECT_EQ(gate("haiku"), Gate::kShut);
    EXPECT_EQ(view_.benched_until(kSlot, "opus"), 50);
    auto ticket = std::make_shared<ProbeTicket>("p", 1);
    whole().probe = ticket;
    EXPECT_EQ(gate("haiku"), Gate::kProbe);
    EXPECT_EQ(gate("opus"), Gate::kShut) << "its model is out whoever probes the rest";
    model("opus").benched = false;
    EXPECT_EQ(gate("opus"), Gate::kProbe);
    ticket->take();
    EXPECT_EQ(gate("haiku"), Gate::kShut);
}

TEST_F(HealthViewTest, ARampLetsInThoseBelowItsShare) {
    whole().admit_percent = 10;
    EXPECT_EQ(gate("m", 9), Gate::kOpen);
    EXPECT_EQ(gate("m", 10), Gate::kLater);
    model("m").admit_percent = 5;
    EXPECT_EQ(gate("m", 4), Gate::kOpen);
    EXPECT_EQ(gate("m", 9), Gate::kLater);
}

TEST_F(HealthViewTest, FailuresAreCountedWhereTheirClassBelongs) {
    whole().failure_count = 1;
    model("opus").failure_count = 3;
    EXPECT_EQ(view_.failure_count(kSlot, "opus", FailureClass::kOverloaded), 3U);
    EXPECT_EQ(view_.failure_count(kSlot, "opus", FailureClass::kUpstream5xx), 1U);
    EXPECT_EQ(view_.failure_count(kSlot, "haiku", FailureClass::kOverloaded), 0U);
}

TEST(ProbeTicketTest, OnlyOneOfManyThreadsGetsIt) {
    for (int round = 0; round < 50; ++round) {
        ProbeTicket ticket("p", 1);
        std::atomic<int> taken{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] { taken += ticket.take() ? 1 : 0; });
        }
        for (std::thread& thread : threads) thread.join();
        ASSERT_EQ(taken.load(), 1);
    }
}

}  // namespace
}  // namespace balancer
