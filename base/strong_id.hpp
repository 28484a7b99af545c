// Ids that cannot be mixed up: StrongId<struct ProviderSlotTag, std::uint32_t>.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace balancer {

template <class Tag, class Value>
class StrongId {
  public:
    constexpr StrongId() = default;
    constexpr explicit StrongId(Value value) : value_(value) {}
    constexpr Value value() const { return value_; }
    friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

  private:
    Value value_{};
};

}  // namespace balancer

template <class Tag, class Value>
struct std::hash<balancer::StrongId<Tag, Value>> {
    std::size_t operator()(const balancer::StrongId<Tag, Value>& id) const {
        return std::hash<Value>{}(id.value());
    }
};
