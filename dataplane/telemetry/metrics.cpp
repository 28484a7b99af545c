#include "dataplane/telemetry/metrics.hpp"

namespace balancer::dataplane {

void Histogram::observe(std::uint64_t ms) {
    std::size_t i = 0;
    while (i < kLatencyBoundsMs.size() && ms > kLatencyBoundsMs[i]) ++i;
    buckets[i].add();
    sum_ms.add(ms);
}

std::string_view name_of(Outcome outcome) {
    static constexpr std::array<std::string_view, kOutcomes> kNames = {
        "ok",
        "upstream_error",
        "no_route",
        "no_healthy_upstream",
        "retry_budget",
        "stream_broken",
        "downstream_disconnect",
        "bad_request",
        "unauthorized",
        "too_large",
        "overloaded",
        "not_ready",
        "local",
        "shutdown",
        "internal_error",
    };
    return kNames[static_cast<std::size_t>(outcome)];
}

ProviderMetrics& WorkerMetrics::provider(ProviderSlot slot) {
    std::atomic<ProviderMetrics*>& place = providers_[slot.value()];
    ProviderMetrics* found = place.load(std::memory_order_relaxed);
    if (found == nullptr) {
        found = new ProviderMetrics;
        place.store(found, std::memory_order_release);
    }
    return *found;
}

const ProviderMetrics* WorkerMetrics::find(std::size_t slot) const {
    return slot < providers_.size() ? providers_[slot].load(std::memory_order_acquire) : nullptr;
}

WorkerMetrics::~WorkerMetrics() {
    for (auto& place : providers_) delete place.load();
}

}  // namespace balancer::dataplane
