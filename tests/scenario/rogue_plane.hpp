// Data planes that keep to no protocol: what a control plane must bear.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "balancer/v1/data_plane.grpc.pb.h"
#include "base/clock.hpp"
#include "dataplane/control/client_stream.hpp"

namespace balancer::tests {

// One Sync stream on a connection of its own, moved by hand. Blocking, at most a minute in all;
// cancelled at its end. Not thread-safe.
class RoguePlane {
  public:
    RoguePlane(const std::string& address, const std::string& token, std::string id);
    ~RoguePlane();
    RoguePlane(const RoguePlane&) = delete;
    RoguePlane& operator=(const RoguePlane&) = delete;

    bool hello(const std::function<void(v1::Hello&)>& change = {});
    bool send(const v1::SyncRequest& message) { return stream_->Write(message); }

    // The next message of that kind; nothing: the stream has ended.
    std::optional<v1::SyncResponse> read(v1::SyncResponse::MsgCase kind);
    std::optional<v1::Update> read_update();

    // As a good data plane would.
    bool acknowledge(const v1::Update& update);

    // Until the control plane has ended the stream; how. Once.
    grpc::Status wait_for_end();

  private:
    std::string id_;
    std::shared_ptr<grpc::Channel> channel_;
    grpc::ClientContext context_;
    std::unique_ptr<v1::DataPlane::Stub> stub_;
    std::unique_ptr<grpc::ClientReaderWriter<v1::SyncRequest, v1::SyncResponse>> stream_;
    bool finished_ = false;
};

// Many well-behaved data planes, without anything behind them, on one thread: each says Hello,
// acknowledges, and comes back as soon as its stream has ended, unless it is told to wait.
class Crowd {
  public:
    Crowd(std::string address, std::string token, unsigned count);
    ~Crowd();
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    // All streams are cut, and opened anew at once.
    void reconnect();

    // How many have acknowledged (epoch of the newest seen, `seq`) or something newer.
    unsigned at_least(std::uint64_t seq) const;

    unsigned size() const { return static_cast<unsigned>(members_.size()); }

  private:
    using Stream = dataplane::ClientStream<v1::SyncRequest, v1::SyncResponse>;
    struct Member {
        std::string id;
        std::shared_ptr<grpc::Channel> channel;
        std::shared_ptr<Stream> stream;
        std::unique_ptr<boost::asio::steady_timer> timer;
        Milliseconds wait{0};
        std::uint64_t seq = 0;  // under mutex_
    };

    void connect(Member& member);
    void received(Member& member, const v1::SyncResponse& response);

    const std::string address_;
    const std::string token_;
    std::shared_ptr<boost::asio::io_context> loop_ = std::make_shared<boost::asio::io_context>(1);
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Member>> members_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace balancer::tests
