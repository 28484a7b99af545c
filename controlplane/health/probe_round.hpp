// Who may try a half-open provider: one data plane at a time, in turn.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace balancer::controlplane {

struct ProbeLease {
    std::string dp_id;
    std::string probe_id;
    UnixMs expires_at = 0;
};

// Who could be granted one.
struct Prober {
    std::string dp_id;
    UnixMs last_use = 0;  // of the provider; 0: not known
};

// The leases of one half-open circuit, from half-open to its end; lives in the Merger. A lease that
// expires is worth nothing any more, and goes to whoever has had the fewest; among those, to the
// one that used the provider last, since it will have a request for it soonest.
class ProbeRound {
  public:
    static constexpr Milliseconds kLease{30'000};

    // Null: none is out.
    const ProbeLease* lease() const { return lease_ ? &*lease_ : nullptr; }

    // False: nobody to grant it to.
    bool grant(const std::vector<Prober>& probers, std::string probe_id, UnixMs now);

    // True when the lease is over.
    bool expire(UnixMs now);

    // Nobody waits any longer for a probe of this data plane. True when it had the lease.
    bool withdraw(std::string_view dp_id) {
        if (!lease_ || lease_->dp_id != dp_id) return false;
        lease_.reset();
        return true;
    }

    // Is this the end of the probe that is out?
    bool awaits(std::string_view dp_id, std::string_view probe_id) const {
        return lease_ && lease_->dp_id == dp_id && lease_->probe_id == probe_id;
    }

    // The clock was set (ClockWatch).
    void shift(Milliseconds by) {
        if (lease_) lease_->expires_at += by.count();
    }

    void clear() { *this = ProbeRound(); }

  private:
    std::optional<ProbeLease> lease_;
    std::map<std::string, unsigned, std::less<>> granted_;
};

}  // namespace balancer::controlplane
