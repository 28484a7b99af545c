// Both ends of the sync protocol together.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.hpp"
#include "planes.hpp"

namespace balancer {
namespace {

using samples::ControlPlane;
using samples::DataPlane;
using samples::eventually;

TEST(SyncTest, TheFirstSnapshotArrives) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    EXPECT_TRUE(eventually([&] { return cp.in_sync(1); }));
    v1::DataPlaneView row = cp.rows().at(0);
    EXPECT_EQ(row.dp_id(), "dp-1");
    EXPECT_NE(row.peer(), "");
    dataplane::ControlStatus status = dp.control().status();
    EXPECT_TRUE(status.connected);
    EXPECT_EQ(status.applied.epoch, 1U);
    EXPECT_EQ(status.updates_refused, 0U);
}

TEST(SyncTest, ADataPlaneThatComesTooEarlyGetsTheConfigurationLater) {
    ControlPlane cp;
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(eventually([&] { return dp.control().status().last_heard != 0; }));
    EXPECT_FALSE(dp.snapshot());
    cp.publish({"a"});
    EXPECT_TRUE(dp.wait_for_provider("a"));
}

TEST(SyncTest, TwoDataPlanesConverge) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane one("dp-1", cp.address());
    DataPlane two("dp-2", cp.address());
    ASSERT_TRUE(eventually([&] { return cp.in_sync(2); }));
    for (int i = 0; i < 20; ++i) cp.publish({"a", "b" + std::to_string(i)});
    EXPECT_TRUE(one.wait_for_provider("b19"));
    EXPECT_TRUE(two.wait_for_provider("b19"));
    EXPECT_TRUE(eventually([&] { return cp.in_sync(2); }));
}

// A control plane that has lost its providers, for whatever reason.
TEST(SyncTest, ADataPlaneDoesNotFollowIntoNothing) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    cp.publish(samples::config({}));
    ASSERT_TRUE(eventually([&] { return cp.rows().at(0).last_nack() != ""; }));
    EXPECT_NE(cp.rows().at(0).last_nack().find("no provider would be left"), std::string::npos)
        << cp.rows().at(0).last_nack();
    EXPECT_FALSE(cp.in_sync(1));
    EXPECT_NE(dp.snapshot()->find_provider("a"), nullptr);
    cp.publish(samples::config({}), true);
    EXPECT_TRUE(eventually([&] { return cp.in_sync(1); }));
    EXPECT_TRUE(dp.snapshot()->providers.empty());
}

TEST(SyncTest, HealthAloneMakesNoNewSnapshot) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    ASSERT_TRUE(eventually([&] { return cp.in_sync(1); }));
    int before = dp.snapshots();
    for (int i = 0; i < 5; ++i) cp.reset("a");
    ASSERT_TRUE(eventually([&] { return cp.in_sync(1); }));
    EXPECT_EQ(dp.snapshots(), before);
}

TEST(SyncTest, AQuarantinedProviderIsShownByTheControlPlane) {
    ControlPlane cp;
    v1::ConfigSection one_bad = samples::config({"good", "bad"});
    one_bad.mutable_providers(1)->set_base_url("gopher://nowhere");
    cp.publish(one_bad);
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("good"));
    ASSERT_TRUE(eventually([&] { return cp.in_sync(1); }));
    v1::DataPlaneView row = cp.rows().at(0);
    ASSERT_EQ(row.quarantined_size(), 1);
    EXPECT_EQ(row.quarantined(0).resource(), "provider/bad");
}

TEST(SyncTest, ARefusedConfigurationIsShownAndTheLastOneStays) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    v1::ConfigSection newer = samples::config({"b"});
    newer.set_schema(2);
    cp.publish(newer);
    ASSERT_TRUE(eventually([&] { return !cp.rows().at(0).last_nack().empty(); }));
    EXPECT_NE(cp.rows().at(0).last_nack().find("schema"), std::string::npos);
    EXPECT_TRUE(dp.snapshot()->find_provider("a"));
    EXPECT_TRUE(dp.control().status().connected) << "a refusal does not cost the stream";
    cp.publish({"c"});
    EXPECT_TRUE(dp.wait_for_provider("c"));
}

