// One bidirectional call on the client's side, with everything that matters moved to the control
// thread.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace balancer::dataplane {

// Shared by gRPC, until OnDone, and by whoever holds it on the loop. The reactions run on gRPC's
// threads and only post; the handlers and the methods run on the loop. The loop has work until the
// call is done: a loop that has run out of work has no call left.
//
// A hold keeps gRPC from ending the call between two of our operations, which are not started from
// reactions. It is given back once: when a read fails, which is how every end shows first.
template <class Request, class Response>
class ClientStream final : public grpc::ClientBidiReactor<Request, Response>,
                           public std::enable_shared_from_this<ClientStream<Request, Response>> {
  public:
    struct Handlers {
        std::function<void(const Response&)> on_message;
        std::function<void(const grpc::Status&)> on_done;  // once
    };

    explicit ClientStream(std::shared_ptr<boost::asio::io_context> loop)
        : loop_(std::move(loop)), work_(loop_->get_executor()) {}

    grpc::ClientContext& context() { return context_; }

    // Once, after the stub has bound the call to this reactor.
    void start(Handlers handlers) {
        handlers_ = std::move(handlers);
        self_ = this->shared_from_this();
        this->AddHold();
        this->StartRead(&response_);
        this->StartCall();
    }

    void send(Request message) {
        if (!held_ || finishing_) return;
        queue_.push_back(std::move(message));
        pump();
    }

    // Messages that the transport has not taken.
    std::size_t unsent() const { return queue_.size(); }

    // Sends nothing after what is queued; the server ends the call, which on_done tells.
    void finish_writes() {
        finishing_ = true;
        pump();
    }

    // Cancels; no handler runs any more. A TryCancel hides the server's status, so whoever wants
    // that waits for on_done instead.
    void close() {
        handlers_ = {};
        context_.TryCancel();
    }

  private:
    void OnReadDone(bool ok) override {
        boost::asio::post(*loop_, [self = this->shared_from_this(), ok] { self->read_done(ok); });
    }

    void OnWriteDone(bool ok) override {
        boost::asio::post(*loop_, [self = this->shared_from_this(), ok] { self->write_done(ok); });
    }

    void OnDone(const grpc::Status& status) override {
        // The loop must outlive this post, which the control thread may overtake to the end of the
        // Control.
        std::shared_ptr<boost::asio::io_context> loop = loop_;
        boost::asio::post(*loop, [self = std::move(self_), status] { self->done(status); });
    }

    void read_done(bool ok) {
        if (!ok) {
            held_ = false;
            this->RemoveHold();
            return;
        }
        // A handler may close the stream, and with it drop the handler that runs.
        auto on_message = handlers_.on_message;
        if (on_message) on_message(response_);
        this->StartRead(&response_);
    }

    void write_done(bool ok) {
        writing_ = false;
        queue_.pop_front();
        if (!ok) queue_.clear();
        pump();
    }

    void pump() {
        if (writing_ || !held_) return;
        if (queue_.empty()) {
            if (finishing_ && !std::exchange(half_closed_, true)) this->StartWritesDone();
            return;
        }
        writing_ = true;
        this->StartWrite(&queue_.front());
    }

    void done(const grpc::Status& status) {
        Handlers handlers = std::exchange(handlers_, {});
        if (handlers.on_done) handlers.on_done(status);
        work_.reset();
    }

    std::shared_ptr<boost::asio::io_context> loop_;
    std::shared_ptr<ClientStream> self_;  // what gRPC holds
    grpc::ClientContext context_;

    // On the loop.
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    Handlers handlers_;
    Response response_;
    std::deque<Request> queue_;
    bool held_ = true;
    bool writing_ = false;
    bool finishing_ = false;
    bool half_closed_ = false;
};

}  // namespace balancer::dataplane
