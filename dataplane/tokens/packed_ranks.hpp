// How the build packs the ranks of an encoding: one block of bytes that is searched where it lies. The packer
// (pack_ranks.cpp) and RankTable must agree; both are of one build, so there are no versions.
//
//   PackedHeader
//   u32 begins[tokens + 1]  where each token's bytes begin; its index is its rank, as far as order goes
//   u32 slots[slots]        hash table with linear probing; 0: empty, else fingerprint << kIndexBits | index + 1
//   the pattern, the special tokens (each ended by a line feed), the tokens' bytes
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace balancer::tokens {

inline constexpr std::array<char, 8> kPackedMagic = {'b', 'a', 'l', 'r', 'a', 'n', 'k', 's'};
inline constexpr unsigned kIndexBits = 18;  // the largest encoding has 199,998 tokens

struct PackedHeader {
    std::array<char, 8> magic;
    std::uint32_t tokens;
    std::uint32_t slots;  // a power of two
    std::uint32_t token_bytes_max;
    std::uint32_t pattern_bytes;
    std::uint32_t specials_bytes;
    std::uint32_t tokens_bytes;
};

// The data is fixed at build time, so nobody can choose tokens that collide.
inline std::uint64_t hash_token(std::string_view bytes) {
    constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15ULL;
    std::uint64_t hash = bytes.size() * kFactor;
    while (!bytes.empty()) {
        std::uint64_t word = 0;
        std::size_t size = bytes.size() < sizeof(word) ? bytes.size() : sizeof(word);
        std::memcpy(&word, bytes.data(), size);
        bytes.remove_prefix(size);
        hash = (hash ^ word) * kFactor;
        hash ^= hash >> 32;
    }
    return hash * kFactor;
}

inline std::uint32_t fingerprint(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> (32 + kIndexBits)); }
inline std::uint32_t first_slot(std::uint64_t hash, std::uint32_t slots) {
    return static_cast<std::uint32_t>(hash >> 16) & (slots - 1);
}

}  // namespace balancer::tokens
