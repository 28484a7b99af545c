// Coarse deadlines: one timer per worker looks at all of them, so that arming one is a store. A timer per operation costs
// more than the operation (beast::tcp_stream::expires_after: +9 to +13 % CPU per request, measured).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <vector>

#include "base/clock.hpp"

namespace balancer::dataplane {

class Sweep;

// Something that falls due. Registers itself for its life; must not outlive the Sweep. When `due` has passed, `on_due`
// runs once with `due` already set to never; it may arm again, and must not destroy any SweepEntry.
class SweepEntry {
  public:
    static constexpr SteadyTime kNever = SteadyTime::max();

    SweepEntry(Sweep& sweep, std::function<void()> on_due);
    ~SweepEntry();
    SweepEntry(const SweepEntry&) = delete;
    SweepEntry& operator=(const SweepEntry&) = delete;

    void arm(SteadyTime due) { due_ = due; }
    void disarm() { due_ = kNever; }
    SteadyTime due() const { return due_; }

  private:
    friend class Sweep;
    Sweep& sweep_;
    std::function<void()> on_due_;
    SteadyTime due_ = kNever;
    std::size_t index_;
};

// Lives on one worker. Entries fall due up to `kTick` late.
class Sweep {
  public:
    static constexpr Milliseconds kTick{50};

    explicit Sweep(boost::asio::io_context& context);

    // Also calls `on_tick` each time, after the entries.
    void start(std::function<void()> on_tick);
    void stop();

    // The time of the last tick: good enough for deadlines of seconds, and free.
    SteadyTime now() const { return now_; }

  private:
    friend class SweepEntry;
    void wait();
    void tick();

    boost::asio::steady_timer timer_;
    std::vector<SweepEntry*> entries_;
    std::function<void()> on_tick_;
    SteadyTime now_ = steady_now();
    bool stopped_ = false;
};

}  // namespace balancer::dataplane
