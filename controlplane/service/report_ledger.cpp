#include "controlplane/service/report_ledger.hpp"

#include <algorithm>

namespace balancer::controlplane {

bool ReportLedger::take(const std::string& instance_id, std::uint64_t report_seq) {
    auto known = by_instance_.find(instance_id);
    if (known == by_instance_.end()) {
        if (by_instance_.size() >= kInstancesMax) {
            by_instance_.erase(std::min_element(
                by_instance_.begin(),
                by_instance_.end(),
                [](const auto& a, const auto& b) { return a.second.at < b.second.at; }
            ));
        }
        by_instance_.emplace(instance_id, Heard{report_seq, ++clock_});
        return true;
    }
    known->second.at = ++clock_;
    if (report_seq <= known->second.report_seq) return false;
    known->second.report_seq = report_seq;
    return true;
}

}  // namespace balancer::controlplane
