// A hash that is the same in every process and release: for names that are made from others. Not against adversaries.
#pragma once

#include <cstdint>
#include <string_view>

namespace balancer {

// FNV-1a, 64 bits.
inline std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
    return hash;
}

}  // namespace balancer
