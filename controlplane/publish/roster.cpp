#include "controlplane/publish/roster.hpp"

#include <algorithm>

#include "controlplane/publish/version_order.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kReplacedMax = 8;
// At most twenty a second or so, and whoever acknowledges nothing is left after ten seconds.
constexpr std::size_t kPublicationsMax = 1'000;

}  // namespace

Roster::Row& Roster::admit(const std::string& dp_id, SteadyTime now) {
    if (!rows_.contains(dp_id)) forget(now);
    return rows_[dp_id];
}

Roster::Row* Roster::find(std::string_view dp_id) {
    auto found = rows_.find(dp_id);
    return found == rows_.end() ? nullptr : &found->second;
}

const Roster::Row* Roster::find(std::string_view dp_id) const {
    auto found = rows_.find(dp_id);
    return found == rows_.end() ? nullptr : &found->second;
}

void Roster::mark_replaced(Row& row, const std::string& instance_id) {
    row.replaced.push_back(instance_id);
    if (row.replaced.size() > kReplacedMax) row.replaced.pop_front();
}

bool Roster::was_replaced(const Row& row, std::string_view instance_id) {
    return std::find(row.replaced.begin(), row.replaced.end(), instance_id) != row.replaced.end();
}

void Roster::published(const v1::Version& head, SteadyTime now) {
    publications_.push_back({head.seq(), now});
    if (publications_.size() > kPublicationsMax) publications_.pop_front();
    for (auto& [dp_id, row] : rows_) {
        if (!row.behind_since) row.behind_since = now;
    }
}

void Roster::greeted(Row& row, SteadyTime now) const {
    row.view.clear_acknowledged();
    row.behind_since = now;
}

void Roster::acknowledged(Row& row, const v1::Version& version, const v1::Version& head) const {
    *row.view.mutable_acknowledged() = version;
    if (equal(version, head)) {
        row.behind_since.reset();
        return;
    }
    auto next = std::upper_bound(
        publications_.begin(),
        publications_.end(),
        version.seq(),
        [](std::uint64_t seq, const Publication& one) { return seq < one.seq; }
    );
    if (next != publications_.end()) row.behind_since = next->at;
}

std::vector<v1::DataPlaneView> Roster::views(
    const v1::Version& head, SteadyTime now, UnixMs unix_now
) const {
    std::vector<v1::DataPlaneView> views;
    for (const auto& [dp_id, row] : rows_) {
        bool connected = row.subscription.has_value();
        if (!connected && now - row.gone_at > row_kept_) continue;
        v1::DataPlaneView& view = views.emplace_back(row.view);
        view.set_connected(connected);
        std::optional<SteadyTime> since = row.behind_since;
        if (since) view.set_behind_since_ms(unix_now - elapsed_ms(*since, now));
        // Whoever has refused what came after waits for another version: nothing is on its way.
        bool refused = row.view.last_nack_version().epoch() == head.epoch() &&
                       row.view.last_nack_version().seq() > row.view.acknowledged().seq();
        bool on_its_way = since && now - *since <= kOnItsWay && row.view.has_acknowledged();
        view.set_in_sync(connected && (!since || (on_its_way && !refused)));
    }
    return views;
}

void Roster::forget(SteadyTime now) {
    std::erase_if(rows_, [&](const auto& item) {
        return !item.second.subscription && now - item.second.gone_at > row_kept_;
    });
    if (rows_.size() < kRowsMax) return;
    auto longest = rows_.end();
    for (auto row = rows_.begin(); row != rows_.end(); ++row) {
        if (row->second.subscription) continue;
        if (longest == rows_.end() || row->second.gone_at < longest->second.gone_at) longest = row;
    }
    if (longest != rows_.end()) rows_.erase(longest);
}

}  // namespace balancer::controlplane
