#include "controlplane/oauth/headroom.hpp"

#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

constexpr UnixMs kNow = 1'000'000;

AccountUse used(std::optional<double> five_hour, std::optional<double> seven_day = {}) {
    AccountUse use;
    use.status = "allowed";
    use.five_hour = five_hour;
    use.seven_day = seven_day;
    return use;
}

TEST(Headroom, IsThatOfTheWindowWithLeastLeftInSteps) {
    for (auto [five_hour, seven_day, percent] : std::initializer_list<std::tuple<double, double, unsigned>>{
             {0, 0, 100}, {0.25, 0, 100}, {0.26, 0, 75}, {0, 0.5, 75}, {0.1, 0.74, 50}, {0.76, 0.89, 25}, {0.91, 0.2, 5},
             {1, 0, 5}, {1.3, 0, 5}, {-1, 0, 100},
         }) {
        EXPECT_EQ(headroom_of(used(five_hour, seven_day), kNow, 100), percent) << five_hour << " " << seven_day;
    }
}

TEST(Headroom, WhatIsNotToldOrHasBegunAnewIsWhole) {
    EXPECT_EQ(headroom_of(AccountUse{}, kNow, 5), 100U);
    EXPECT_EQ(headroom_of(used({}, 0.6), kNow, 100), 50U);
    AccountUse use = used(0.99, 0.6);
    use.five_hour_reset = kNow;
    EXPECT_EQ(headroom_of(use, kNow, 5), 50U);
    use.five_hour_reset = kNow + 1;
    EXPECT_EQ(headroom_of(use, kNow, 5), 5U);
}

TEST(Headroom, AHigherStepNeedsClearlyMore) {
    EXPECT_EQ(headroom_of(used(0.51), kNow, 100), 50U);
    EXPECT_EQ(headroom_of(used(0.49), kNow, 50), 50U) << "an answer that was overtaken";
    EXPECT_EQ(headroom_of(used(0.44), kNow, 50), 75U);
    EXPECT_EQ(headroom_of(used(0), kNow, 5), 100U);
}

}  // namespace
}  // namespace balancer::controlplane
