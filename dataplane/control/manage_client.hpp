// Management paths of the client port, answered by the control plane.
#pragma once

#include <grpcpp/channel.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "dataplane/control/control.hpp"

namespace balancer::dataplane {

// Lives on the control thread. Each call ends within its deadline of 10 s, or of 60 s for logins.
class ManageClient {
  public:
    ManageClient(std::shared_ptr<boost::asio::io_context> loop, std::string token);
    ~ManageClient();

    // Null: there is no control plane now.
    void set_channel(std::shared_ptr<grpc::Channel> channel) { channel_ = std::move(channel); }

    // `done` runs on the loop, once; not before this returns.
    void call(ManageCall call, std::function<void(ManageAnswer)> done);

    // Ends what is under way; those calls are answered with status 0.
    void stop();

  private:
    struct Pending;

    std::shared_ptr<boost::asio::io_context> loop_;
    std::string token_;
    std::shared_ptr<grpc::Channel> channel_;
    std::unordered_set<std::shared_ptr<Pending>> pending_;
};

}  // namespace balancer::dataplane
