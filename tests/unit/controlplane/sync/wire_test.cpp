// One end of the sync protocol against a hand-made other one.
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include "model/protocol.hpp"
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "hand_made.hpp"
#include "planes.hpp"

namespace balancer {
namespace {

using samples::ControlPlane;
using samples::DataPlane;
using samples::eventually;
using samples::HandMade;

// A data plane made of a blocking stub.
class RawDataPlane {
  public:
    RawDataPlane(const std::string& address, const std::string& token = samples::kToken)
        : token_(token),
          stub_(v1::DataPlane::NewStub(
              grpc::CreateChannel(address, grpc::InsecureChannelCredentials())
          )) {}

    struct SyncCall {
        grpc::ClientContext context;
        std::unique_ptr<grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>> stream;

        bool send_hello(v1::Hello hello) {
            v1::SyncRequest message;
            hello.set_protocol_major(1);
            *message.mutable_hello() = std::move(hello);
            return stream->Write(message);
        }

        // The next Update, acknowledged or not; a default one when the stream ends.
        v1::Update next_update() {
            v1::SyncResponse message;
            while (stream->Read(&message)) {
                if (message.has_update()) return message.update();
                if (message.has_goaway()) goaway = message.goaway();
            }
            return {};
        }

        void acknowledge(const v1::Update& update) {
            v1::SyncRequest message;
            message.mutable_ack()->set_nonce(update.nonce());
            *message.mutable_ack()->mutable_applied() = update.version();
            stream->Write(message);
        }

        v1::Goaway goaway;
    };

    std::unique_ptr<SyncCall> sync() {
        auto call = std::make_unique<SyncCall>();
        prepare(call->context);
        call->stream = stub_->Sync(&call->context);
        return call;
    }

    std::uint64_t report(const v1::ReportRequest& request) { return reports({request}); }

    std::unique_ptr<SyncCall> sync(const std::string& dp_id) {
        auto call = sync();
        v1::Hello hello;
        hello.set_dp_id(dp_id);
        hello.set_instance_id("raw");
        call->send_hello(hello);
        return call;
    }

    // Sends reports on a stream of their own, one after the other, and returns the number that was
    // acknowledged last, 0: none.
    std::uint64_t reports(const std::vector<v1::ReportRequest>& requests) {
        grpc::ClientContext context;
        prepare(context);
        auto stream = stub_->Report(&context);
        std::uint64_t acked = 0;
        for (const v1::ReportRequest& request : requests) {
            stream->Write(request);
            v1::ReportResponse response;
            if (stream->Read(&response)) acked = response.acked_report_seq();
        }
        stream->WritesDone();
        status = stream->Finish();
        return acked;
    }

    grpc::Status manage() {
        grpc::ClientContext context;
        prepare(context);
        v1::ManageResponse response;
        return stub_->Manage(&context, {}, &response);
    }

    grpc::Status status;

  private:
    void prepare(grpc::ClientContext& context) {
        context.AddMetadata("authorization", "Bearer " + token_);
        context.set_deadline(std::chrono::system_clock::now() + samples::kPatience);
    }

