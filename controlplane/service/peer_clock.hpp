// By how much a data plane's clock is behind ours, as far as its reports prove it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

#include "base/clock.hpp"

namespace balancer::controlplane {

// A pure core; one for each Report call. What a report says of the clock that it was sent by is that clock's lag and the
// report's own way together, and a way only adds: the least of several is nearest to the lag. Of a data plane one report
// is under way at a time, so that one that was held up says nothing of the next.
class PeerClock {
  public:
    static constexpr std::size_t kReportsMin = 2;  // one alone may have been held up
    static constexpr std::size_t kReportsKept = 8;

    // `sent_at`: what the sender's clock said; 0: not told.
    void heard(UnixMs sent_at, UnixMs now) {
        if (sent_at <= 0) return;
        lags_.push_back(Milliseconds(now - sent_at));
        if (lags_.size() > kReportsKept) lags_.pop_front();
    }

    // 0: it is not known to be behind.
    Milliseconds behind() const {
        if (lags_.size() < kReportsMin) return Milliseconds(0);
        return std::max(Milliseconds(0), *std::min_element(lags_.begin(), lags_.end()));
    }

  private:
    std::deque<Milliseconds> lags_;  // of the last reports
};

}  // namespace balancer::controlplane
