// Tells when the wall clock has been set: by hand, by a time service, by a host that moved.
#pragma once

#include <time.h>

#include <optional>

#include "base/clock.hpp"

namespace balancer {

// Both clocks at one moment.
struct ClockReading {
    UnixMs wall = 0;
    Milliseconds since_boot{0};
};

// CLOCK_BOOTTIME goes on while the machine sleeps, as the wall clock does; steady_clock stands still (clock_gettime(2)), and
// would make each waking look like a step.
inline Milliseconds since_boot() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return Milliseconds(static_cast<std::int64_t>(now.tv_sec) * 1'000 + now.tv_nsec / 1'000'000);
}

// Reads again when the process was held up between the two: that would look like a step.
inline ClockReading read_clocks() {
    constexpr Milliseconds kTogether{20};
    for (;;) {
        Milliseconds before = since_boot();
        UnixMs wall = unix_now();
        if (since_boot() - before < kTogether) return {wall, before};
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
        Milliseconds offset = Milliseconds(now.wall) - now.since_boot;
        Milliseconds moved = offset - offset_.value_or(offset);
        offset_ = offset;
        return moved >= kStepMin || moved <= -kStepMin ? moved : Milliseconds(0);
    }

  private:
    std::optional<Milliseconds> offset_;  // of the wall clock to the time since boot
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
