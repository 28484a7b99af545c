#include "dataplane/upstream/pool.hpp"

#include <algorithm>

namespace balancer::dataplane {
namespace {

std::string key_of(const Provider& provider) { return provider.name + '\0' + provider.etag; }

}  // namespace

PooledConnection UpstreamPool::take(const Provider& provider, SteadyTime now) {
    auto found = by_provider_.find(key_of(provider));
    if (found == by_provider_.end()) return {};
    std::vector<Idle>& idle = found->second;
    while (!idle.empty()) {
        Idle last = std::move(idle.back());
        idle.pop_back();
        --idle_;
        bool young = now - last.since < kIdleMax && now - last.connection.made_at < kAgeMax;
        if (young && last.connection.stream->looks_alive()) return std::move(last.connection);
    }
    return {};
}

void UpstreamPool::give_back(const Provider& provider, PooledConnection connection, SteadyTime now) {
    if (now - connection.made_at >= kAgeMax) return;
    std::vector<Idle>& idle = by_provider_[key_of(provider)];
    if (idle.size() >= kIdlePerProviderMax) return;
    connection.stream->set_deadline(SweepEntry::kNever);
    idle.push_back(Idle{std::move(connection), now});
    ++idle_;
}

void UpstreamPool::tidy(SteadyTime now) {
    for (auto it = by_provider_.begin(); it != by_provider_.end();) {
        std::vector<Idle>& idle = it->second;
        idle_ -= std::erase_if(idle, [&](const Idle& one) {
            return now - one.since >= kIdleMax || now - one.connection.made_at >= kAgeMax;
        });
        it = idle.empty() ? by_provider_.erase(it) : std::next(it);
    }
}

void UpstreamPool::clear() {
    by_provider_.clear();
    idle_ = 0;
}

}  // namespace balancer::dataplane
