// Data planes that lie, refuse, flood and boast: none is believed for nothing, and nothing grows.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/scenario/stress_fixture.hpp"

namespace balancer::tests {
namespace {

std::size_t lines_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
}

TEST_F(Stress, ALoopOfRefusalsAndReconnectsFillsNoLog) {
    std::size_t before = lines_of(control_plane_log());
    SteadyTime until = steady_now() + std::chrono::seconds(4);
    std::thread loop([&] {
        while (steady_now() < until) {
            RoguePlane liar = rogue("liar");
            // Digests that it does not hold: the update leaves out what it has not got.
            if (!liar.hello()) continue;
            for (int i = 0; i < 2; ++i) {
                std::optional<v1::Update> update = liar.read_update();
                if (!update) break;
                v1::SyncRequest refusal;
                refusal.mutable_nack()->set_nonce(update->nonce());
                *refusal.mutable_nack()->mutable_rejected() = update->version();
                refusal.mutable_nack()->set_code(v1::NACK_CODE_INVALID);
                v1::ResourceError& error = *refusal.mutable_nack()->add_errors();
                error.set_resource("section/config");
                error.set_message(std::string(100'000, 'x'));
                if (!liar.send(refusal) || i == 1) break;
            }
        }
    });
    std::uint64_t changes = 0;
    while (steady_now() < until && !HasFailure()) {
        change_is_prompt();
        ++changes;
    }
    loop.join();
    v1::DataPlaneView shown = view("liar");
    EXPECT_FALSE(shown.in_sync());
    EXPECT_GT(shown.last_nack_at_ms(), 0);
    EXPECT_LT(shown.last_nack().size(), 3'000U);
    // A change leaves two lines (the call, the version); what the liar does, a few in a second.
    std::size_t lines = lines_of(control_plane_log()) - before - 2 * changes;
    EXPECT_LT(lines, 150U);
    EXPECT_LT(std::filesystem::file_size(control_plane_log()), 2U << 20);
}

TEST_F(Stress, LiesAreNotBelieved) {
    RoguePlane liar = rogue("liar");
    ASSERT_TRUE(liar.hello());
    std::optional<v1::Update> update = liar.read_update();
    ASSERT_TRUE(update);
    v1::SyncRequest heartbeat;
    *heartbeat.mutable_heartbeat()->mutable_applied() = update->version();
    heartbeat.mutable_heartbeat()->set_ready(true);
    ASSERT_TRUE(liar.send(heartbeat));
    heartbeat.mutable_heartbeat()->mutable_applied()->set_seq(~0ULL);
    heartbeat.mutable_heartbeat()->set_last_seen_head_seq(~0ULL);
    ASSERT_TRUE(liar.send(heartbeat));
    ASSERT_TRUE(Fleet::eventually([&] { return view("liar").ready(); }));
    EXPECT_FALSE(view("liar").in_sync()) << "it has acknowledged nothing";
    EXPECT_EQ(view("liar").applied().seq(), 0U);

    v1::SyncRequest ack;
    ack.mutable_ack()->set_nonce(update->nonce() + 77);
    *ack.mutable_ack()->mutable_applied() = update->version();
    ASSERT_TRUE(liar.send(ack));
    ack.mutable_ack()->set_nonce(update->nonce());
    ack.mutable_ack()->mutable_applied()->set_seq(update->version().seq() + 1);
    ASSERT_TRUE(liar.send(ack));
    EXPECT_TRUE(liar.read(v1::SyncResponse::kGoaway));
    ASSERT_TRUE(Fleet::eventually([&] { return !view("liar").connected(); }));
    EXPECT_NE(view("liar").gone_reason().find("was not sent"), std::string::npos);
    change_is_prompt();
}

TEST_F(Stress, AFloodIsCutOff) {
    RoguePlane flood = rogue("flood");
    ASSERT_TRUE(flood.hello());
    std::optional<v1::Update> update = flood.read_update();
    ASSERT_TRUE(update);
    ASSERT_TRUE(flood.acknowledge(*update));
    v1::SyncRequest answer;
    answer.mutable_ack()->set_nonce(1'000'000);
    int taken = 0;
    while (taken < 200'000 && flood.send(answer)) ++taken;
    EXPECT_LT(taken, 200'000);
    ASSERT_TRUE(Fleet::eventually([&] { return !view("flood").connected(); }));
    change_is_prompt();
}

TEST_F(Stress, WhatIsTooLongOrTooLargeIsCutOrRefused) {
    RoguePlane long_name = rogue(std::string(65, 'n'));
    long_name.hello();
    EXPECT_EQ(long_name.wait_for_end().error_code(), grpc::StatusCode::INVALID_ARGUMENT);

    RoguePlane huge = rogue("huge");
    huge.hello([](v1::Hello& hello) { hello.set_build(std::string(32 << 20, 'b')); });
    EXPECT_EQ(huge.wait_for_end().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(view("huge").dp_id(), "");

    RoguePlane wordy = rogue("wordy");
    ASSERT_TRUE(wordy.hello([](v1::Hello& hello) { hello.set_build(std::string(1 << 20, 'b')); }));
    std::optional<v1::Update> update = wordy.read_update();
    ASSERT_TRUE(update);
    v1::SyncRequest ack;
    ack.mutable_ack()->set_nonce(update->nonce());
    *ack.mutable_ack()->mutable_applied() = update->version();
    for (int i = 0; i < 10'000; ++i) {
        ack.mutable_ack()->add_quarantined()->set_resource(std::string(300, 'q'));
    }
    ASSERT_TRUE(wordy.send(ack));
    ASSERT_TRUE(Fleet::eventually([&] { return view("wordy").in_sync(); }));
    EXPECT_LT(view("wordy").ByteSizeLong(), 30'000U);
    change_is_prompt();
}

TEST_F(Stress, AbsurdReportsDoNotSpoilTheNumbers) {
    RoguePlane boaster = rogue("boaster");
    ASSERT_TRUE(boaster.hello());
    std::optional<v1::Update> update = boaster.read_update();
    ASSERT_TRUE(update);
    ASSERT_TRUE(boaster.acknowledge(*update));
    auto channel = dataplane::make_channel(grpc_address());
    auto stub = v1::DataPlane::NewStub(channel);
    grpc::ClientContext context;
    dataplane::set_token(context, fleet_.data_plane_token());
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    auto stream = stub->Report(&context);
    std::string etag;
    v1::ListProvidersResponse all =
        admin(&v1::Admin::Stub::ListProviders, v1::ListProvidersRequest());
    for (const v1::ProviderView& each : all.providers()) {
        if (each.provider().name() == "a") etag = each.provider().etag();
    }
    for (std::uint64_t number = 1; number <= 20; ++number) {
        v1::ReportRequest report;
        report.set_dp_id("boaster");
        report.set_instance_id("instance-of-boaster");
        report.set_report_seq(number);
        v1::Counters& absurd = *report.add_counters();
        absurd.set_provider("a");
        absurd.set_attempts(~0ULL);
        absurd.set_successes(5);
        for (std::uint64_t i = 0; i < 200; ++i) {
            v1::Counters& invented = *report.add_counters();
            invented.set_provider(fmt::format("invented-{}-{}", number, i));
            (*invented.mutable_failures())[4'000'000'000U] = i;
        }
        v1::Signal& signal = *report.add_signals();
        signal.set_provider("a");
        signal.set_etag(etag);
        signal.set_failure(v1::FAILURE_CLASS_UPSTREAM_5XX);
        signal.set_at_ms(unix_now() + 86'400'000);
        signal.set_started_at_ms(unix_now() + 86'400'000);
        signal.set_detail(std::string(100'000, 'd'));
        ASSERT_TRUE(stream->Write(report));
        v1::ReportResponse response;
        ASSERT_TRUE(stream->Read(&response));
        EXPECT_EQ(response.acked_report_seq(), number);
    }
    context.TryCancel();
    v1::ReportResponse ignored;
    while (stream->Read(&ignored)) {
    }
    stream->Finish();
    v1::ListProvidersRequest request;
    request.set_name("a");
    v1::ListProvidersResponse shown = admin(&v1::Admin::Stub::ListProviders, request);
    ASSERT_EQ(shown.providers_size(), 1);
    EXPECT_LT(shown.providers(0).totals().attempts(), 1'000'000U);
    EXPECT_LT(shown.ByteSizeLong(), 100'000U);
    for (const v1::Signal& signal : shown.providers(0).recent_failures()) {
        EXPECT_LE(signal.at_ms(), unix_now());
    }
    change_is_prompt();
}

TEST_F(Stress, AQuarantinedProviderIsShownWithItsReason) {
    RoguePlane picky = rogue("picky");
    ASSERT_TRUE(picky.hello());
    std::optional<v1::Update> update = picky.read_update();
    ASSERT_TRUE(update);
    v1::SyncRequest ack;
    ack.mutable_ack()->set_nonce(update->nonce());
    *ack.mutable_ack()->mutable_applied() = update->version();
    v1::ResourceError& error = *ack.mutable_ack()->add_quarantined();
    error.set_resource("provider/spare");
    error.set_field_path("type");
    error.set_message("this build does not know it");
    ASSERT_TRUE(picky.send(ack));
    ASSERT_TRUE(Fleet::eventually([&] { return view("picky").in_sync(); }));
    for (std::vector<std::string> words :
         {std::vector<std::string>{"dataplanes", "list"}, {"dataplanes", "get", "picky"}}) {
        EXPECT_EQ(ctl(words), 0);
        EXPECT_NE(
            said_.find("provider/spare: type: this build does not know it"), std::string::npos
        ) << said_;
    }
}

}  // namespace
}  // namespace balancer::tests
