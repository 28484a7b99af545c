// Provider health as one data plane acts on it: what it saw itself, joined with what the fleet
// says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "balancer/v1/config.pb.h"
#include "base/clock.hpp"
#include "model/health.hpp"
#include "model/provider_slots.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// Sans-I/O; lives on the control thread. A provider generation (etag) has one record: outcomes and
// fleet entries of another generation are ignored, and a new one starts clean.
class LocalBreaker {
  public:
    explicit LocalBreaker(const ProviderSlots& slots) : slots_(slots) {}

    // Takes the providers and the policy of a new snapshot.
    void configure(const Snapshot& snapshot);

    // Takes the fleet's view, as published in `epoch`. A generation that grows and shows a closed
    // circuit without failures voids the local record too: this is how a reset, or another data
    // plane's success, gets here. Generations of different epochs cannot be compared. True when
    // view() changed.
    bool fleet(const v1::HealthSection& section, std::uint64_t epoch);

    // True when view() changed.
    bool record(const AttemptOutcome& outcome, UnixMs now);

    // Forgets what is over. True when view() may have changed.
    bool age(UnixMs now);

    // When age() is next of use; none: not before something happens.
    std::optional<UnixMs> next_expiry(UnixMs now) const;

    std::shared_ptr<const HealthView> view(UnixMs now) const;

  private:
    struct Fleet {
        UnixMs open_until = 0;  // 0: closed
        std::uint32_t failure_count = 0;
        std::string cause;
        bool operator==(const Fleet&) const = default;
    };
    struct Entry {
        ProviderSlot slot;
        std::string etag;
        HealthRecord record;
        Fleet fleet;
        std::uint64_t epoch = 0;  // in which `generation` was seen; 0: none
        std::uint64_t generation = 0;
    };

    static bool take(Entry& entry, const v1::ProviderHealth& health, std::uint64_t epoch);
    static ProviderCondition condition_of(const Entry& entry, UnixMs now);

    const ProviderSlots& slots_;
    HealthPolicy policy_;
    std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace balancer::dataplane
