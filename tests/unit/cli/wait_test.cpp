#include "cli/command/wait.hpp"

#include <gtest/gtest.h>

namespace balancer::cli {
namespace {

using State = WaitedPlane::State;

constexpr UnixMs kNow = 1'700'000'000'000;

v1::Version version(std::uint64_t epoch, std::uint64_t seq) {
    v1::Version out;
    out.set_store_uuid("store");
    out.set_epoch(epoch);
    out.set_seq(seq);
    return out;
}

v1::DataPlaneView connected() {
    v1::DataPlaneView view;
    view.set_dp_id("dp-1");
    view.set_connected(true);
    view.set_last_heard_ms(kNow);
    return view;
}

TEST(JudgeTest, WhatCountsIsWhatWasAcknowledged) {
    WaitGoal goal{version(4, 7)};
    v1::DataPlaneView view = connected();
    // As it says in its Hello, or when it refuses as stale: of a newer epoch, from elsewhere.
    *view.mutable_applied() = version(9, 1);
    EXPECT_EQ(judge(view, goal, kNow).state, State::kBehind);
    EXPECT_NE(judge(view, goal, kNow).detail.find("acknowledged nothing"), std::string::npos);
    *view.mutable_last_nack_version() = version(4, 7);
    view.set_last_nack("NACK_CODE_STALE");
    WaitedPlane refused = judge(view, goal, kNow);
    EXPECT_EQ(refused.state, State::kRefused);
    EXPECT_EQ(refused.detail, "refused version 4.7 and stays on 9.1: NACK_CODE_STALE");

    *view.mutable_acknowledged() = version(4, 6);
    EXPECT_EQ(judge(view, goal, kNow).state, State::kRefused);
    *view.mutable_acknowledged() = version(4, 8);
    EXPECT_EQ(judge(view, goal, kNow).state, State::kDone) << "it has taken a later one";
    view.set_connected(false);
    EXPECT_EQ(judge(view, goal, kNow).state, State::kNotConnected);
}

TEST(JudgeTest, AnOlderControlPlaneTellsInAppliedWhatWasAcknowledged) {
    WaitGoal goal{version(4, 7)};
    v1::ListDataPlanesResponse answer;
    for (int i = 0; i < 2; ++i) *answer.add_data_planes() = connected();
    v1::DataPlaneView& first = *answer.mutable_data_planes(0);
    v1::DataPlaneView& second = *answer.mutable_data_planes(1);
    *first.mutable_applied() = version(4, 7);
    *second.mutable_applied() = version(4, 7);
    first.set_acknowledged_at_ms(kNow);
    fill_acknowledged(answer);
    EXPECT_EQ(judge(first, goal, kNow).state, State::kDone);
    EXPECT_EQ(judge(second, goal, kNow).state, State::kBehind) << "it has only said so in its Hello";
    // A newer one is believed, whatever a row says that it holds.
    *first.mutable_acknowledged() = version(4, 6);
    second.set_acknowledged_at_ms(kNow);
    fill_acknowledged(answer);
    EXPECT_EQ(judge(first, goal, kNow).state, State::kBehind);
    EXPECT_FALSE(second.has_acknowledged());
}

TEST(JudgeTest, ADrainIsDoneWhenACountOfTheNewVersionSaysSo) {
    WaitGoal goal{version(4, 7), {"a", "a/work"}};
    v1::DataPlaneView view = connected();
    *view.mutable_heard_version() = version(9, 1);
    EXPECT_EQ(judge(view, goal, kNow).state, State::kBehind);
    *view.mutable_acknowledged() = version(4, 7);
    *view.mutable_heard_version() = version(4, 6);
    EXPECT_EQ(judge(view, goal, kNow).state, State::kBusy) << "counted before";
    *view.mutable_heard_version() = version(4, 7);
    (*view.mutable_in_flight_at())["a"] = 2;
    EXPECT_EQ(judge(view, goal, kNow).state, State::kBusy);
    view.clear_in_flight_at();
    (*view.mutable_in_flight_at())["a/work"] = 3;
    (*view.mutable_in_flight_at())["a/other"] = 1;
    EXPECT_EQ(judge(view, goal, kNow).detail, "3 in flight");
    view.clear_in_flight_at();
    EXPECT_EQ(judge(view, goal, kNow).state, State::kDone);
}

}  // namespace
}  // namespace balancer::cli
