// Asking the data planes about requests. They keep what they know; nothing of it is kept here.
#include <fmt/format.h>

#include <utility>

#include "controlplane/publish/registry.hpp"

namespace balancer::controlplane {

Result<void> Publisher::Registry::look_up(v1::Lookup what, LookupDone done) {
    if (lookups_.size() >= kLookupsMax) {
        return invalid(fmt::format("{} such questions are open already: ask again later", kLookupsMax));
    }
    std::uint64_t nonce = ++last_lookup_;
    what.set_nonce(nonce);
    Lookup& lookup = lookups_[nonce];
    lookup.done = std::move(done);
    // Those that have gone may be the very ones: who asks must know that nobody could ask them.
    for (const v1::DataPlaneView& row : rows()) {
        v1::AskedDataPlane& asked = lookup.asked[row.dp_id()];
        asked.set_dp_id(row.dp_id());
        if (!row.connected()) asked.set_why_not("gone: " + row.gone_reason());
    }
    for (auto& [id, subscription] : subscriptions_) {
        if (!subscription.greeted()) continue;
        const std::string name = asked_as(subscription);
        v1::AskedDataPlane& asked = lookup.asked[name];
        asked.set_dp_id(name);
        subscription.look_up(what);
        lookup.missing.insert(name);
        asked.set_why_not(fmt::format("no answer within {} ms", times_.lookup_max.count()));
    }
    lookup.timer = std::make_unique<boost::asio::steady_timer>(context_, times_.lookup_max);
    if (lookup.missing.empty()) lookup.timer->expires_after(Milliseconds(0));
    lookup.timer->async_wait([this, nonce, alive = std::weak_ptr(alive_)](const ErrorCode& ec) {
        if (!ec && !alive.expired()) finish_lookup(nonce);
    });
    return {};
}

// One that drains while another has its id is told apart by its instance.
std::string Publisher::Registry::asked_as(const Subscription& subscription) {
    if (!subscription.superseded) return subscription.dp_id();
    return fmt::format("{}/{}", subscription.dp_id(), subscription.instance_id());
}

// False: nobody has asked it.
bool Publisher::Registry::looked_up(const std::string& asked_as, const v1::LookupAnswer& answer) {
    auto found = lookups_.find(answer.nonce());
    if (found == lookups_.end()) return false;
    Lookup& lookup = found->second;
    if (lookup.missing.erase(asked_as) == 0) return false;
    v1::AskedDataPlane& asked = lookup.asked[asked_as];
    asked.set_answered(true);
    asked.clear_why_not();
    asked.set_plain_since_ms(answer.plain_since_ms());
    asked.set_troubled_since_ms(answer.troubled_since_ms());
    for (v1::RequestRecord record : answer.records()) {
        record.set_dp_id(asked_as);
        lookup.records.push_back(std::move(record));
    }
    lookup.left_out += answer.left_out();
    if (lookup.missing.empty()) finish_lookup(answer.nonce());
    return true;
}

// Its stream has ended: it will not answer on it.
void Publisher::Registry::not_looked_up(const std::string& asked_as, std::string_view why) {
    std::vector<std::uint64_t> complete;
    for (auto& [nonce, lookup] : lookups_) {
        if (lookup.missing.erase(asked_as) == 0) continue;
        lookup.asked[asked_as].set_why_not(fmt::format("gone: {}", why));
        if (lookup.missing.empty()) complete.push_back(nonce);
    }
    for (std::uint64_t nonce : complete) finish_lookup(nonce);
}

void Publisher::Registry::finish_lookup(std::uint64_t nonce) {
    auto found = lookups_.find(nonce);
    if (found == lookups_.end()) return;
    Lookup lookup = std::move(found->second);
    lookups_.erase(found);
    v1::ListRequestsResponse response;
    response.set_left_out(lookup.left_out);
    *response.mutable_head() = head_.version;
    for (v1::RequestRecord& record : lookup.records) *response.add_records() = std::move(record);
    for (auto& [dp_id, asked] : lookup.asked) *response.add_asked() = std::move(asked);
    lookup.done(std::move(response));
}

}  // namespace balancer::controlplane
