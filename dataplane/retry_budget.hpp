// Bounds what failover may add to the traffic: retries as a share of requests over the last ten seconds.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.hpp"

namespace balancer::dataplane {

// Lives on one worker, which owns its share of the data plane's budget. Time is an argument.
class RetryBudget {
  public:
    void request(SteadyTime now) { ++bucket(now).requests; }

    // True, and counted, when one more retry is within `percent` of the requests or within `min_per_s`.
    bool take(SteadyTime now, std::uint32_t percent, double min_per_s) {
        Bucket& current = bucket(now);
        std::uint64_t requests = 0;
        std::uint64_t retries = 0;
        for (const Bucket& one : buckets_) {
            requests += one.requests;
            retries += one.retries;
        }
        double allowed = static_cast<double>(requests) * percent / 100.0 + min_per_s * kSeconds;
        if (static_cast<double>(retries) >= allowed) return false;
        ++current.retries;
        return true;
    }

  private:
    static constexpr std::int64_t kSeconds = 10;
    struct Bucket {
        std::int64_t second = -1;
        std::uint32_t requests = 0;
        std::uint32_t retries = 0;
    };

    Bucket& bucket(SteadyTime now) {
        std::int64_t second =
            std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
        for (Bucket& one : buckets_) {
            if (one.second >= 0 && second - one.second >= kSeconds) one = Bucket{};
        }
        Bucket& current = buckets_[static_cast<std::size_t>(second % kSeconds)];
        current.second = second;
        return current;
    }

    std::array<Bucket, kSeconds> buckets_;
};

}  // namespace balancer::dataplane
