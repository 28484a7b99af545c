#include "controlplane/health/vote_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace balancer::controlplane {

bool VoteLedger::add(
    std::string_view dp_id, const AttemptOutcome& outcome, bool at_once, UnixMs now
) {
    Held& held = by_data_plane_[std::string(dp_id)];
    held.at_once = held.at_once || at_once;
    return held.failures.add(outcome, now);
}

bool VoteLedger::forgive(std::string_view dp_id, UnixMs started_at) {
    auto held = by_data_plane_.find(dp_id);
    if (held == by_data_plane_.end() || !held->second.failures.forgive(started_at)) return false;
    by_data_plane_.erase(held);
    return true;
}

bool VoteLedger::forget(std::string_view dp_id) {
    auto held = by_data_plane_.find(dp_id);
    if (held == by_data_plane_.end()) return false;
    by_data_plane_.erase(held);
    return true;
}

bool VoteLedger::age(const HealthPolicy& policy, UnixMs now) {
    bool aged = false;
    for (auto item = by_data_plane_.begin(); item != by_data_plane_.end();) {
        bool over = item->second.failures.age(policy, now);
        aged = aged || over;
        item = over ? by_data_plane_.erase(item) : std::next(item);
    }
    return aged;
}

Tally VoteLedger::tally(
    const HealthPolicy& policy,
    UnixMs since,
    UnixMs now,
    const std::function<bool(std::string_view dp_id)>& weighs
) const {
    Tally tally;
    UnixMs newest = 0;
    for (const auto& [dp_id, held] : by_data_plane_) {
        const FailureCount& failures = held.failures;
        if (!held.at_once && failures.count() < policy.threshold()) continue;
        if (now - failures.last() >= kVoteLife.count() || failures.last() <= since) continue;
        if (!weighs(dp_id)) continue;
        tally.voters.push_back(dp_id);
        if (failures.local_origin()) ++tally.local_origin;
        if (tally.first == 0 || failures.first() < tally.first) tally.first = failures.first();
        if (failures.last() >= newest) tally.words = failures.words();
        newest = std::max(newest, failures.last());
    }
    return tally;
}

unsigned VoteLedger::failure_count() const {
    unsigned sum = 0;
    for (const auto& [dp_id, held] : by_data_plane_) sum += held.failures.count();
    return sum;
}

UnixMs VoteLedger::last_failure() const {
    UnixMs last = 0;
    for (const auto& [dp_id, held] : by_data_plane_) last = std::max(last, held.failures.last());
    return last;
}

std::string VoteLedger::words(const HealthPolicy& policy, bool name_data_plane) const {
    auto most = std::max_element(
        by_data_plane_.begin(),
        by_data_plane_.end(),
        [](const auto& a, const auto& b) {
            return a.second.failures.count() < b.second.failures.count();
        }
    );
    if (most == by_data_plane_.end()) return {};
    return fmt::format(
        "{} of {} failures{}, last: {}",
        most->second.failures.count(),
        policy.threshold(),
        name_data_plane ? " at " + most->first : std::string(),
        most->second.failures.words()
    );
}

}  // namespace balancer::controlplane
