// Provider health as one data plane acts on it: what it saw itself, joined with what the fleet
// says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "balancer/v1/config.pb.h"
#include "base/clock.hpp"
#include "dataplane/control/breaker_scope.hpp"
#include "model/health.hpp"
#include "model/provider_slots.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// Sans-I/O; lives on the control thread. Keeps a BreakerScope for each provider, and one for each
// model of it that has something against it. Outcomes and verdicts of another provider generation
// (etag) are ignored, and a new one starts clean.
class LocalBreaker {
  public:
    // Model names come from clients: more of one provider are not told apart from it.
    static constexpr std::size_t kModelsMax = 64;

    // `dp_id` is this data plane's name in leases.
    LocalBreaker(const ProviderSlots& slots, std::string dp_id, Chance chance)
        : slots_(slots), dp_id_(std::move(dp_id)), chance_(std::move(chance)) {}

    // Takes the providers and the policy of a new snapshot.
    void configure(const Snapshot& snapshot);

    // Takes the fleet's view, as published in `epoch`. True when view() changed. `sender_time` is what the clock that its
    // times are of says now; 0: ours.
    bool fleet(
        const v1::HealthSection& section, std::uint64_t epoch, UnixMs now, UnixMs sender_time = 0
    );

    // The clock was set (ClockWatch).
    void shift(Milliseconds by);

    // True when view() changed. The stream to the control plane has come or gone.
    bool connected(bool yes, UnixMs now);

    // True when view() changed.
    bool record(const AttemptOutcome& outcome, UnixMs now);

    // Takes the steps that time alone makes. True when view() may have changed.
    bool age(UnixMs now);

    // When age() is next of use; none: not before something happens.
    std::optional<UnixMs> next_expiry(UnixMs now) const;

    std::shared_ptr<const HealthView> view() const;

  private:
    struct Entry {
        explicit Entry(const std::string& provider) : whole(provider) {}

        ProviderSlot slot;
        std::string etag;
        BreakerScope whole;
        std::map<std::string, BreakerScope, std::less<>> models;
        std::uint64_t epoch = 0;
        std::uint64_t resets = 0;  // by operators, as told in `epoch`
    };

    FleetVerdict verdict_of(const v1::ProviderHealth& health, std::uint64_t epoch) const;
    bool take_reset(
        Entry& entry, const v1::ProviderHealth& health, std::uint64_t epoch, UnixMs now
    );
    static BreakerScope* scope_of(std::string_view provider, Entry& entry, std::string_view model);
    bool record_probe(Entry& entry, const AttemptOutcome& outcome, UnixMs now);
    bool record_failure(Entry& entry, const AttemptOutcome& outcome, UnixMs now);

    template <class Visit>
    void each_scope(Visit visit) {
        for (auto& [name, entry] : entries_) {
            visit(entry.whole);
            for (auto& [model, scope] : entry.models) visit(scope);
        }
    }

    const ProviderSlots& slots_;
    const std::string dp_id_;
    const Chance chance_;
    HealthPolicy policy_;
    std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace balancer::dataplane