    std::string token_;
    std::unique_ptr<v1::DataPlane::Stub> stub_;
};

TEST(WireTest, UnchangedSectionsAreLeftOut) {
    ControlPlane cp;
    cp.publish({"a", "b", "c", "d"});
    RawDataPlane raw(cp.address());
    auto call = raw.sync("dp-1");
    v1::Update full = call->next_update();
    ASSERT_EQ(full.sections_size(), 3);
    call->acknowledge(full);
    cp.reset("a");
    v1::Update health_only = call->next_update();
    ASSERT_EQ(health_only.sections_size(), 3);
    EXPECT_TRUE(health_only.sections(0).unchanged());
    EXPECT_TRUE(health_only.sections(0).payload().empty());
    EXPECT_FALSE(health_only.sections(1).payload().empty());
    EXPECT_LT(health_only.ByteSizeLong(), full.ByteSizeLong() / 2);

    v1::Hello hello;
    hello.set_dp_id("dp-1");
    hello.set_instance_id("raw");
    *hello.mutable_applied() = health_only.version();
    for (const v1::Section& section : health_only.sections()) {
        (*hello.mutable_section_sha256())[section.kind()] = section.sha256();
    }
    auto again = raw.sync();
    again->send_hello(hello);
    v1::Update nothing_new = again->next_update();
    ASSERT_EQ(nothing_new.sections_size(), 3);
    for (const v1::Section& section : nothing_new.sections()) EXPECT_TRUE(section.unchanged());
    call->context.TryCancel();
    again->context.TryCancel();
}

TEST(WireTest, EveryCallNeedsTheToken) {
    ControlPlane cp;
    cp.publish({"a"});
    for (const char* token : {"", "token-of-the-data-plane", "token-of-the-data-planeS"}) {
        RawDataPlane raw(cp.address(), token);
        auto call = raw.sync("dp-1");
        EXPECT_EQ(call->next_update().sections_size(), 0);
        grpc::Status status = call->stream->Finish();
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
        EXPECT_NE(status.error_message().find("dataplane.token"), std::string::npos);
        EXPECT_EQ(raw.report({}), 0U);
        EXPECT_EQ(raw.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
        EXPECT_EQ(raw.manage().error_code(), grpc::StatusCode::UNAUTHENTICATED);
    }
    EXPECT_TRUE(RawDataPlane(cp.address()).manage().ok());
}

TEST(WireTest, IdsOfAnotherShapeAreRefused) {
    ControlPlane cp;
    cp.publish({"a"});
    RawDataPlane raw(cp.address());
    for (const std::string& id : {std::string(), std::string("a b"), std::string(65, 'x')}) {
        auto call = raw.sync(id);
        EXPECT_EQ(call->next_update().sections_size(), 0);
        EXPECT_EQ(call->stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    }
    v1::ReportRequest report;
    report.set_dp_id("../etc");
    EXPECT_EQ(raw.report(report), 0U);
    EXPECT_EQ(raw.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_TRUE(cp.rows().empty());
    EXPECT_TRUE(is_data_plane_id(std::string(64, 'x')));
}

v1::ReportRequest report_of(const std::string& dp_id, const std::string& instance) {
    v1::ReportRequest report;
    report.set_dp_id(dp_id);
    report.set_instance_id(instance);
    report.set_report_seq(4);
    report.add_signals()->set_provider("a");
    report.add_counters()->set_provider("a");
    report.mutable_counters(0)->set_attempts(1);
    return report;
}

TEST(WireTest, AReportCountsWhenItsProcessIsConnectedAndWaitsOtherwise) {
    ControlPlane cp;
    cp.publish({"a"});
    RawDataPlane raw(cp.address());
    auto refused = [&](const std::string& dp_id, const std::string& instance) {
        return raw.report(report_of(dp_id, instance)) == 0 &&
               raw.status.error_code() == grpc::StatusCode::UNAVAILABLE;
    };
    EXPECT_TRUE(refused("dp-1", "raw")) << raw.status.error_message();
    auto call = raw.sync("dp-1");
    ASSERT_EQ(call->next_update().sections_size(), 3);
    EXPECT_TRUE(refused("dp-1", "another"));
    EXPECT_TRUE(refused("dp-2", "raw"));
    EXPECT_EQ(cp.signals_taken(), 0U);
    EXPECT_EQ(cp.attempts("a"), 0U);
    EXPECT_EQ(raw.report(report_of("dp-1", "raw")), 4U);
    EXPECT_EQ(cp.signals_taken(), 1U);

    call->context.TryCancel();
    ASSERT_TRUE(eventually([&] { return !cp.rows().at(0).connected(); }));
    EXPECT_TRUE(refused("dp-1", "raw")) << "it has gone";
}

TEST(WireTest, AReportCallSpeaksForOneDataPlane) {
    ControlPlane cp;
    cp.publish({"a"});
    RawDataPlane raw(cp.address());
    auto first = raw.sync("dp-1");
    auto second = raw.sync("dp-2");
    ASSERT_EQ(first->next_update().sections_size(), 3);
    ASSERT_EQ(second->next_update().sections_size(), 3);
    EXPECT_EQ(raw.reports({report_of("dp-1", "raw"), report_of("dp-2", "raw")}), 4U);
    EXPECT_EQ(raw.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(cp.signals_taken(), 1U);
    first->context.TryCancel();
    second->context.TryCancel();
}

TEST(WireTest, AReportSentAgainCountsOnce) {
    ControlPlane cp;
    cp.publish({"a"});
    RawDataPlane raw(cp.address());
    auto call = raw.sync("dp-1");
    ASSERT_EQ(call->next_update().sections_size(), 3);
    v1::ReportRequest report = report_of("dp-1", "raw");
    EXPECT_EQ(raw.report(report), 4U);
    EXPECT_EQ(raw.report(report), 4U) << "a repeat is acknowledged too, or it would come for ever";
    EXPECT_EQ(cp.signals_taken(), 1U);
    report.set_report_seq(5);
    EXPECT_EQ(raw.report(report), 5U);
    EXPECT_EQ(cp.signals_taken(), 2U);
    call->context.TryCancel();
}

TEST(WireTest, ADataPlaneThatNeverAcknowledgesIsSentAway) {
    controlplane::PublisherTimes times;
    times.ack_max = Milliseconds(100);
    ControlPlane cp(1, 0, times);
    cp.publish({"a"});
    RawDataPlane raw(cp.address());
    auto call = raw.sync("dp-1");
    EXPECT_EQ(call->next_update().sections_size(), 3);
    EXPECT_EQ(call->next_update().sections_size(), 0);
    EXPECT_NE(call->goaway.detail().find("acknowledgement"), std::string::npos);
    EXPECT_TRUE(call->stream->Finish().ok());
}

TEST(WireTest, AServerWithStreamsThatNobodyReadsStillStops) {
    ControlPlane cp;
    // More than the windows of HTTP/2 take: the write is pending.
    std::vector<std::string> names;
    for (int i = 0; i < 64; ++i) names.push_back(std::to_string(i) + std::string(60'000, 'x'));
    cp.publish(names);
    RawDataPlane raw(cp.address());
    auto call = raw.sync("dp-1");
    ASSERT_TRUE(eventually([&] { return cp.rows().size() == 1; }));
    SteadyTime begin = steady_now();
    cp.stop();
    EXPECT_LT(elapsed_ms(begin, steady_now()), 4'000);
    call->context.TryCancel();
}

TEST(WireTest, APayloadWithAnotherDigestIsRefusedAndTheSnapshotStays) {
    std::promise<std::pair<v1::SyncRequest, v1::SyncRequest>> answers;
    HandMade cp;
    cp.on_sync = [&, first = true](HandMade::SyncStream& stream) mutable {
        if (!std::exchange(first, false)) return;
        HandMade::read(stream);
        HandMade::welcome(stream);
        auto good = HandMade::exchange(
            stream, samples::update(samples::version(1, 1), samples::config({"a"}))
        );
        v1::Update bad = samples::update(samples::version(1, 2), samples::config({"b"}));
        bad.mutable_sections(0)->set_sha256(std::string(32, 'x'));
        answers.set_value({good, HandMade::exchange(stream, bad)});
    };
    DataPlane dp("dp-1", cp.address());
    auto answered = answers.get_future();
    ASSERT_EQ(answered.wait_for(samples::kPatience), std::future_status::ready);
    auto [good, bad] = answered.get();
    EXPECT_TRUE(good.has_ack());
    ASSERT_TRUE(bad.has_nack());
    EXPECT_EQ(bad.nack().code(), v1::NACK_CODE_DIGEST);
    EXPECT_EQ(bad.nack().rejected().seq(), 2U);
    EXPECT_EQ(bad.nack().still_applied().seq(), 1U);
    EXPECT_TRUE(dp.snapshot()->find_provider("a"));
    EXPECT_EQ(dp.control().status().updates_refused, 1U);
}

// Whoever refuses what the fleet says hears of no end of a bench either: it must try by itself.
TEST(WireTest, ABenchOfTheFleetDoesNotOutlastARefusedUpdate) {
    HandMade cp;
    cp.on_sync = [&](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        v1::HealthSection benched;
        v1::ProviderHealth& health = *benched.add_providers();
        health.set_provider("a");
        health.set_etag("a-1");
        health.set_circuit(v1::CIRCUIT_OPEN);
        health.set_generation(1);
        health.set_until_ms(static_cast<std::uint64_t>(unix_now()) + 500);
        v1::ConfigSection config = samples::config({"a"});
        // It goes by a fifth of this for how long it waits before it tries alone.
        config.mutable_settings()->mutable_health()->set_failure_cooldown_ms(1'000);
        HandMade::exchange(stream, samples::update(samples::version(1, 1), config, benched));
        v1::ConfigSection unknown = config;
        unknown.set_schema(99);
        HandMade::exchange(stream, samples::update(samples::version(1, 2), unknown));
    };
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_until_benched("a"));
    EXPECT_TRUE(dp.wait_for_condition("a", [](const ProviderCondition& a) { return a.probe != nullptr; }));
    EXPECT_TRUE(dp.control().status().connected);
}

TEST(WireTest, AReportThatWasNotAcknowledgedIsSentAgainAsItWas) {
    std::mutex mutex;
    std::vector<v1::ReportRequest> reports;
    HandMade cp;  // its handlers use the others
    cp.on_sync = [](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        HandMade::exchange(stream, samples::update(samples::version(1, 1), samples::config({"a"})));
    };
    cp.on_report = [&](HandMade::ReportStream& stream) {
        v1::ReportRequest report;
        if (!stream.Read(&report)) return grpc::Status::OK;
        std::lock_guard lock(mutex);
        reports.push_back(report);
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "lost");
    };
    DataPlane dp("dp-1", cp.address());
    ASSERT_TRUE(dp.wait_for_provider("a"));
    dp.control().report(samples::failure("a", unix_now()));
    ASSERT_TRUE(eventually([&] {
        std::lock_guard lock(mutex);
        return reports.size() >= 2;
    }));
    std::lock_guard lock(mutex);
    EXPECT_EQ(reports[0].report_seq(), reports[1].report_seq());
    for (v1::ReportRequest& report : reports) report.clear_sent_at_ms();
    EXPECT_EQ(reports[0].SerializeAsString(), reports[1].SerializeAsString());
}

TEST(WireTest, AGoawayIsObeyedAndTheDataPlaneComesBack) {
    std::atomic<int> calls = 0;
    HandMade cp;
    cp.on_sync = [&](HandMade::SyncStream& stream) {
        HandMade::read(stream);
        HandMade::welcome(stream);
        if (++calls > 1) return;
        v1::SyncResponse message;
        message.mutable_goaway()->set_reason(v1::Goaway::SHUTDOWN);
        stream.Write(message);
    };
    DataPlane dp("dp-1", cp.address());
    EXPECT_TRUE(eventually([&] { return calls == 2; }));
    EXPECT_TRUE(eventually([&] { return dp.control().status().connected; }));
}

TEST(WireTest, StopsPromptlyWhateverItIsWaitingFor) {
    // A listener that accepts in its backlog and never says a word.
    int mute = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(where);
    ASSERT_EQ(::bind(mute, reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
    ASSERT_EQ(::listen(mute, 8), 0);
    ASSERT_EQ(::getsockname(mute, reinterpret_cast<sockaddr*>(&where), &length), 0);

    HandMade quiet;  // takes the call and never welcomes
    ControlPlane cp;
    cp.publish({"a"});
    for (const std::string& address :
         {std::string("127.0.0.1:1"),
          "127.0.0.1:" + std::to_string(ntohs(where.sin_port)),
          quiet.address(),
          cp.address()}) {
        for (bool settled : {false, true}) {
            auto dp = std::make_unique<DataPlane>("dp-1", address);
            if (settled && address == cp.address()) EXPECT_TRUE(dp->wait_for_provider("a"));
            // Long enough for the others to be in the middle of what they wait for.
            if (settled && address != cp.address()) std::this_thread::sleep_for(Milliseconds(100));
            SteadyTime begin = steady_now();
            dp->control().stop();
            dp->control().stop();  // once is enough, twice does no harm
            dp.reset();
            EXPECT_LT(elapsed_ms(begin, steady_now()), 4'000) << address;
        }
    }
    ::close(mute);
}

TEST(WireTest, AControlThatWasNeverStartedCanBeDestroyed) {
    Log log("test");
    dataplane::Control control({{}, "", {}, "dp"}, {}, log);
    EXPECT_FALSE(control.status().connected);
}

}  // namespace
}  // namespace balancer
