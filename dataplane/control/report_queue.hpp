// What is still to be told to the control plane, in the order of happening.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "balancer/v1/data_plane.pb.h"
#include "dataplane/control/control.hpp"

namespace balancer::dataplane {

// Sans-I/O; lives on the control thread. One report is un-acknowledged at a time, and is sent again
// as it was, with its number, until it is acknowledged; the control plane drops repeats. While one
// is out, signals gather here: at most kSignalsMax, the newest kept.
class ReportQueue {
  public:
    static constexpr std::size_t kSignalsMax = 1'000;
    static constexpr int kSignalsPerReport = 200;

    ReportQueue(std::string dp_id, std::string instance_id);

    // False: an older signal was dropped for this one.
    bool push(v1::Signal signal);

    // True when a report is out, or signals wait.
    bool has_news() const { return out_.has_value() || !signals_.empty(); }

    // The report that is out, if there is one; else a new one with the signals that wait and these
    // totals. The pointer holds until acknowledge().
    const v1::ReportRequest& next(const std::vector<ProviderTotals>& totals);

    // False: not the report that is out.
    bool acknowledge(std::uint64_t report_seq);

    // The report that is out is refused each time that it is sent: its signals count as dropped, and what waits behind it
    // goes on. Counters are cumulative and lose nothing.
    void give_up();

    bool report_is_out() const { return out_.has_value(); }
    std::uint64_t dropped() const { return dropped_; }

  private:
    std::string dp_id_;
    std::string instance_id_;
    std::deque<v1::Signal> signals_;
    std::optional<v1::ReportRequest> out_;
    std::uint64_t last_seq_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace balancer::dataplane
