#include "dataplane/telemetry/request_ring.hpp"

#include <algorithm>
#include <utility>

namespace balancer::dataplane {

RequestRecord RequestRing::forget_oldest(Ring& ring) {
    RequestRecord oldest = std::move(ring.records.front());
    ring.records.pop_front();
    ring.bytes -= oldest.bytes();
    // The next one may have come in the same millisecond, and is remembered: rather too late than too early.
    ring.since = std::max(ring.since, oldest.at + 1);
    return oldest;
}

void RequestRing::keep(Ring& ring) {
    RequestRecord spare;
    if (ring.records.size() >= count_max_) spare = forget_oldest(ring);
    ring.bytes += next_.bytes();
    ring.records.push_back(std::exchange(next_, std::move(spare)));
    // Never the newest: it is bounded by itself.
    while (ring.bytes > bytes_max_ && ring.records.size() > 1) forget_oldest(ring);
}

void RequestRing::find(std::string_view id, RequestsFound& found) const {
    for (const Ring* ring : {&troubled_, &plain_}) {
        for (auto record = ring->records.rbegin(); record != ring->records.rend(); ++record) {
            if (record->request_id == id || record->upstream_request_id == id) {
                found.records.push_back(*record);
            }
        }
    }
    found.plain_since = std::max(found.plain_since, plain_.since);
    found.troubled_since = std::max(found.troubled_since, troubled_.since);
}

}  // namespace balancer::dataplane
