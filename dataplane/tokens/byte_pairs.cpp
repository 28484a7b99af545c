#include "dataplane/tokens/byte_pairs.hpp"

#include <algorithm>
#include <functional>

namespace balancer::tokens {

void BytePairs::weigh(const RankTable& table, std::string_view piece, std::uint32_t at) {
    Part& part = parts_[at];
    part.rank = RankTable::kNone;
    if (part.end >= piece.size()) return;
    part.rank = table.rank(piece.substr(at, parts_[part.end].end - at));
    if (part.rank != RankTable::kNone) heap_.push_back(std::uint64_t{part.rank} << 32 | at);
}

std::uint64_t BytePairs::count(const RankTable& table, std::string_view piece) {
    if (piece.empty()) return 0;
    // Most pieces of a text are tokens.
    if (table.rank(piece) != RankTable::kNone) return 1;
    auto size = static_cast<std::uint32_t>(piece.size());
    parts_.resize(size);
    heap_.clear();
    for (std::uint32_t i = 0; i < size; ++i) parts_[i] = {i + 1, i == 0 ? 0 : i - 1};
    for (std::uint32_t i = 0; i < size; ++i) weigh(table, piece, i);
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    std::uint64_t left = size;
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
        auto rank = static_cast<std::uint32_t>(heap_.back() >> 32);
        auto at = static_cast<std::uint32_t>(heap_.back());
        heap_.pop_back();
        // One of the pair has been joined with somebody else meanwhile.
        if (parts_[at].rank != rank) continue;
        std::uint32_t next = parts_[at].end;
        parts_[at].end = parts_[next].end;
        parts_[next].rank = RankTable::kNone;
        if (parts_[at].end < size) parts_[parts_[at].end].previous = at;
        --left;
        for (std::uint32_t changed : {at, parts_[at].previous}) {
            std::size_t before = heap_.size();
            weigh(table, piece, changed);
            if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
            if (at == 0) break;  // nobody is in front
        }
    }
    return left;
}

}  // namespace balancer::tokens
