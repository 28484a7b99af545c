#include "dataplane/control/report_queue.hpp"

#include <utility>

namespace balancer::dataplane {
namespace {

void fill(v1::Counters& out, const ProviderTotals& totals) {
    out.set_provider(totals.provider);
    out.set_attempts(totals.attempts);
    out.set_successes(totals.successes);
    for (std::uint32_t failure = 1; failure < kFailureClasses; ++failure) {
        if (totals.failures[failure] == 0) continue;
        (*out.mutable_failures())[failure] = totals.failures[failure];
    }
    out.set_ttfb_ms_sum(totals.ttfb_ms_sum);
    out.set_ttfb_count(totals.ttfb_count);
}

}  // namespace

ReportQueue::ReportQueue(std::string dp_id, std::string instance_id)
    : dp_id_(std::move(dp_id)), instance_id_(std::move(instance_id)) {}

bool ReportQueue::push(v1::Signal signal) {
    signals_.push_back(std::move(signal));
    if (signals_.size() <= kSignalsMax) return true;
    signals_.pop_front();
    ++dropped_;
    return false;
}

const v1::ReportRequest& ReportQueue::next(const std::vector<ProviderTotals>& totals) {
    if (out_) return *out_;
    v1::ReportRequest& report = out_.emplace();
    report.set_dp_id(dp_id_);
    report.set_instance_id(instance_id_);
    report.set_report_seq(++last_seq_);
    report.set_signals_dropped(dropped_);
    while (!signals_.empty() && report.signals_size() < kSignalsPerReport) {
        *report.add_signals() = std::move(signals_.front());
        signals_.pop_front();
    }
    for (const ProviderTotals& item : totals) fill(*report.add_counters(), item);
    return report;
}

bool ReportQueue::acknowledge(std::uint64_t report_seq) {
    if (!out_ || out_->report_seq() != report_seq) return false;
    out_.reset();
    return true;
}

void ReportQueue::give_up() {
    if (!out_) return;
    dropped_ += static_cast<std::uint64_t>(out_->signals_size());
    out_.reset();
}

}  // namespace balancer::dataplane
