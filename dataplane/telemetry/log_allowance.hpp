// How many lines of one kind may go to the event log in a second. Its writes block and lock: in an outage every request has
// something to say, and the access log says it already.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"

namespace balancer::dataplane {

// Lives on one worker. Time is an argument.
class LogAllowance {
  public:
    static constexpr unsigned kPerSecond = 5;

    // How many lines were left out since the last one that was not; nothing when this one is left out too.
    std::optional<std::uint64_t> take(SteadyTime now) {
        if (now - window_began_ >= std::chrono::seconds(1)) {
            window_began_ = now;
            taken_ = 0;
        }
        if (taken_ == kPerSecond) {
            ++left_out_;
            return std::nullopt;
        }
        ++taken_;
        std::uint64_t left_out = left_out_;
        left_out_ = 0;
        return left_out;
    }

  private:
    SteadyTime window_began_{};
    unsigned taken_ = 0;
    std::uint64_t left_out_ = 0;
};

}  // namespace balancer::dataplane
