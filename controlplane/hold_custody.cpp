#include "controlplane/hold_custody.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

namespace balancer::controlplane {

namespace net = boost::asio;

namespace {

// Between two writes.
constexpr Milliseconds kGap{1'000};
constexpr Milliseconds kGapAfterLoss{10'000};

}  // namespace

struct HoldCustody::Disk {
    Disk(Log& l, Store& s) : log(l), store(s) {}

    // False: it is not on disk.
    bool write(const std::vector<AccountHold>& holds) {
        Result<void> kept = store.keep_holds(holds);
        // A full disk is one event, not one for each try.
        if (std::exchange(lost, !kept) || kept) return kept.has_value();
        log.emit(
            LogLevel::kWarning,
            LogEvent::kNotice,
            fmt::format(
                "what providers have said of their accounts cannot be kept: {}; a restart would try "
                "them again",
                kept.error().text()
            )
        );
        return false;
    }

    Log& log;
    Store& store;
    bool lost = false;  // the last write failed, and that has been logged
    net::thread_pool thread{1};
};

HoldCustody::HoldCustody(net::io_context& loop, Log& log, Store& store)
    : loop_(loop), disk_(std::make_unique<Disk>(log, store)) {}

HoldCustody::~HoldCustody() {
    disk_->thread.join();
}

void HoldCustody::start(std::vector<AccountHold> kept) {
    running_ = true;
    wanted_ = kept;
    handed_ = std::move(kept);
}

void HoldCustody::keep(std::vector<AccountHold> holds, When when) {
    if (!running_) return;
    wanted_ = std::move(holds);
    at_once_ = at_once_ || when == When::kAtOnce;
    if (writing_ || !is_news()) return;
    Milliseconds gap = lost_ ? kGapAfterLoss : kGap;
    if (!at_once_ && written_at_ != SteadyTime{} && steady_now() - written_at_ < gap) return;
    write();
}

void HoldCustody::stop(std::vector<AccountHold> holds) {
    if (!std::exchange(running_, false)) return;
    wanted_ = std::move(holds);
    // Behind the one that is under way.
    if (is_news()) write();
}

void HoldCustody::write() {
    writing_ = true;
    at_once_ = false;
    written_at_ = steady_now();
    handed_ = wanted_;
    net::post(
        disk_->thread,
        [this, disk = disk_.get(), &loop = loop_, alive = std::weak_ptr(alive_), holds = handed_] {
            net::post(loop, [this, alive, kept = disk->write(holds)] {
                if (alive.lock()) written(kept);
            });
        }
    );
}

void HoldCustody::written(bool kept) {
    writing_ = false;
    lost_ = !kept;
    if (running_ && at_once_ && is_news()) write();
}

}  // namespace balancer::controlplane