TEST(SyncTest, KeepsItsSnapshotWithoutAControlPlaneAndCatchesUp) {
    auto cp = std::make_unique<ControlPlane>(1);
    cp->publish({"a"});
    int port = cp->port();
    DataPlane dp("dp-1", cp->address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    ASSERT_TRUE(eventually([&] { return cp->in_sync(1); }));
    cp.reset();
    ASSERT_TRUE(eventually([&] { return !dp.control().status().connected; }));
    EXPECT_TRUE(dp.snapshot()->find_provider("a"));
    int before = dp.snapshots();

    // The same content at a higher epoch: nothing to compile, but the version moves.
    ControlPlane again(2, port);
    again.publish({"a"});
    ASSERT_TRUE(eventually([&] { return again.in_sync(1); }));
    EXPECT_EQ(dp.snapshots(), before);
    EXPECT_EQ(dp.control().status().applied.epoch, 2U);
    EXPECT_GE(dp.control().status().reconnects, 1U);
    again.publish({"b"});
    EXPECT_TRUE(dp.wait_for_provider("b"));
}

TEST(SyncTest, ADataPlaneDoesNotFollowAnOlderEpoch) {
    auto cp = std::make_unique<ControlPlane>(5);
    cp->publish({"a"});
    int port = cp->port();
    DataPlane dp("dp-1", cp->address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    ASSERT_TRUE(eventually([&] { return cp->in_sync(1); }));
    cp.reset();
    ControlPlane zombie(4, port);
    zombie.publish({"b"});
    ASSERT_TRUE(eventually([&] {
        auto rows = zombie.rows();
        return !rows.empty() && !rows[0].last_nack().empty();
    }));
    EXPECT_NE(zombie.rows()[0].last_nack().find("STALE"), std::string::npos);
    EXPECT_TRUE(eventually([&] { return !dp.control().status().connected; }));
    EXPECT_TRUE(dp.snapshot()->find_provider("a"));
    EXPECT_FALSE(dp.snapshot()->find_provider("b"));
}

// Two failures, one after the other; none is of the future.
void fail_twice(DataPlane& dp, const std::string& provider) {
    UnixMs now = unix_now();
    dp.control().report(samples::failure(provider, now - 100));
    dp.control().report(samples::failure(provider, now));
}

TEST(SyncTest, WhatAQuorumSeesReachesTheThird) {
    ControlPlane cp;
    cp.publish({"a", "b"});
    DataPlane one("dp-1", cp.address());
    DataPlane two("dp-2", cp.address());
    DataPlane three("dp-3", cp.address());
    for (DataPlane* dp : {&one, &two, &three}) ASSERT_TRUE(dp->wait_for_provider("a"));
    ASSERT_TRUE(eventually([&] { return cp.in_sync(3); }));

    fail_twice(one, "a");
    ASSERT_TRUE(one.wait_until_benched("a"));
    ASSERT_TRUE(eventually([&] { return cp.health(0).failure_count() == 2; }));
    EXPECT_EQ(cp.health(0).circuit(), v1::CIRCUIT_CLOSED) << "one of three benches for itself only";
    fail_twice(two, "a");
    EXPECT_TRUE(three.wait_until_benched("a"));
    EXPECT_EQ(cp.health(0).circuit(), v1::CIRCUIT_OPEN);
    EXPECT_EQ(cp.health(1).circuit(), v1::CIRCUIT_CLOSED);
}

TEST(SyncTest, TheLocalBreakerActsWithoutAControlPlane) {
    auto cp = std::make_unique<ControlPlane>();
    cp->publish({"a"});
    DataPlane dp("dp-1", cp->address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    cp.reset();
    AttemptOutcome limited = samples::failure("a", unix_now());
    limited.failure = FailureClass::kRateLimited;
    limited.retry_at = unix_now() + 200;
    dp.control().report(limited);
    EXPECT_TRUE(dp.wait_until_benched("a"));
    // The view is posted again when the time is over: one request may try.
    EXPECT_TRUE(dp.wait_for_condition("a", [](const auto& a) { return a.probe != nullptr; }));
}

TEST(SyncTest, AResetReachesTheLocalRecords) {
    ControlPlane cp;
    cp.publish({"a", "b"});
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    ASSERT_TRUE(eventually([&] { return cp.in_sync(1); }));
    AttemptOutcome limited = samples::failure("a", unix_now());
    limited.failure = FailureClass::kRateLimited;
    limited.retry_at = unix_now() + 600'000;
    dp.control().report(limited);
    ASSERT_TRUE(dp.wait_until_benched("a"));
    ASSERT_TRUE(eventually([&] { return cp.health(0).circuit() == v1::CIRCUIT_OPEN; }));
    cp.reset("a");
    EXPECT_TRUE(dp.wait_for_condition("a", [](const auto& a) { return !a.benched; }));
}

TEST(SyncTest, ASuspectStandsAsideByLeaveOnlyAndWhileTheStreamLasts) {
    auto cp = std::make_unique<ControlPlane>();
    cp->publish({"a"});
    DataPlane dp("dp-1", cp->address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    cp->set_standing("dp-1", {1, "it fails", false});
    ASSERT_TRUE(eventually([&] { return cp->rows().at(0).suspect(); }));
    EXPECT_EQ(dp.control().status().stand_aside, "");
    cp->set_standing("dp-1", {1, "it fails", true});
    EXPECT_TRUE(eventually([&] { return dp.control().status().stand_aside == "it fails"; }));
    EXPECT_TRUE(cp->rows().at(0).may_turn_unready());
    cp.reset();
    EXPECT_TRUE(eventually([&] { return dp.control().status().stand_aside.empty(); }));
}

TEST(SyncTest, SignalsOfTheTimeWithoutAControlPlaneArriveOnce) {
    auto cp = std::make_unique<ControlPlane>(1);
    cp->publish({"a"});
    int port = cp->port();
    DataPlane dp("dp-1", cp->address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    ASSERT_TRUE(eventually([&] { return cp->attempts("a") == 21; })) << "totals come by themselves";
    cp.reset();
    ASSERT_TRUE(eventually([&] { return !dp.control().status().connected; }));
    for (int i = 0; i < 300; ++i) dp.control().report(samples::failure("a", unix_now()));
    ControlPlane again(2, port);
    again.publish({"a"});
    EXPECT_TRUE(eventually([&] { return again.signals_taken() == 300; }));
    EXPECT_TRUE(eventually([&] { return again.attempts("a") == 21; }));
    EXPECT_EQ(again.signals_taken(), 300U);
    EXPECT_EQ(dp.control().status().signals_dropped, 0U);
}

TEST(SyncTest, HeartbeatsShowTheLoad) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane dp("dp-1", cp.address());
    EXPECT_TRUE(eventually([&] {
        auto rows = cp.rows();
        return !rows.empty() && rows[0].in_flight() == 7 && rows[0].ready();
    }));
}

TEST(SyncTest, ManagementCallsAreAnsweredByTheControlPlane) {
    ControlPlane cp;
    cp.publish({"a"});
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    std::promise<dataplane::ManageAnswer> answered;
    dataplane::ManageCall call;
    call.method = "GET";
    call.path = "/providers";
    dp.control().manage(call, [&](dataplane::ManageAnswer answer) { answered.set_value(answer); });
    dataplane::ManageAnswer answer = answered.get_future().get();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, "GET /providers");
}

TEST(SyncTest, ManagementCallsSayWhenThereIsNoControlPlane) {
    DataPlane dp("dp-1", "127.0.0.1:1");
    std::promise<dataplane::ManageAnswer> answered;
    dp.control().manage({}, [&](dataplane::ManageAnswer answer) { answered.set_value(answer); });
    dataplane::ManageAnswer answer = answered.get_future().get();
    EXPECT_EQ(answer.status, 0U);
    EXPECT_NE(answer.body.find("cannot be reached"), std::string::npos);
}

TEST(SyncTest, ADataPlaneWithAnotherTokenGetsNothing) {
    ControlPlane cp;
    cp.publish({"a"});
    std::filesystem::path said = std::filesystem::temp_directory_path() / ("balancer-refused-" + random_hex(8));
    DataPlane dp("dp-1", cp.address(), "not-the-token", said);
    DataPlane good("dp-2", cp.address());
    ASSERT_TRUE(good.wait_for_provider("a"));
    // It has been refused, and not merely been late.
    EXPECT_TRUE(eventually([&] {
        Result<std::string> words = read_file(said);
        return words && words->find("it refuses this data plane") != std::string::npos;
    }));
    std::filesystem::remove(said);
    EXPECT_FALSE(dp.control().status().connected);
    EXPECT_FALSE(dp.snapshot());
    EXPECT_EQ(cp.rows().size(), 1U);
}

}  // namespace
}  // namespace balancer
