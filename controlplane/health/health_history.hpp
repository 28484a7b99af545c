// The last changes of a provider's circuits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

#include "balancer/v1/admin.pb.h"

namespace balancer::controlplane {

// Newest first; lives in the Merger. Counts all, keeps the last few.
class HealthHistory {
  public:
    static constexpr std::size_t kKept = 20;

    void add(v1::HealthTransition transition) {
        ++counted_[transition.to()];
        kept_.push_front(std::move(transition));
        if (kept_.size() > kKept) kept_.pop_back();
    }

    const std::deque<v1::HealthTransition>& kept() const { return kept_; }

    // Since the start, by the state that was reached.
    const std::map<int, std::uint64_t>& counted() const { return counted_; }

  private:
    std::deque<v1::HealthTransition> kept_;
    std::map<int, std::uint64_t> counted_;
};

}  // namespace balancer::controlplane
