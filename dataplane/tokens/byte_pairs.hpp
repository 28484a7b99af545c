// Byte pair encoding of one piece: neighbours that form the token of the smallest rank are joined, the leftmost first, until
// none are left.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "dataplane/tokens/rank_table.hpp"

namespace balancer::tokens {

// Keeps its memory between pieces. Not thread-safe.
class BytePairs {
  public:
    // How many tokens the piece is; 0 for an empty one. In O(n log n), whatever the bytes: a heap of the pairs, and the parts
    // as a linked list.
    std::uint64_t count(const RankTable& table, std::string_view piece);

  private:
    // The part that begins at the node's own index; `rank` is that of joining it with the next one.
    struct Part {
        std::uint32_t end = 0;
        std::uint32_t previous = 0;
        std::uint32_t rank = RankTable::kNone;
    };

    void weigh(const RankTable& table, std::string_view piece, std::uint32_t at);

    std::vector<Part> parts_;
    std::vector<std::uint64_t> heap_;  // rank << 32 | where: the smallest is on top
};

}  // namespace balancer::tokens
