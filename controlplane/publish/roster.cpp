#include "controlplane/publish/roster.hpp"

#include <algorithm>

namespace balancer::controlplane {
namespace {

constexpr std::size_t kReplacedMax = 8;

bool equal(const v1::Version& a, const v1::Version& b) {
    return a.store_uuid() == b.store_uuid() && a.epoch() == b.epoch() && a.seq() == b.seq();
}

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

void Roster::note_head(const v1::Version& head, UnixMs now) {
    for (auto& [dp_id, row] : rows_) note_head(row, head, now);
}

void Roster::note_head(Row& row, const v1::Version& head, UnixMs now) {
    if (equal(row.acknowledged, head)) {
        row.view.set_behind_since_ms(0);
    } else if (row.view.behind_since_ms() == 0) {
        row.view.set_behind_since_ms(now);
    }
}

std::vector<v1::DataPlaneView> Roster::views(const v1::Version& head, SteadyTime now) const {
    std::vector<v1::DataPlaneView> views;
    for (const auto& [dp_id, row] : rows_) {
        bool connected = row.subscription.has_value();
        if (!connected && now - row.gone_at > row_kept_) continue;
        v1::DataPlaneView& view = views.emplace_back(row.view);
        view.set_connected(connected);
        view.set_in_sync(connected && equal(row.acknowledged, head));
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
