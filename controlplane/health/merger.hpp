// The fleet's view of provider health: what all data planes report, judged together.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/clock.hpp"
#include "controlplane/health/account_hold.hpp"
#include "controlplane/health/authority_budget.hpp"
#include "controlplane/health/ejection_rule.hpp"
#include "controlplane/health/fleet_circuit.hpp"
#include "controlplane/health/health_history.hpp"
#include "controlplane/health/suspect_rule.hpp"
#include "controlplane/health/totals_ledger.hpp"
#include "controlplane/health/usage_window.hpp"
#include "model/health_policy.hpp"

namespace balancer::controlplane {

// A change of a circuit, for the log.
struct CircuitChange {
    std::string provider;
    v1::HealthTransition transition;
    UnixMs until = 0;  // open: its end
};

// Probes since the start.
struct ProbeTally {
    std::uint64_t granted = 0;
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;
    std::uint64_t expired = 0;
    std::uint64_t ignored = 0;  // ends of probes that nobody waited for
};

// A pure core: time is an argument, chance is given, nothing is sent. Lives on the control plane's
// loop. docs/architecture.md ("Health") has the rules, each of which is a file here.
class Merger {
  public:
    // A number in [0, 1).
    using Chance = std::function<double()>;

    // Model names come from clients: more of one provider are not told apart from it.
    static constexpr std::size_t kModelsMax = 64;

    // `epoch` is this start's; it marks the leases.
    Merger(std::uint64_t epoch, Chance chance) : epoch_(epoch), chance_(std::move(chance)) {}

    // Providers that are gone are forgotten; one whose etag changed starts with a clean record. A
    // circuit that would leave a route without anybody now closes.
    void configure(const v1::ConfigSection& config, UnixMs now);

    // The data planes that are connected now, each once. What a process that is no more among them
    // held against anybody is forgotten, and its lease is withdrawn: a quorum is of those who are
    // there. True when the section changed.
    bool set_members(std::vector<Member> members);

    // True when the health section changed. No time of the signal is after `now`
    // (service/peer_bounds). Signals of data planes that are not members, or of an older provider
    // generation (another etag), count for nothing, and so do the ends of probes that are not out
    // (any more).
    bool signal(std::string_view dp_id, const v1::Signal& signal, UnixMs now);

    // Cumulative counters of one data-plane process; repeats do no harm. Those of one that is not a
    // member count in the totals only.
    void counters(
        std::string_view dp_id,
        std::string_view instance_id,
        const google::protobuf::RepeatedPtrField<v1::Counters>& counters,
        UnixMs now
    );

    // Takes the steps that time alone makes, and judges the data planes. True when the section
    // changed.
    bool age(UnixMs now);

    // When age() is next due for a circuit; none: not before something happens.
    std::optional<UnixMs> next_change() const;

    // Closes a provider's circuits and forgets its failures, on every data plane. False: there is
    // no such provider.
    bool reset(std::string_view provider, UnixMs now);

    // The clock was set (ClockWatch): what is kept moves along, so that every bench keeps its length.
    void shift(Milliseconds by);

    // Takes up what an earlier process held (holds()); after the first configure(). Ignored is what
    // concerns another generation of its provider, or would leave a route without anybody.
    void restore(const std::vector<AccountHold>& holds, UnixMs now);

    // Benches on the providers' own word: what a restart must not forget.
    std::vector<AccountHold> holds() const;

    // Views (merger_views.cpp). Every configured provider, in order, each with its models behind
    // it.
    v1::HealthSection section() const;

    // Summed over data planes, processes that have gone included.
    v1::ProviderTotals totals(std::string_view provider) const;

    // Newest first, at most 20 each.
    std::vector<v1::Signal> recent_failures(std::string_view provider) const;
    const HealthHistory* history(std::string_view provider
    ) const;  // null: there is no such provider

    // Changes of circuits since the last call.
    std::vector<CircuitChange> take_changes() { return std::exchange(changes_, {}); }

    const Standings& standings() const { return suspects_.standings(); }
    // Its evidence counts: it is a member, and not suspect.
    bool weighs(std::string_view dp_id) const;

    // When this data plane last tried that provider, as far as it is known; 0: never.
    UnixMs last_use(std::string_view dp_id, std::string_view provider) const { return usage_.last_use(dp_id, provider); }

    const ProbeTally& probe_tally() const { return probes_; }

  private:
    struct Entry {
        std::string etag;
        FleetCircuit whole;
        std::map<std::string, FleetCircuit, std::less<>> models;
        std::uint64_t resets = 0;
        std::deque<v1::Signal> failures;
        HealthHistory history;
    };
    // One circuit of one provider, and what it is called.
    struct Place {
        const std::string& provider;
        Entry& entry;
        const std::string& model;  // empty: the whole provider
        FleetCircuit& fleet;
    };

    template <class Visit>
    void each_place(Visit visit);
    std::optional<Place> place_of(std::string_view provider, std::string_view model);
    bool make_room(Entry& entry);
    UnixMs spared_while_half_open(UnixMs now) const;

    bool probe_ended(std::string_view dp_id, const AttemptOutcome& outcome, UnixMs now);
    bool went_well(Place place, std::string_view dp_id, const AttemptOutcome& outcome, UnixMs now);
    bool failed(Place place, std::string_view dp_id, const AttemptOutcome& outcome, UnixMs now);
    bool review(Place place, UnixMs now);
    bool open(Place place, UnixMs now, UnixMs told);
    void proved(Place place, std::string why, UnixMs now);
    bool grant_probe(Place place, UnixMs now);
    void changed(Place place, CircuitState from, UnixMs now);

    std::string keep_in_use(const Place& place, bool about_the_account) const;
    bool is_out(std::string_view provider, std::string_view model) const;
    std::vector<std::string> models_out() const;
    std::size_t users_of(std::string_view provider, const Tally& tally, UnixMs now) const;
    const Member* find_member(std::string_view dp_id) const;

    const std::uint64_t epoch_;
    const Chance chance_;
    std::uint64_t last_probe_ = 0;
    HealthPolicy policy_;
    EjectionRule ejections_;
    std::vector<std::string> order_;
    std::map<std::string, std::string, std::less<>> addresses_;  // of the providers
    std::map<std::string, Entry, std::less<>> entries_;
    std::vector<Member> members_;  // by id
    UsageWindow usage_;
    SuspectRule suspects_;
    AuthorityBudget authority_;
    TotalsLedger totals_;
    std::vector<CircuitChange> changes_;
    ProbeTally probes_;
};

}  // namespace balancer::controlplane
