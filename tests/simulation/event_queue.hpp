// Virtual time: what happens next, one thing after the other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace balancer::simulation {

// Things of one millisecond happen in the order in which they were asked for.
class EventQueue {
  public:
    using Action = std::function<void()>;

    explicit EventQueue(UnixMs start) : now_(start) {}

    UnixMs now() const { return now_; }
    void at(UnixMs when, Action action) {
        events_.push(Event{std::max(when, now_), ++last_, std::move(action)});
    }
    void after(UnixMs delay, Action action) { at(now_ + delay, std::move(action)); }

    void run_until(UnixMs end) {
        while (!events_.empty() && events_.top().when <= end) {
            // Not copied: what an action holds may be large.
            Action action = std::move(events_.top().action);
            now_ = events_.top().when;
            events_.pop();
            action();
        }
        now_ = end;
    }

  private:
    struct Event {
        UnixMs when;
        std::uint64_t order;
        mutable Action action;
        bool operator<(const Event& other) const {
            return std::pair(when, order) > std::pair(other.when, other.order);
        }
    };
    UnixMs now_;
    std::uint64_t last_ = 0;
    std::priority_queue<Event> events_;
};

}  // namespace balancer::simulation
