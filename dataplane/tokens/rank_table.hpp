// The tokens of one encoding and their ranks, searched in the program's own image: nothing is loaded or allocated, and a
// page of it costs memory only once it has been looked at.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace balancer::tokens {

// Immutable and thread-safe. The packed bytes must outlive it and be aligned for u32.
class RankTable {
  public:
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

    // `packed` was made by pack_ranks of this build; anything else is a defect (BALANCER_CHECK).
    explicit RankTable(std::span<const unsigned char> packed);

    // Smaller is merged first. kNone: these bytes are no token.
    std::uint32_t rank(std::string_view bytes) const {
        return bytes.size() > token_bytes_max_ ? kNone : find(bytes);
    }

    // The published expression that cuts a text into pieces.
    std::string_view pattern() const { return pattern_; }
    // Control tokens by their names: "<EOT>".
    const std::vector<std::string_view>& specials() const { return specials_; }

  private:
    std::uint32_t find(std::string_view bytes) const;

    std::size_t token_bytes_max_ = 0;
    std::span<const std::uint32_t> begins_;
    std::span<const std::uint32_t> slots_;
    std::string_view bytes_;
    std::string_view pattern_;
    std::vector<std::string_view> specials_;
};

}  // namespace balancer::tokens
