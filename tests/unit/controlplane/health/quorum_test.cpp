#include "controlplane/health/quorum.hpp"

#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

TEST(Quorum, IsHalfOfTheUsersAndTwoAtLeastExceptForALoneDataPlane) {
    EXPECT_EQ(votes_needed(1, 1), 1U);
    EXPECT_EQ(votes_needed(0, 0), 1U);
    EXPECT_EQ(votes_needed(2, 1), 2U);
    EXPECT_EQ(votes_needed(5, 1), 2U) << "the only user among five has its own breaker";
    EXPECT_EQ(votes_needed(5, 4), 2U);
    EXPECT_EQ(votes_needed(5, 5), 3U);
    EXPECT_EQ(votes_needed(50, 50), 25U);
}

TEST(Quorum, OneOfManyNeverDecides) {
    for (std::size_t members = 2; members <= 200; ++members) {
        for (std::size_t users = 0; users <= members; ++users) {
            ASSERT_FALSE(quorum_reached(1, 0, members, users));
            ASSERT_FALSE(quorum_reached(1, 1, members, users));
        }
    }
}

TEST(Quorum, FailuresToConnectTakeAMajorityOfTheFleet) {
    EXPECT_TRUE(quorum_reached(1, 1, 1, 1)) << "a lone data plane is its fleet's majority";
    EXPECT_FALSE(quorum_reached(2, 2, 5, 2));
    EXPECT_TRUE(quorum_reached(3, 3, 5, 3));
    EXPECT_FALSE(quorum_reached(2, 2, 4, 4)) << "half is none";
    EXPECT_TRUE(quorum_reached(2, 0, 5, 2));
    EXPECT_FALSE(quorum_reached(2, 1, 5, 2));
    EXPECT_TRUE(quorum_reached(3, 1, 5, 4)) << "two others suffice by themselves";
    for (std::size_t members = 2; members <= 100; ++members) {
        for (std::size_t voters = 0; voters <= members / 2; ++voters) {
            ASSERT_FALSE(quorum_reached(voters, voters, members, voters));
        }
    }
}

}  // namespace
}  // namespace balancer::controlplane
