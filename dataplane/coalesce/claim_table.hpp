// Which worker makes the call for a signature, for the whole process. docs/decisions/0019 says why it is this.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "dataplane/wire/signature.hpp"

namespace balancer::dataplane {

// A worker's place in the process.
using WorkerIndex = std::uint16_t;

// One 64-bit word per call in flight: 48 bits of the signature, 16 of the worker. Lock-free and shared by all workers. It is
// a hint, and loses a saving at worst, never an answer: a full row leaves a request without a claim, two signatures with the
// same 48 bits meet at a worker that knows the whole signature.
class ClaimTable {
  public:
    // What came of asking for a signature.
    struct Claim {
        enum class Kind {
            kOurs,  // the caller makes the call and gives the claim back when it has ended
            kHeld,  // by `holder`
            kFull,  // no room: the caller makes a call that nobody joins
        };
        Kind kind = Kind::kFull;
        WorkerIndex holder = 0;
    };

    ClaimTable();

    Claim claim(const wire::Signature& signature, WorkerIndex worker);

    // By the worker that holds it, once.
    void give_back(const wire::Signature& signature, WorkerIndex worker);

    // Claims that are held. Looks at every place: for tests and metrics.
    std::size_t held() const;

  private:
    static constexpr std::size_t kRows = 1U << 13;
    static constexpr std::size_t kPlaces = 8;  // of a row: one cache line

    struct alignas(64) Row {
        std::atomic<std::uint64_t> places[kPlaces];
    };

    Row& row_of(const wire::Signature& signature) const { return rows_[signature.low & (kRows - 1)]; }

    std::unique_ptr<Row[]> rows_;
};

}  // namespace balancer::dataplane
