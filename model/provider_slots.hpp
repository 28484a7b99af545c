// Small dense numbers for provider names, so that counters and health are arrays.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strong_id.hpp"

namespace balancer {

using ProviderSlot = StrongId<struct ProviderSlotTag, std::uint32_t>;

// More names than this in one process's life share the last slot.
inline constexpr std::uint32_t kProviderSlotsMax = 1024;

// A name keeps its slot for the life of the process, over every reload. Lives on the control thread; not
// thread-safe.
class ProviderSlots {
  public:
    ProviderSlot slot_of(std::string_view name);
    const std::vector<std::string>& names() const { return names_; }

  private:
    std::vector<std::string> names_;
    std::unordered_map<std::string, ProviderSlot> by_name_;
};

}  // namespace balancer
