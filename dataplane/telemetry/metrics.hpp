// Numbers that workers count. Each worker writes its own, with relaxed single-writer atomics; a scrape sums them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "model/failure.hpp"
#include "model/provider_slots.hpp"

namespace balancer::dataplane {

// Written by one thread, read by any.
class Counter {
  public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void sub(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

// Upper bounds in milliseconds, for times to first byte and of whole answers alike.
inline constexpr std::array<std::uint64_t, 14> kLatencyBoundsMs = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 120000, 600000
};

struct Histogram {
    std::array<Counter, kLatencyBoundsMs.size() + 1> buckets;
    Counter sum_ms;
    void observe(std::uint64_t ms);
};

// Why an exchange ended as it did. The access record's `flag`.
enum class Outcome : std::uint8_t {
    kOk,
    kUpstreamError,         // an upstream's error went to the client unmodified
    kNoRoute,
    kNoHealthyUpstream,     // nobody could serve
    kRetryBudget,           // failover refused by the budget
    kStreamBroken,          // cut after the commit; the client got an error event
    kDownstreamDisconnect,
    kBadRequest,
    kUnauthorized,
    kTooLarge,
    kOverloaded,            // our own limits
    kNotReady,              // no snapshot yet
    kLocal,                 // a page of our own
    kShutdown,              // this process stopped and could not wait for the answer's end
    kInternalError,         // a defect of ours
};
inline constexpr std::size_t kOutcomes = 15;
std::string_view name_of(Outcome outcome);

struct ProviderMetrics {
    std::array<Counter, kFailureClasses> attempts;  // [kNone]: successes
    Counter failovers;                              // away from it
    Counter in_flight;                              // answers being relayed
    Counter attempts_in_flight;                     // attempts under way, answers included
    Histogram first_byte;
    Histogram duration;
};

// One per worker. Everything but `provider()` for a new slot may be read from other threads.
struct WorkerMetrics {
    std::array<Counter, kOutcomes> requests;
    Counter in_flight;
    Counter connections;
    Counter connections_total;
    Counter bytes_to_clients;
    Counter bytes_from_clients;
    Counter pings_sent;
    Counter retries;
    Counter retries_denied;
    Counter pool_reused;
    Counter pool_made;
    Counter pool_idle;
    Counter body_memory;
    Counter buffers_out;
    Counter access_lines_lost;
    Counter coalesced;         // requests that read another one's call
    Counter coalesced_now;     // those of them that are under way
    Counter coalesced_bytes;   // of answers, that went to them
    Counter coalesced_input_tokens;
    Counter coalesced_output_tokens;
    Counter replayed;          // requests that were given a kept answer again
    Counter calls;             // that can be joined
    Counter answers_kept;
    Counter call_memory;       // bytes of answers kept for readers
    std::array<Counter, 3> counted_locally;  // counts of tokens, by tokens::EncodingName

    // Made on first use by the worker.
    ProviderMetrics& provider(ProviderSlot slot);
    // From any thread; null when that worker never used it.
    const ProviderMetrics* find(std::size_t slot) const;

    ~WorkerMetrics();

  private:
    std::array<std::atomic<ProviderMetrics*>, kProviderSlotsMax> providers_{};
};

}  // namespace balancer::dataplane
