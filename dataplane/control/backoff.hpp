// When to try again: full jitter, so that a fleet that lost its control plane does not come back in
// step.
#pragma once

#include <algorithm>
#include <random>

#include "base/clock.hpp"

namespace balancer::dataplane {

// A pure core; not thread-safe.
class Backoff {
  public:
    static constexpr Milliseconds kShortest{100};
    static constexpr Milliseconds kLongest{5'000};

    explicit Backoff(std::uint64_t seed) : random_(seed) {}

    // Between kShortest and a bound that doubles with each call since reset().
    Milliseconds next() {
        Milliseconds bound = bound_;
        bound_ = std::min(bound_ * 2, kLongest);
        std::uniform_int_distribution<Milliseconds::rep> between(kShortest.count(), bound.count());
        return Milliseconds(between(random_));
    }

    void reset() { bound_ = kFirst; }

    // For a peer that answers but cannot be used: trying often gains nothing.
    void slow_down() { bound_ = kLongest; }

  private:
    static constexpr Milliseconds kFirst{200};
    std::mt19937_64 random_;
    Milliseconds bound_ = kFirst;
};

}  // namespace balancer::dataplane
