#include "controlplane/health/totals_ledger.hpp"

#include <algorithm>
#include <utility>

namespace balancer::controlplane {
namespace {

void add(v1::ProviderTotals& sum, const v1::ProviderTotals& part) {
    sum.set_attempts(sum.attempts() + part.attempts());
    sum.set_successes(sum.successes() + part.successes());
    for (const auto& [failure, count] : part.failures())
        (*sum.mutable_failures())[failure] += count;
}

// Reports of one process can arrive out of order around a reconnect; counters only grow, so the
// larger is the newer.
void raise(v1::ProviderTotals& known, const v1::Counters& told) {
    known.set_attempts(std::max(known.attempts(), told.attempts()));
    known.set_successes(std::max(known.successes(), told.successes()));
    for (const auto& [failure, count] : told.failures()) {
        std::uint64_t& value = (*known.mutable_failures())[failure];
        value = std::max(value, count);
    }
}

}  // namespace

void TotalsLedger::set_providers(std::set<std::string, std::less<>> names) {
    providers_ = std::move(names);
    auto gone = [this](const auto& item) { return !providers_.contains(item.first); };
    std::erase_if(folded_, gone);
    for (auto& [key, process] : processes_) {
        std::erase_if(process.totals, gone);
        std::erase_if(process.folded, gone);
    }
}

void TotalsLedger::take(
    std::string_view dp_id,
    std::string_view instance_id,
    const google::protobuf::RepeatedPtrField<v1::Counters>& counters
) {
    if (counters.empty()) return;
    Key key(dp_id, instance_id);
    auto known = processes_.find(key);
    const bool returns = known == processes_.end() && folded_processes_.contains(key);
    if (known == processes_.end()) {
        if (processes_.size() >= kProcessesMax) fold_oldest();
        known = processes_.try_emplace(std::move(key)).first;
    }
    Process& process = known->second;
    process.heard = ++clock_;
    for (const v1::Counters& told : counters) {
        if (providers_.contains(told.provider())) raise(process.totals[told.provider()], told);
    }
    if (returns) process.folded = process.totals;
}

v1::ProviderTotals TotalsLedger::totals(std::string_view provider) const {
    v1::ProviderTotals sum;
    if (auto found = folded_.find(provider); found != folded_.end()) sum = found->second;
    for (const auto& [key, process] : processes_) {
        if (process.totals.contains(provider)) add(sum, process.beyond_folded(provider));
    }
    return sum;
}

void TotalsLedger::fold_oldest() {
    auto oldest = std::min_element(processes_.begin(), processes_.end(), [](auto& a, auto& b) {
        return a.second.heard < b.second.heard;
    });
    for (const auto& [provider, totals] : oldest->second.totals) {
        add(folded_[provider], oldest->second.beyond_folded(provider));
    }
    remember_folded(oldest->first);
    processes_.erase(oldest);
}

void TotalsLedger::remember_folded(const Key& key) {
    if (!folded_processes_.insert(key).second) return;
    folded_order_.push_back(key);
    if (folded_order_.size() <= kProcessesMax) return;
    folded_processes_.erase(folded_order_.front());
    folded_order_.pop_front();
}

v1::ProviderTotals TotalsLedger::Process::beyond_folded(std::string_view provider) const {
    v1::ProviderTotals own = totals.find(provider)->second;
    auto before = folded.find(provider);
    if (before == folded.end()) return own;
    // Counters only grow.
    own.set_attempts(own.attempts() - before->second.attempts());
    own.set_successes(own.successes() - before->second.successes());
    for (const auto& [failure, count] : before->second.failures()) {
        (*own.mutable_failures())[failure] -= count;
    }
    return own;
}

}  // namespace balancer::controlplane
