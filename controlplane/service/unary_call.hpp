// One unary call that the control plane's loop answers in its own time.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <utility>

namespace balancer::controlplane {

// Shared by gRPC, until OnDone, and by whoever is to answer. Thread-safe.
template <class Response>
class UnaryCall final : public grpc::ServerUnaryReactor,
                        public std::enable_shared_from_this<UnaryCall<Response>> {
  public:
    explicit UnaryCall(Response* response) : response_(response) {}

    // Once, inside the service's method.
    void start() { self_ = this->shared_from_this(); }

    // The first answer counts; one that comes after the client has gone is dropped.
    void answer(Response response) {
        std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
        *response_ = std::move(response);
        this->Finish(grpc::Status::OK);
    }

    void fail(const grpc::Status& status) {
        std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
        this->Finish(status);
    }

  private:
    // Also what lets a server shut down while an answer is still owed.
    void OnCancel() override { fail(grpc::Status::CANCELLED); }

    void OnDone() override {
        std::shared_ptr<UnaryCall> self;
        std::lock_guard lock(mutex_);
        self = std::move(self_);
    }

    std::mutex mutex_;
    bool finished_ = false;
    Response* response_;  // gRPC's, until Finish
    std::shared_ptr<UnaryCall> self_;
};

}  // namespace balancer::controlplane
