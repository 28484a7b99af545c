#include "dataplane/coalesce/claim_table.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::uint64_t kWorkerMask = 0xffff;

// Never 0 together with a worker: that is an empty place.
std::uint64_t word_of(const wire::Signature& signature, WorkerIndex worker) {
    return (signature.high & ~kWorkerMask) | (std::uint64_t{worker} + 1);
}

bool is_same(std::uint64_t word, const wire::Signature& signature) {
    return word != 0 && ((word ^ signature.high) & ~kWorkerMask) == 0;
}

WorkerIndex worker_of(std::uint64_t word) { return static_cast<WorkerIndex>((word & kWorkerMask) - 1); }

}  // namespace

ClaimTable::ClaimTable() : rows_(std::make_unique<Row[]>(kRows)) {}

// Sequentially consistent throughout: of two that claim at once in different places, at least one sees the other, since each
// looks at the whole row once its own claim stands. Who sees another one takes its claim back and looks again.
ClaimTable::Claim ClaimTable::claim(const wire::Signature& signature, WorkerIndex worker) {
    Row& row = row_of(signature);
    const std::uint64_t ours = word_of(signature, worker);
    for (;;) {
        std::optional<std::size_t> empty;
        for (std::size_t i = 0; i < kPlaces; ++i) {
            std::uint64_t word = row.places[i].load();
            if (is_same(word, signature)) return {Claim::Kind::kHeld, worker_of(word)};
            if (word == 0 && !empty) empty = i;
        }
        if (!empty) return {Claim::Kind::kFull, 0};
        std::uint64_t nothing = 0;
        if (!row.places[*empty].compare_exchange_strong(nothing, ours)) continue;
        bool alone = true;
        for (std::size_t i = 0; i < kPlaces; ++i) {
            if (i != *empty && is_same(row.places[i].load(), signature)) alone = false;
        }
        if (alone) return {Claim::Kind::kOurs, worker};
        row.places[*empty].store(0);
    }
}

void ClaimTable::give_back(const wire::Signature& signature, WorkerIndex worker) {
    Row& row = row_of(signature);
    const std::uint64_t ours = word_of(signature, worker);
    for (std::atomic<std::uint64_t>& place : row.places) {
        if (place.load(std::memory_order_relaxed) != ours) continue;
        place.store(0);
        return;
    }
}

std::size_t ClaimTable::held() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kRows; ++i) {
        for (const std::atomic<std::uint64_t>& place : rows_[i].places) count += place.load() != 0 ? 1U : 0U;
    }
    return count;
}

}  // namespace balancer::dataplane
