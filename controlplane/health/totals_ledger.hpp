// Sums the cumulative counters of data-plane processes, so that a restart of one loses nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/data_plane.pb.h"

namespace balancer::controlplane {

// A pure core on the control plane's loop. A process counts from its start, so its newest numbers
// replace its older ones; the numbers of the longest unheard process are folded into a sum when too
// many are known. Should that one speak again, only what it counts from then on is added.
class TotalsLedger {
  public:
    // More than can be connected at once (Registry::kStreamsMax), so that who is folded has gone.
    static constexpr std::size_t kProcessesMax = 10'000;

    // Those there are: of others nothing is kept, since names are a peer's to make up. One that comes
    // back has what the processes that still run have counted of it.
    void set_providers(std::set<std::string, std::less<>> names);

    void take(
        std::string_view dp_id,
        std::string_view instance_id,
        const google::protobuf::RepeatedPtrField<v1::Counters>& counters
    );

    v1::ProviderTotals totals(std::string_view provider) const;

  private:
    using ByProvider = std::map<std::string, v1::ProviderTotals, std::less<>>;
    using Key = std::pair<std::string, std::string>;  // dp_id, instance_id
    struct Process {
        std::uint64_t heard = 0;  // grows: the order in which processes spoke
        ByProvider totals;
        ByProvider folded;  // of them, what is in the sum already

        v1::ProviderTotals beyond_folded(std::string_view provider) const;
    };

    void fold_oldest();
    void remember_folded(const Key& key);

    std::set<std::string, std::less<>> providers_;
    std::map<Key, Process> processes_;
    ByProvider folded_;
    std::set<Key> folded_processes_;  // the last kProcessesMax
    std::deque<Key> folded_order_;
    std::uint64_t clock_ = 0;
};

}  // namespace balancer::controlplane
