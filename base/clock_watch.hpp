// Tells when the wall clock has been set: by hand, by a time service after a long sleep, by a host that moved.
#pragma once

#include <optional>

#include "base/clock.hpp"

namespace balancer {

// Both clocks at one moment.
struct ClockReading {
    UnixMs wall = 0;
    SteadyTime steady;
};

// Reads again when the process was held up between the two: that would look like a step.
inline ClockReading read_clocks() {
    constexpr Milliseconds kTogether{20};
    for (;;) {
        SteadyTime before = steady_now();
        UnixMs wall = unix_now();
        if (steady_now() - before < kTogether) return {wall, before};
    }
}

// A pure core. Whoever keeps absolute times (the end of a bench) moves them by what this tells, so that a bench lasts
// as long as it was meant to, whatever the wall clock says meanwhile. A clock that is only a little fast or slow, as
// under a time service that slews it, is followed silently. Not thread-safe.
class ClockWatch {
  public:
    static constexpr Milliseconds kStepMin{500};

    // By how much the wall clock was set since the last call, forwards or backwards; 0: not at all.
    Milliseconds look(const ClockReading& now) {
        auto since_boot = std::chrono::duration_cast<Milliseconds>(now.steady.time_since_epoch());
        Milliseconds offset = Milliseconds(now.wall) - since_boot;
        Milliseconds moved = offset - offset_.value_or(offset);
        offset_ = offset;
        return moved >= kStepMin || moved <= -kStepMin ? moved : Milliseconds(0);
    }

  private:
    std::optional<Milliseconds> offset_;  // of the wall clock to the steady one
};

// A time that somebody else's clock gave, on our own: `theirs` is what that clock said when ours said `now`; 0: not told,
// and the time is taken as it is. Clocks that differ by no more than a message's way are taken for equal.
// What is no time at all (before 1970, after the year 9999) is left alone: both come from somebody else.
inline UnixMs on_our_clock(UnixMs at, UnixMs theirs, UnixMs now) {
    constexpr UnixMs kSkewMin = 1'000;
    constexpr UnixMs kLast = 253'402'300'799'999;
    if (at <= 0 || at > kLast || theirs <= 0 || theirs > kLast) return at;
    UnixMs skew = now - theirs;
    return skew < kSkewMin && skew > -kSkewMin ? at : at + skew;
}

}  // namespace balancer
