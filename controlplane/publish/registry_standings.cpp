// What the registry shows of the data planes, and what it tells them of their standing.
#include <algorithm>
#include <utility>

#include "controlplane/publish/registry.hpp"

namespace balancer::controlplane {

std::vector<v1::DataPlaneView> Publisher::Registry::rows() const {
    std::vector<v1::DataPlaneView> rows = roster_.views(head_.version, steady_now(), unix_now());
    for (const auto& [id, said] : superseded_) {
        const std::string& dp_id = subscriptions_.at(id).dp_id();
        auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.dp_id() == dp_id; });
        if (row == rows.end()) continue;
        row->set_draining_in_flight(row->draining_in_flight() + said.in_flight());
        for (const auto& [provider, count] : said.in_flight_at()) (*row->mutable_in_flight_at())[provider] += count;
    }
    for (v1::DataPlaneView& row : rows) {
        auto standing = standings_.find(row.dp_id());
        if (standing == standings_.end()) continue;
        row.set_suspect(true);
        row.set_suspect_reason(standing->second.reason);
        row.set_suspect_since_ms(standing->second.since);
        row.set_may_turn_unready(standing->second.may_turn_unready);
    }
    return rows;
}

std::vector<Member> Publisher::Registry::members() const {
    std::vector<Member> members;
    for (const auto& [id, subscription] : subscriptions_) {
        const Roster::Row* row = roster_.find(subscription.dp_id());
        if (row == nullptr || row->subscription != id) continue;
        // Until its first heartbeat it has not said.
        members.push_back(
            {subscription.dp_id(),
             row->view.ready() || !row->heartbeat_seen,
             subscription.instance_id()}
        );
    }
    return members;
}

void Publisher::Registry::set_standings(const Standings& standings) {
    Standings before = std::exchange(standings_, standings);
    auto leave = [](const Standings& of, const std::string& dp_id) {
        auto found = of.find(dp_id);
        return std::pair(found != of.end(), found != of.end() && found->second.may_turn_unready);
    };
    for (auto& [id, subscription] : subscriptions_) {
        if (!subscription.greeted()) continue;
        const std::string& dp_id = subscription.dp_id();
        if (leave(before, dp_id) != leave(standings_, dp_id)) ping(subscription);
    }
}

void Publisher::Registry::ping(Subscription& subscription) {
    v1::Ping ping;
    *ping.mutable_head() = head_.version;
    ping.set_cp_time_ms(unix_now());
    auto standing = standings_.find(subscription.dp_id());
    if (standing != standings_.end()) {
        ping.set_suspect(true);
        ping.set_may_turn_unready(standing->second.may_turn_unready);
        ping.set_suspect_reason(standing->second.reason);
    }
    subscription.ping(std::move(ping));
}

}  // namespace balancer::controlplane
