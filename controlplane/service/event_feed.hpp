// One WatchEvents call.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "balancer/v1/admin.pb.h"
#include "controlplane/service/event_ring.hpp"

namespace balancer::controlplane {

// Shared by gRPC, until OnDone, and by whoever holds it on the loop. The reactions run on gRPC's
// threads and only post; the methods run on the loop, which outlives the grpc::Server.
//
// It fetches one event when the one before has been taken: a reader that is slow, or stopped, costs
// nothing but its place, and is told what it missed.
class EventFeed final : public grpc::ServerWriteReactor<v1::WatchEventsResponse>,
                        public std::enable_shared_from_this<EventFeed> {
  public:
    EventFeed(
        boost::asio::io_context& loop,
        grpc::CallbackServerContext* context,
        std::shared_ptr<EventRing> ring,
        const v1::WatchEventsRequest& request
    );

    // Once, inside the service's method.
    void start() { self_ = shared_from_this(); }

    // Sends what there is, unless something is under way. The first one looks at the request.
    void pump();

    void finish(const grpc::Status& status);

  private:
    enum class Phase { kOpen, kFinished, kDone };

    void OnWriteDone(bool ok) override;
    void OnCancel() override { finish_now(grpc::Status::CANCELLED); }
    void OnDone() override;

    bool begin();
    void finish_now(const grpc::Status& status);

    boost::asio::io_context& loop_;
    grpc::CallbackServerContext* context_;  // until OnDone
    std::shared_ptr<EventRing> ring_;
    const std::string since_;
    const bool follow_;
    std::set<std::string, std::less<>> types_;
    std::shared_ptr<EventFeed> self_;  // what gRPC holds

    // On the loop.
    EventRing::Place place_;
    v1::WatchEventsResponse message_;
    bool begun_ = false;
    bool writing_ = false;

    std::mutex mutex_;  // each operation is started under it
    Phase phase_ = Phase::kOpen;
};

}  // namespace balancer::controlplane
