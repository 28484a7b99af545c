#include "controlplane/health/suspect_rule.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

namespace balancer::controlplane {
namespace {

constexpr double kFailingShare = 0.5;
constexpr double kWellShare = 0.2;

std::optional<double> failed_share(const Usage& usage) {
    if (usage.attempts < SuspectRule::kAttemptsMin) return std::nullopt;
    return static_cast<double>(usage.failures) / static_cast<double>(usage.attempts);
}

// The upper one of two in the middle: in doubt for whoever is judged.
double median(std::vector<double> shares) {
    auto middle = shares.begin() + static_cast<std::ptrdiff_t>(shares.size() / 2);
    std::nth_element(shares.begin(), middle, shares.end());
    return *middle;
}

}  // namespace

void SuspectRule::judge(
    const UsageWindow& usage,
    const std::vector<Member>& members,
    const std::map<std::string, std::string, std::less<>>& providers,
    UnixMs now
) {
    for (const Member& member : members) {
        Record record = record_of(member.dp_id, usage, members, providers, now);
        auto standing = standings_.find(member.dp_id);
        if (record.failed.size() >= kProvidersMin) {
            seen_failing_[member.dp_id] = now;
            if (standing != standings_.end()) continue;
            std::string reason = fmt::format(
                "it fails at {} where the other data planes do well: look at its way out",
                fmt::join(record.failed, ", ")
            );
            standings_.emplace(member.dp_id, Standing{now, std::move(reason), false});
        } else if (standing != standings_.end()) {
            bool forgotten = now - seen_failing_[member.dp_id] >= kDoubtMax.count();
            if (record.used == 0 && !forgotten) continue;
            standings_.erase(standing);
            seen_failing_.erase(member.dp_id);
        }
    }
    auto gone = [&](const auto& item) {
        return std::none_of(members.begin(), members.end(), [&](const Member& member) {
            return member.dp_id == item.first;
        });
    };
    std::erase_if(standings_, gone);
    std::erase_if(seen_failing_, gone);
    give_leave(members);
}

void SuspectRule::shift(Milliseconds by) {
    for (auto& [dp_id, standing] : standings_) standing.since += by.count();
    for (auto& [dp_id, at] : seen_failing_) at += by.count();
}

SuspectRule::Record SuspectRule::record_of(
    std::string_view dp_id,
    const UsageWindow& usage,
    const std::vector<Member>& members,
    const std::map<std::string, std::string, std::less<>>& providers,
    UnixMs now
) {
    Record record;
    std::set<std::string_view> addresses;
    for (const auto& [provider, address] : providers) {
        std::optional<double> own = failed_share(usage.recent(dp_id, provider, now));
        if (!own) continue;
        ++record.used;
        if (*own <= kFailingShare) continue;
        std::vector<double> others;
        for (const Member& other : members) {
            if (other.dp_id == dp_id) continue;
            if (auto share = failed_share(usage.recent(other.dp_id, provider, now))) {
                others.push_back(*share);
            }
        }
        if (others.empty() || median(std::move(others)) >= kWellShare) continue;
        if (addresses.insert(address).second) record.failed.push_back(provider);
    }
    return record;
}

void SuspectRule::give_leave(const std::vector<Member>& members) {
    std::size_t room = members.size() / 3;
    for (const Member& member : members) {
        // Unready without our leave: it takes a place all the same.
        auto standing = standings_.find(member.dp_id);
        bool by_leave = standing != standings_.end() && standing->second.may_turn_unready;
        if (!member.ready && !by_leave && room > 0) --room;
    }
    std::vector<Standing*> longest_first;
    for (auto& [dp_id, standing] : standings_) longest_first.push_back(&standing);
    std::stable_sort(longest_first.begin(), longest_first.end(), [](auto* a, auto* b) {
        return a->since < b->since;
    });
    for (Standing* standing : longest_first) {
        standing->may_turn_unready = room > 0;
        if (room > 0) --room;
    }
}

}  // namespace balancer::controlplane
