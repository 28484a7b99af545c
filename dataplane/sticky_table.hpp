// Which provider a session used last, for the whole process. docs/decisions/0003 says why it is this.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/clock.hpp"

namespace balancer::dataplane {

// A hash of a session's identity.
using SessionKey = std::uint64_t;

// One 64-bit word per place: part of the key, a hash of the provider's name, the second of the last use (by the steady
// clock: setting the other one must not cost every session its provider). Lock-free and shared by all workers; a
// collision or a race loses a preference, never an answer.
class StickyTable {
  public:
    StickyTable();

    // The hash of the provider's name used within `within` (counted in whole seconds; 0: no stickiness), or 0.
    std::uint16_t find(SessionKey key, SteadyTime now, Milliseconds within) const;

    // Writes only when the provider changed or the entry is older than a second.
    void put(SessionKey key, std::uint16_t provider, SteadyTime now);

    // Never 0.
    static std::uint16_t provider_hash(std::string_view name);

  private:
    static constexpr std::size_t kPlaces = 1U << 16;
    std::unique_ptr<std::atomic<std::uint64_t>[]> places_;
};

}  // namespace balancer::dataplane
