#include "dataplane/sweep.hpp"

#include "base/check.hpp"

namespace balancer::dataplane {

SweepEntry::SweepEntry(Sweep& sweep, std::function<void()> on_due)
    : sweep_(sweep), on_due_(std::move(on_due)), index_(sweep.entries_.size()) {
    sweep_.entries_.push_back(this);
}

SweepEntry::~SweepEntry() {
    SweepEntry* last = sweep_.entries_.back();
    sweep_.entries_[index_] = last;
    last->index_ = index_;
    sweep_.entries_.pop_back();
}

Sweep::Sweep(boost::asio::io_context& context) : timer_(context) {}

void Sweep::start(std::function<void()> on_tick) {
    on_tick_ = std::move(on_tick);
    wait();
}

void Sweep::stop() {
    stopped_ = true;
    timer_.cancel();
}

void Sweep::wait() {
    timer_.expires_after(kTick);
    timer_.async_wait([this](const boost::system::error_code& ec) {
        if (ec || stopped_) return;
        tick();
        wait();
    });
}

void Sweep::tick() {
    now_ = steady_now();
    // Entries made meanwhile are at the end and not due; none is destroyed meanwhile.
    std::size_t count = entries_.size();
    for (std::size_t i = 0; i < count; ++i) {
        SweepEntry& entry = *entries_[i];
        if (entry.due_ > now_) continue;
        entry.disarm();
        entry.on_due_();
        BALANCER_CHECK(count <= entries_.size());
    }
    if (on_tick_) on_tick_();
}

}  // namespace balancer::dataplane
