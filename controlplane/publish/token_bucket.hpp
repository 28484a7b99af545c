// How often something may be done: a burst at once, then a steady rate.
#pragma once

#include <algorithm>

#include "base/clock.hpp"

namespace balancer::controlplane {

// A pure core; time is an argument and does not go back. Begins full.
class TokenBucket {
  public:
    TokenBucket(double burst, double per_second)
        : burst_(burst), per_second_(per_second), tokens_(burst) {}

    // False: not now.
    bool take(SteadyTime now) {
        refill(now);
        if (tokens_ < 1) return false;
        tokens_ -= 1;
        return true;
    }

    // Until the next one is there.
    Milliseconds wait(SteadyTime now) {
        refill(now);
        if (tokens_ >= 1) return Milliseconds(0);
        return Milliseconds(static_cast<std::int64_t>((1 - tokens_) / per_second_ * 1000) + 1);
    }

  private:
    void refill(SteadyTime now) {
        if (filled_at_ != SteadyTime{}) {
            std::chrono::duration<double> passed = now - filled_at_;
            tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
        }
        filled_at_ = now;
    }

    double burst_;
    double per_second_;
    double tokens_;
    SteadyTime filled_at_{};  // the epoch: not yet looked at
};

}  // namespace balancer::controlplane
