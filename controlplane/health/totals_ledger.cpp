#include "controlplane/health/totals_ledger.hpp"

#include <algorithm>

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

void TotalsLedger::take(
    std::string_view dp_id,
    std::string_view instance_id,
    const google::protobuf::RepeatedPtrField<v1::Counters>& counters
) {
    if (counters.empty()) return;
    auto key = std::pair(std::string(dp_id), std::string(instance_id));
    if (!processes_.contains(key) && processes_.size() >= kProcessesMax) fold_oldest();
    Process& process = processes_[std::move(key)];
    process.heard = ++clock_;
    for (const v1::Counters& told : counters) {
        bool known = process.totals.contains(told.provider());
        if (known || process.totals.size() < kProvidersMax) {
            raise(process.totals[told.provider()], told);
        }
    }
}

v1::ProviderTotals TotalsLedger::totals(std::string_view provider) const {
    v1::ProviderTotals sum;
    if (auto found = folded_.find(provider); found != folded_.end()) sum = found->second;
    for (const auto& [key, process] : processes_) {
        auto found = process.totals.find(provider);
        if (found != process.totals.end()) add(sum, found->second);
    }
    return sum;
}

void TotalsLedger::fold_oldest() {
    auto oldest = std::min_element(processes_.begin(), processes_.end(), [](auto& a, auto& b) {
        return a.second.heard < b.second.heard;
    });
    for (const auto& [provider, totals] : oldest->second.totals) {
        bool known = folded_.contains(provider);
        if (known || folded_.size() < kProvidersMax) add(folded_[provider], totals);
    }
    processes_.erase(oldest);
}

}  // namespace balancer::controlplane
