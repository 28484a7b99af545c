// What the workers of one process share. Everything here is thread-safe and lock-free on the request path.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/log.hpp"
#include "dataplane/coalesce/claim_table.hpp"
#include "dataplane/control/control.hpp"
#include "dataplane/counting/counting_thread.hpp"
#include "dataplane/models/model_call.hpp"
#include "dataplane/sticky_table.hpp"
#include "dataplane/wire/signature.hpp"
#include "model/provider_slots.hpp"

namespace balancer::dataplane {

// Counters that all workers write are a cache line apart.
struct alignas(64) SharedCount {
    std::atomic<std::uint32_t> value{0};
};

// Requests in flight at each provider, for those with a limit (max_concurrency, or all candidates benched).
class InFlightCounts {
  public:
    // Counts one more, unless `limit` are in flight already.
    bool take(ProviderSlot slot, std::uint32_t limit) {
        std::atomic<std::uint32_t>& count = counts_[slot.value()].value;
        std::uint32_t now = count.load(std::memory_order_relaxed);
        while (now < limit) {
            if (count.compare_exchange_weak(now, now + 1, std::memory_order_relaxed)) return true;
        }
        return false;
    }
    void give_back(ProviderSlot slot) { counts_[slot.value()].value.fetch_sub(1, std::memory_order_relaxed); }

  private:
    std::array<SharedCount, kProviderSlotsMax> counts_{};
};

struct ProcessState {
    explicit ProcessState(Log& l) : log(l) {}

    Log& log;
    std::string id;             // the replica's name
    unsigned workers = 1;
    StickyTable sticky;
    InFlightCounts in_flight;
    ClaimTable claims;
    wire::SignatureSecret signature_secret;
    std::array<SharedCount, 256> round_robin{};  // by the route's place in the snapshot
    std::atomic<bool> draining{false};
    // Set before the workers start, never changed after.
    std::function<void(AttemptOutcome)> report;
    std::function<void(ManageCall, std::function<void(ManageAnswer)>)> manage;
    std::function<void(CountCall, CountDone)> count_tokens;
    std::function<void(ModelCall, ModelDone)> list_models;
};

}  // namespace balancer::dataplane
