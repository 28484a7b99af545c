#include "dataplane/coalesce/claim_table.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace balancer::dataplane {
namespace {

using Kind = ClaimTable::Claim::Kind;

constexpr wire::Signature kOne{0x1234, 0xabcd'0000'0000'0000};

TEST(ClaimTable, OneHoldsUntilItGivesBack) {
    ClaimTable table;
    EXPECT_EQ(table.claim(kOne, 3).kind, Kind::kOurs);
    ClaimTable::Claim second = table.claim(kOne, 1);
    EXPECT_EQ(second.kind, Kind::kHeld);
    EXPECT_EQ(second.holder, 3);
    EXPECT_EQ(table.claim(kOne, 3).kind, Kind::kHeld);
    table.give_back(kOne, 3);
    EXPECT_EQ(table.claim(kOne, 1).kind, Kind::kOurs);
    table.give_back(kOne, 1);
    EXPECT_EQ(table.held(), 0U);
}

TEST(ClaimTable, AFullRowTakesNoMoreAndMixesNothingUp) {
    ClaimTable table;
    auto signature = [](std::uint64_t i) { return wire::Signature{7, i << 16}; };
    for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(table.claim(signature(i), 0).kind, Kind::kOurs) << i;
    EXPECT_EQ(table.claim(signature(8), 0).kind, Kind::kFull);
    EXPECT_EQ(table.claim(signature(5), 1).kind, Kind::kHeld);
    EXPECT_EQ(table.claim({8, 0}, 0).kind, Kind::kOurs);
    table.give_back(signature(5), 0);
    EXPECT_EQ(table.claim(signature(8), 2).kind, Kind::kOurs);
    EXPECT_EQ(table.claim(signature(5), 0).kind, Kind::kFull);
    EXPECT_EQ(table.held(), 9U);
}

// A signature of zeros is one like any other.
TEST(ClaimTable, EveryWordOfAClaimIsTold) {
    ClaimTable table;
    EXPECT_EQ(table.claim({0, 0}, 0).kind, Kind::kOurs);
    EXPECT_EQ(table.claim({0, 0}, 1).kind, Kind::kHeld);
    EXPECT_EQ(table.held(), 1U);
}

// One row, several signatures that come and go in it: of one signature there is never more than one holder.
TEST(ClaimTable, ThreadsNeverHoldOneSignatureTwice) {
    ClaimTable table;
    constexpr std::size_t kSignatures = 4;
    std::array<std::atomic<int>, kSignatures> holders{};
    std::atomic<int> twice{0};
    std::atomic<int> claimed{0};
    std::vector<std::jthread> threads;
    for (WorkerIndex worker = 0; worker < 4; ++worker) {
        threads.emplace_back([&, worker] {
            std::uint64_t state = worker + 1U;
            for (int round = 0; round < 20'000; ++round) {
                state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                std::size_t i = (state >> 60) % kSignatures;
                wire::Signature signature{42, std::uint64_t{i + 1} << 20};
                if (table.claim(signature, worker).kind != Kind::kOurs) continue;
                claimed.fetch_add(1);
                if (holders[i].fetch_add(1) != 0) twice.fetch_add(1);
                holders[i].fetch_sub(1);
                table.give_back(signature, worker);
            }
        });
    }
    threads.clear();
    EXPECT_EQ(twice.load(), 0);
    EXPECT_GT(claimed.load(), 0);
    EXPECT_EQ(table.held(), 0U);
}

}  // namespace
}  // namespace balancer::dataplane
