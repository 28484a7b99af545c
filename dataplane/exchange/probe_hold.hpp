// The one request that may try a half-open provider, as long as it is at it.
#pragma once

#include <utility>

#include "model/health.hpp"

namespace balancer::dataplane {

// Lives in a request for one attempt, no longer than the health view that the ticket is in. An
// attempt that ends without a verdict (the client left) gives the ticket back, and another request
// may try.
class ProbeHold {
  public:
    // Takes the ticket if there is one and nobody else has it.
    explicit ProbeHold(ProbeTicket* ticket)
        : ticket_(ticket != nullptr && ticket->take() ? ticket : nullptr) {}
    ~ProbeHold() {
        if (ticket_ != nullptr) ticket_->give_back();
    }
    ProbeHold(const ProbeHold&) = delete;
    ProbeHold& operator=(const ProbeHold&) = delete;

    bool held() const { return ticket_ != nullptr; }

    // The attempt has a verdict, which whoever gets the ticket reports. Null: it was no probe.
    const ProbeTicket* settle() { return std::exchange(ticket_, nullptr); }

  private:
    ProbeTicket* ticket_;
};

}  // namespace balancer::dataplane
