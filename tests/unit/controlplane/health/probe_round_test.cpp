#include "controlplane/health/probe_round.hpp"

#include <gtest/gtest.h>

#include "controlplane/health/authority_budget.hpp"

namespace balancer::controlplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

TEST(ProbeRoundTest, GoesToWhoUsedTheProviderLastAndThenRound) {
    ProbeRound round;
    std::vector<Prober> probers{{"dp-1", 5}, {"dp-2", 9}, {"dp-3", 0}};
    EXPECT_FALSE(round.grant({}, "p-0", kNow));
    EXPECT_EQ(round.lease(), nullptr);
    std::string order;
    for (int i = 1; i <= 4; ++i) {
        ASSERT_TRUE(round.grant(probers, "p-" + std::to_string(i), kNow));
        order += round.lease()->dp_id + " ";
        EXPECT_FALSE(round.expire(kNow + 29'999));
        EXPECT_TRUE(round.expire(kNow + 30'000));
    }
    EXPECT_EQ(order, "dp-2 dp-1 dp-3 dp-2 ");
}

TEST(ProbeRoundTest, AwaitsTheOneThatIsOutAndNoOther) {
    ProbeRound round;
    round.grant({{"dp-1", 0}}, "p-1", kNow);
    EXPECT_TRUE(round.awaits("dp-1", "p-1"));
    EXPECT_FALSE(round.awaits("dp-2", "p-1"));
    EXPECT_FALSE(round.awaits("dp-1", "p-0"));
    round.expire(kNow + 30'000);
    EXPECT_FALSE(round.awaits("dp-1", "p-1"));
}

TEST(AuthorityBudgetTest, OneDataPlaneOpensTwoProvidersAMinute) {
    AuthorityBudget budget;
    EXPECT_TRUE(budget.take("dp-1", "a", kNow));
    EXPECT_TRUE(budget.take("dp-1", "b", kNow + 1'000));
    EXPECT_FALSE(budget.take("dp-1", "c", kNow + 2'000));
    EXPECT_TRUE(budget.take("dp-1", "a", kNow + 2'000)) << "the same one again is no new one";
    EXPECT_TRUE(budget.take("dp-2", "c", kNow + 2'000));
    EXPECT_TRUE(budget.take("dp-1", "c", kNow + 60'000)) << "the first is a minute old";
}

}  // namespace
}  // namespace balancer::controlplane
