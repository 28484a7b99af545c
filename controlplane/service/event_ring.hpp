// The last events of this control plane, for who watches them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "balancer/v1/admin.pb.h"
#include "base/log.hpp"
#include "base/result.hpp"

namespace balancer::controlplane {

// Thread-safe: whoever logs appends. Holds the newest events, each cut to a size; ids are
// EPOCH-NUMBER, and the numbers grow by one, so that a reader sees what it missed.
class EventRing {
  public:
    static constexpr std::size_t kEventsMax = 2'000;

    explicit EventRing(std::uint64_t epoch, std::size_t events_max = kEventsMax);

    void append(const LogRecord& record);

    // Called after an event has come, once until news_seen(), on the thread that logs. It must not
    // use the ring. No call of an earlier one is under way when this returns.
    void on_news(std::function<void()> tell);
    void news_seen();

    // A reader's place: the number of the event that is read next.
    struct Place {
        std::uint64_t next = 0;
        std::optional<v1::EventGap> gap;  // told first
    };

    // Behind the event `since`; empty: before the oldest. Refused: what is no id, and one that has
    // not been given out.
    Result<Place> place(const std::string& since) const;

    // The next message for who stands there, which moves on; nothing: it has them all. `types`
    // empty: all.
    std::optional<v1::WatchEventsResponse> next(
        Place& place, const std::set<std::string, std::less<>>& types
    ) const;

  private:
    const std::uint64_t epoch_;
    const std::size_t events_max_;

    mutable std::mutex mutex_;
    std::deque<v1::Event> events_;
    std::uint64_t first_ = 1;  // the number of events_.front()
    std::function<void()> tell_;
    bool told_ = false;
};

}  // namespace balancer::controlplane
