#include "controlplane/health/probe_round.hpp"

#include <algorithm>
#include <utility>

namespace balancer::controlplane {

bool ProbeRound::grant(const std::vector<Prober>& probers, std::string probe_id, UnixMs now) {
    auto had = [this](const Prober& prober) {
        auto found = granted_.find(prober.dp_id);
        return found == granted_.end() ? 0U : found->second;
    };
    auto next =
        std::min_element(probers.begin(), probers.end(), [&](const Prober& a, const Prober& b) {
            return std::pair(had(a), -a.last_use) < std::pair(had(b), -b.last_use);
        });
    if (next == probers.end()) return false;
    ++granted_[next->dp_id];
    lease_ = ProbeLease{next->dp_id, std::move(probe_id), now + kLease.count()};
    return true;
}

bool ProbeRound::expire(UnixMs now) {
    if (!lease_ || now < lease_->expires_at) return false;
    lease_.reset();
    return true;
}

}  // namespace balancer::controlplane
