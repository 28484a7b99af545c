// Provider health as the request path reads it: an immutable view, indexed by slot.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "model/failure.hpp"
#include "model/health_policy.hpp"
#include "model/provider_slots.hpp"

namespace balancer {

// Leave for one request to try a half-open provider. Shared by the workers of a process: whoever takes it first has it.
// Thread-safe and lock-free.
class ProbeTicket {
  public:
    ProbeTicket(std::string id, std::uint64_t epoch) : id_(std::move(id)), epoch_(epoch) {}

    bool take() { return !taken_.exchange(true, std::memory_order_relaxed); }
    bool taken() const { return taken_.load(std::memory_order_relaxed); }

    // The request ended without saying anything about the provider.
    void give_back() { taken_.store(false, std::memory_order_relaxed); }

    const std::string& id() const { return id_; }
    std::uint64_t epoch() const { return epoch_; }

  private:
    const std::string id_;
    const std::uint64_t epoch_;
    std::atomic<bool> taken_{false};
};

// What the request path needs to know of one provider, or of one of its models.
struct Condition {
    bool benched = false;         // nobody may use it, but for the one with the ticket
    UnixMs benched_until = 0;     // when it may be of use again, for words; 0: not benched, or not known
    unsigned admit_percent = 100; // of the sessions; below 100: ramp
    std::shared_ptr<ProbeTicket> probe;  // half-open, and this process may try
    FailureClass why = FailureClass::kNone;
    unsigned failure_count = 0;   // in a row, as this process saw them
    bool watch_success = false;   // a success is news: report it
    std::string cause;
};

struct ModelCondition {
    std::string model;  // as sent upstream
    Condition condition;
};

struct ProviderCondition : Condition {
    std::vector<ModelCondition> models;  // those that have something against them: none or few
};

// May a request go there?
enum class Gate {
    kOpen,
    kProbe,  // as the one probe, if its ticket can be taken
    kLater,  // in the ramp, and not this session's turn: behind all others
    kShut,
};

struct Admission {
    Gate gate = Gate::kOpen;
    ProbeTicket* probe = nullptr;         // with kProbe; lives as long as the view
    const Condition* because = nullptr;   // with kShut
};

// One per data plane at a time, immutable, posted to each worker: what the data plane saw itself, joined with what the
// fleet says. A slot beyond the end is in good health. Nothing here allocates or locks.
struct HealthView {
    std::vector<ProviderCondition> by_slot;

    const ProviderCondition* find(ProviderSlot slot) const {
        return slot.value() < by_slot.size() ? &by_slot[slot.value()] : nullptr;
    }
    const Condition* find_model(ProviderSlot slot, std::string_view model) const;

    // The whole provider, whatever the model.
    bool benched(ProviderSlot slot) const {
        const ProviderCondition* condition = find(slot);
        return condition != nullptr && condition->benched;
    }

    // `draw` is the session's number in [0, 100) for this provider: in a ramp those below admit_percent get in.
    Admission admit(ProviderSlot slot, std::string_view model, unsigned draw) const;

    bool watch_success(ProviderSlot slot, std::string_view model) const;

    // Failures in a row of the kind that `failure` would add to.
    unsigned failure_count(ProviderSlot slot, std::string_view model, FailureClass failure) const;

    // The later of the provider's and the model's; 0: neither is benched.
    UnixMs benched_until(ProviderSlot slot, std::string_view model) const;
};

}  // namespace balancer
