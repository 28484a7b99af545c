#include "dataplane/tokens/rank_table.hpp"

#include "base/check.hpp"
#include "dataplane/tokens/packed_ranks.hpp"

namespace balancer::tokens {

RankTable::RankTable(std::span<const unsigned char> packed) {
    PackedHeader header{};
    BALANCER_CHECK(packed.size() > sizeof(header));
    std::memcpy(&header, packed.data(), sizeof(header));
    BALANCER_CHECK(header.magic == kPackedMagic);
    std::size_t words = std::size_t{header.tokens} + 1 + header.slots;
    std::size_t texts = std::size_t{header.pattern_bytes} + header.specials_bytes + header.tokens_bytes;
    BALANCER_CHECK(packed.size() == sizeof(header) + words * sizeof(std::uint32_t) + texts);
    const auto* numbers = reinterpret_cast<const std::uint32_t*>(packed.data() + sizeof(header));
    begins_ = {numbers, std::size_t{header.tokens} + 1};
    slots_ = {numbers + header.tokens + 1, header.slots};
    std::string_view text(reinterpret_cast<const char*>(numbers + words), texts);
    pattern_ = text.substr(0, header.pattern_bytes);
    std::string_view specials = text.substr(header.pattern_bytes, header.specials_bytes);
    while (!specials.empty()) {
        std::size_t end = specials.find('\n');
        specials_.push_back(specials.substr(0, end));
        specials.remove_prefix(end + 1);
    }
    bytes_ = text.substr(std::size_t{header.pattern_bytes} + header.specials_bytes);
    token_bytes_max_ = header.token_bytes_max;
}

std::uint32_t RankTable::find(std::string_view bytes) const {
    std::uint64_t hash = hash_token(bytes);
    auto count = static_cast<std::uint32_t>(slots_.size());
    for (std::uint32_t at = first_slot(hash, count);; at = (at + 1) & (count - 1)) {
        std::uint32_t slot = slots_[at];
        if (slot == 0) return kNone;
        // Most slots that are not it differ here, and the token's bytes stay out of the cache.
        if (slot >> kIndexBits != fingerprint(hash)) continue;
        std::uint32_t index = (slot & ((1U << kIndexBits) - 1)) - 1;
        if (bytes_.substr(begins_[index], begins_[index + 1] - begins_[index]) == bytes) return index;
    }
}

}  // namespace balancer::tokens
