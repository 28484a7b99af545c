// What happens on every path once the answer is out: connection back to the pool, counters, the access record.
#include "dataplane/exchange/exchange.hpp"

namespace balancer::dataplane {

void Exchange::finish() {
    bool told = record_.outcome == Outcome::kStreamBroken || record_.outcome == Outcome::kShutdown ||
                record_.outcome == Outcome::kInternalError;
    if (client_gone_ && !told) record_.outcome = Outcome::kDownstreamDisconnect;
    record_.duration_ms = elapsed_ms(began_, steady_now());
    be_at(nullptr);
    if (permit_ != nullptr) worker_.process.in_flight.give_back(permit_->slot);
    if (counted_ != nullptr) {
        ProviderMetrics& metrics = worker_.metrics.provider(counted_->slot);
        metrics.in_flight.sub();
        metrics.duration.observe(static_cast<std::uint64_t>(record_.duration_ms));
    }
    let_go();
    worker_.metrics.requests[static_cast<std::size_t>(record_.outcome)].add();
    worker_.access_log.append(record_);
}

}  // namespace balancer::dataplane
