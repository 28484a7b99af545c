// One bidirectional call on the server's side, with everything that matters moved to the control
// plane's loop.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace balancer::controlplane {

// Shared by gRPC, until OnDone, and by whoever holds it on the loop. The reactions run on gRPC's
// threads and only post; the handlers and the methods run on the loop, which must outlive the
// grpc::Server.
//
// Finish is sent once on every path. OnCancel sends it without the loop, so that a server's
// shutdown ends even when the loop has stopped; for this, each operation is started under a mutex
// that also guards the phase.
template <class Request, class Response>
class ServerStream final : public grpc::ServerBidiReactor<Request, Response>,
                           public std::enable_shared_from_this<ServerStream<Request, Response>> {
  public:
    struct Handlers {
        std::function<void(const Request&)> on_message;
        std::function<void()> on_end;  // once; no message follows
    };

    ServerStream(boost::asio::io_context& loop, grpc::CallbackServerContext* context)
        : loop_(loop), context_(context), grace_(loop) {}

    // Once, inside the service's method.
    void start(Handlers handlers) {
        handlers_ = std::move(handlers);
        self_ = this->shared_from_this();
        this->StartRead(&request_);
    }

    void send(Response message) {
        if (finishing_) return;
        queue_.push_back(std::move(message));
        if (queue_.size() > kQueueMax) {
            finishing_ = true;
            cancel();
            return;
        }
        pump();
    }

    bool busy() const { return !queue_.empty(); }

    // After what is queued. A peer that does not read within a second is cut off.
    void finish(grpc::Status status) {
        if (finishing_) return;
        finishing_ = true;
        final_ = std::move(status);
        pump();
        // A call that is done has posted the cancelling of this timer already, or never will again.
        if (done()) return;
        grace_.expires_after(Milliseconds(1'000));
        grace_.async_wait([self = this->shared_from_this()](const ErrorCode& ec) {
            if (!ec) self->cancel();
        });
    }

  private:
    // Of messages; a peer that keeps asking and never reads is cut off.
    static constexpr std::size_t kQueueMax = 1'000;

    enum class Phase { kOpen, kFinished, kDone };

    void OnReadDone(bool ok) override {
        boost::asio::post(loop_, [self = this->shared_from_this(), ok] { self->read_done(ok); });
    }

    void OnWriteDone(bool ok) override {
        boost::asio::post(loop_, [self = this->shared_from_this(), ok] { self->write_done(ok); });
    }

    void OnCancel() override { finish_now(grpc::Status::CANCELLED); }

    void OnDone() override {
        std::shared_ptr<ServerStream> self;
        {
            std::lock_guard lock(mutex_);
            phase_ = Phase::kDone;
            self = std::move(self_);
        }
        boost::asio::post(loop_, [self] {
            self->grace_.cancel();
            self->ended();
        });
    }

    void read_done(bool ok) {
        if (!ok) {
            ended();
            finish_now(final_);
            return;
        }
        if (handlers_.on_message) handlers_.on_message(request_);
        std::lock_guard lock(mutex_);
        if (phase_ == Phase::kOpen) this->StartRead(&request_);
    }

    void write_done(bool ok) {
        writing_ = false;
        queue_.pop_front();
        if (!ok) queue_.clear();
        pump();
    }

    void pump() {
        if (writing_) return;
        if (queue_.empty()) {
            if (finishing_) finish_now(final_);
            return;
        }
        std::lock_guard lock(mutex_);
        if (phase_ != Phase::kOpen) return;
        writing_ = true;
        this->StartWrite(&queue_.front());
    }

    void finish_now(const grpc::Status& status) {
        std::lock_guard lock(mutex_);
        if (phase_ != Phase::kOpen) return;
        phase_ = Phase::kFinished;
        this->Finish(status);
    }

    void cancel() {
        std::lock_guard lock(mutex_);
        if (phase_ != Phase::kDone) context_->TryCancel();
    }

    bool done() {
        std::lock_guard lock(mutex_);
        return phase_ == Phase::kDone;
    }

    void ended() {
        Handlers handlers = std::exchange(handlers_, {});
        if (handlers.on_end) handlers.on_end();
    }

    boost::asio::io_context& loop_;
    grpc::CallbackServerContext* context_;  // until OnDone
    std::shared_ptr<ServerStream> self_;    // what gRPC holds

    // On the loop.
    Handlers handlers_;
    Request request_;
    std::deque<Response> queue_;
    bool writing_ = false;
    bool finishing_ = false;
    grpc::Status final_;
    boost::asio::steady_timer grace_;

    std::mutex mutex_;
    Phase phase_ = Phase::kOpen;
};

}  // namespace balancer::controlplane
