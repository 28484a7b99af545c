#include "model/provider_slots.hpp"

namespace balancer {

ProviderSlot ProviderSlots::slot_of(std::string_view name) {
    auto found = by_name_.find(std::string(name));
    if (found != by_name_.end()) return found->second;
    if (names_.size() == kProviderSlotsMax) return ProviderSlot(kProviderSlotsMax - 1);
    ProviderSlot slot(static_cast<std::uint32_t>(names_.size()));
    names_.emplace_back(names_.size() + 1 == kProviderSlotsMax ? "(others)" : name);
    by_name_.emplace(std::string(name), slot);
    return slot;
}

}  // namespace balancer
