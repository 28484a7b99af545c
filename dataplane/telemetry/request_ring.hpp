// The requests that one worker has served of late.
#pragma once

#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/telemetry/request_record.hpp"

namespace balancer::dataplane {

// What was found, and how far back one can look.
struct RequestsFound {
    static constexpr std::size_t kListedMax = 500;  // of those that are under way

    std::vector<RequestRecord> records;
    // From when on every request is remembered: those without trouble, and those with some.
    UnixMs plain_since = 0;
    UnixMs troubled_since = 0;
    std::size_t left_out = 0;  // more than fit
};

// Lives on one worker. Two rings, so that a day of plain successes does not push out the failure that somebody asks
// about in the evening. The oldest records go when there are too many or they are too large; their memory is used
// again, so that in the long run remembering a request allocates next to nothing.
class RequestRing {
  public:
    static constexpr std::size_t kCountMax = 4'096;     // of each ring
    static constexpr std::size_t kBytesMax = 4U << 20;  // of each ring

    explicit RequestRing(UnixMs now, std::size_t count_max = kCountMax, std::size_t bytes_max = kBytesMax)
        : count_max_(count_max), bytes_max_(bytes_max), plain_{{}, 0, now}, troubled_{{}, 0, now} {}

    // `fill` gets a record with old content, whose memory it may use, and overwrites all of it.
    template <class Fill>
    void add(Fill fill) {
        fill(next_);
        keep(next_.troubled() ? troubled_ : plain_);
    }

    // Appends the records with this id, ours or the provider's, newest first; and how far back they go.
    void find(std::string_view id, RequestsFound& found) const;

  private:
    struct Ring {
        std::deque<RequestRecord> records;  // oldest first
        std::size_t bytes = 0;
        UnixMs since = 0;
    };

    void keep(Ring& ring);
    RequestRecord forget_oldest(Ring& ring);

    std::size_t count_max_;
    std::size_t bytes_max_;
    Ring plain_;
    Ring troubled_;
    RequestRecord next_;
};

}  // namespace balancer::dataplane
