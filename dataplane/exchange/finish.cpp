// What happens on every path once the answer is out: connection back to the pool, counters, the access record.
#include "dataplane/exchange/exchange.hpp"

namespace balancer::dataplane {
namespace {

// Not what is asked every few seconds by those who look whether anybody is there.
bool is_worth_remembering(Operation operation) {
    return operation != Operation::kProbe && operation != Operation::kHealth && operation != Operation::kInfo;
}

}  // namespace

void Exchange::finish() {
    bool told = record_.outcome == Outcome::kStreamBroken || record_.outcome == Outcome::kShutdown ||
                record_.outcome == Outcome::kInternalError;
    if (client_gone_ && !told) record_.outcome = Outcome::kDownstreamDisconnect;
    if (own_) record_.readers = own_->joined();
    record_.duration_ms = elapsed_ms(began_, steady_now());
    if (!turns_.empty() && turns_.back().fate == CandidateFate::kUnderWay) {
        end_turn(CandidateFate::kBrokenOff);
    }
    be_at(nullptr);
    give_permit_back();
    if (counted_ != nullptr) {
        ProviderMetrics& metrics = worker_.metrics.provider(counted_->slot);
        metrics.in_flight.sub();
        metrics.duration.observe(static_cast<std::uint64_t>(record_.duration_ms));
    }
    let_go();
    worker_.metrics.requests[static_cast<std::size_t>(record_.outcome)].add();
    worker_.access_log.append(record_);
    over_ = true;
    if (is_worth_remembering(operation_)) {
        worker_.recent.add([this](RequestRecord& into) { recollect(into); });
    }
}

}  // namespace balancer::dataplane
