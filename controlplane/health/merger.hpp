// The fleet's view of provider health: what all data planes report, judged by the configuration's
// policy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"
#include "controlplane/health/totals_ledger.hpp"
#include "model/health.hpp"

namespace balancer::controlplane {

// A pure core: time is an argument, nothing is sent. Lives on the control plane's loop. First rule:
// HealthRecord per provider over the reports of all data planes together; the fleet rule (quorum,
// leased probes, ramp) takes this class's place.
class Merger {
  public:
    Merger();
    ~Merger();

    // Providers that are gone are forgotten; one whose etag changed starts with a clean record.
    void configure(const v1::ConfigSection& config);

    // True when the health section changed. Signals of an older provider generation (another etag)
    // count for nothing.
    bool signal(std::string_view dp_id, const v1::Signal& signal, UnixMs now);

    // Cumulative counters of one data-plane process; repeats do no harm.
    void counters(
        std::string_view dp_id,
        std::string_view instance_id,
        const google::protobuf::RepeatedPtrField<v1::Counters>& counters
    );

    // Circuits whose time is over close; old failures are forgotten. True when the section changed.
    bool age(UnixMs now);

    // Closes a provider's circuit and forgets its failures. The generation grows even when the
    // circuit was closed: this is how data planes hear that their own records are void too. False:
    // there is no such provider.
    bool reset(std::string_view provider, UnixMs now);

    // Every configured provider, in order.
    v1::HealthSection section(UnixMs now) const;

    // Summed over data planes, processes that have gone included.
    v1::ProviderTotals totals(std::string_view provider) const;

    // Newest first, at most 20 each.
    std::vector<v1::Signal> recent_failures(std::string_view provider) const;

  private:
    struct Entry;
    HealthPolicy policy_;
    std::vector<std::string> order_;
    std::map<std::string, Entry, std::less<>> entries_;
    TotalsLedger totals_;
};

}  // namespace balancer::controlplane
