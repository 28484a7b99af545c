// Cuts what a data plane says to what it may be, before anything is done with it.
#pragma once

#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"

namespace balancer::controlplane {

// Pure functions. A data plane that keeps to the protocol never meets these bounds; what one that
// does not sends is kept in rows, records and log lines, and must not grow there.

// Texts and lists are cut.
void bound(v1::SyncRequest& request);

// Signals and counters beyond what one report may carry are dropped, and counters that no process
// can have counted; texts are cut. Times are brought to our clock; those that are ahead of it all
// the same are moved back together, so that none is of the future and their order and lengths stay.
// The beginnings of successes are moved forwards by no more than the sender's clock is known to be
// `behind` (PeerClock).
void bound(v1::ReportRequest& report, UnixMs now, Milliseconds behind = Milliseconds(0));

}  // namespace balancer::controlplane
