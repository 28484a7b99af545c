// A control plane that does what a test tells it, step by step.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "balancer/v1/data_plane.grpc.pb.h"

namespace balancer::samples {

// Blocking streams on gRPC's threads; what the functions use must outlive this.
class HandMade final : public v1::DataPlane::Service {
  public:
    using SyncStream = grpc::ServerReaderWriter<v1::SyncResponse, v1::SyncRequest>;
    using ReportStream = grpc::ServerReaderWriter<v1::ReportResponse, v1::ReportRequest>;

    HandMade() {
        grpc::ServerBuilder builder;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
        builder.RegisterService(this);
        server_ = builder.BuildAndStart();
    }
    ~HandMade() override { server_->Shutdown(std::chrono::system_clock::now()); }

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

    grpc::Status Sync(grpc::ServerContext*, SyncStream* stream) override {
        on_sync(*stream);
        // Until the data plane or the server ends it.
        v1::SyncRequest ignored;
        while (stream->Read(&ignored)) {
        }
        return grpc::Status::OK;
    }

    grpc::Status Report(grpc::ServerContext*, ReportStream* stream) override {
        return on_report(*stream);
    }

    // The next message that is not a heartbeat.
    static v1::SyncRequest read(SyncStream& stream) {
        v1::SyncRequest message;
        while (stream.Read(&message) && message.has_heartbeat()) {
        }
        return message;
    }

    static void welcome(SyncStream& stream) {
        v1::SyncResponse message;
        message.mutable_welcome()->set_epoch(1);
        message.mutable_welcome()->set_report_interval_ms(100);
        stream.Write(message);
    }

    static v1::SyncRequest exchange(SyncStream& stream, const v1::Update& update) {
        v1::SyncResponse message;
        *message.mutable_update() = update;
        stream.Write(message);
        return read(stream);
    }

    std::function<void(SyncStream&)> on_sync = [](SyncStream&) {};
    std::function<grpc::Status(ReportStream&)> on_report = [](ReportStream& stream) {
        v1::ReportRequest ignored;
        while (stream.Read(&ignored)) {
        }
        return grpc::Status::OK;
    };

  private:
    int port_ = 0;
    std::unique_ptr<grpc::Server> server_;
};

}  // namespace balancer::samples
