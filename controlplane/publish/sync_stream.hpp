// The sending half of one data plane's Sync call, as the publisher sees it.
#pragma once

#include "balancer/v1/data_plane.pb.h"

namespace balancer::controlplane {

// Implemented over gRPC by DataPlaneService and by hand in tests. Used on the control plane's loop
// only.
class SyncStream {
  public:
    virtual ~SyncStream() = default;

    // Queues; the order is kept. After finish() nothing is taken.
    virtual void send(v1::SyncResponse message) = 0;

    // True while something queued has not been handed to the transport: the peer reads slowly or
    // not at all.
    virtual bool busy() const = 0;

    // Ends the call after what is queued, or without it when the peer does not take it within a
    // second.
    virtual void finish() = 0;
};

}  // namespace balancer::controlplane
