#include "dataplane/sticky_table.hpp"

#include <functional>

namespace balancer::dataplane {
namespace {

// Word: 20 bits of the key, 16 of the provider, 28 of seconds (8.5 years: a wrap makes one entry look old).
constexpr std::uint64_t kSecondsMask = (1ULL << 28) - 1;

std::uint64_t tag_of(SessionKey key) { return key >> 44; }

std::uint64_t seconds_of(SteadyTime now) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
    return static_cast<std::uint64_t>(seconds.count()) & kSecondsMask;
}

}  // namespace

StickyTable::StickyTable() : places_(std::make_unique<std::atomic<std::uint64_t>[]>(kPlaces)) {}

std::uint16_t StickyTable::find(SessionKey key, SteadyTime now, Milliseconds within) const {
    if (within.count() <= 0) return 0;
    std::uint64_t word = places_[key & (kPlaces - 1)].load(std::memory_order_relaxed);
    if (word == 0 || (word >> 44) != tag_of(key)) return 0;
    std::uint64_t age = (seconds_of(now) - (word & kSecondsMask)) & kSecondsMask;
    if (age > static_cast<std::uint64_t>(within.count() / 1000)) return 0;
    return static_cast<std::uint16_t>(word >> 28);
}

void StickyTable::put(SessionKey key, std::uint16_t provider, SteadyTime now) {
    std::uint64_t word = (tag_of(key) << 44) | (std::uint64_t{provider} << 28) | seconds_of(now);
    std::atomic<std::uint64_t>& place = places_[key & (kPlaces - 1)];
    if (place.load(std::memory_order_relaxed) != word) place.store(word, std::memory_order_relaxed);
}

std::uint16_t StickyTable::provider_hash(std::string_view name) {
    std::size_t hash = std::hash<std::string_view>{}(name);
    auto folded = static_cast<std::uint16_t>(hash ^ (hash >> 16) ^ (hash >> 32) ^ (hash >> 48));
    return folded == 0 ? std::uint16_t{1} : folded;
}

}  // namespace balancer::dataplane
