#include "dataplane/upstream/early_head.hpp"

#include <exception>

#include "base/net.hpp"

namespace balancer::dataplane {
namespace {

constexpr Milliseconds kBetweenStops{5};

}  // namespace

EarlyHead::EarlyHead(
    net::io_context& context, Sweep& sweep, TaskGroup& tasks, UpstreamResponse& response
)
    : context_(context),
      response_(response),
      start_(sweep, [this, &tasks] {
          reading_ = true;
          tasks.spawn(read());
      }),
      read_over_(context, SteadyTime::max()) {
    start_.arm(steady_now() + kAfter);
}

net::awaitable<void> EarlyHead::read() {
    try {
        status_ = co_await response_.read_head();
    } catch (const std::exception& defect) {
        status_ = ReadStatus{ReadStatus::Kind::kFailed, FailureClass::kProtocol, defect.what()};
    }
    while (!written_) {
        response_.stream().stop_writing();
        net::steady_timer pause(context_, kBetweenStops);
        co_await pause.async_wait(kNoThrow);
    }
    reading_ = false;
    read_over_.cancel();
}

net::awaitable<ReadStatus> EarlyHead::finish() {
    start_.disarm();
    written_ = true;
    if (!reading_) {
        response_.await_head();
        co_return co_await response_.read_head();
    }
    if (!status_) response_.await_head();
    while (reading_) co_await read_over_.async_wait(kNoThrow);
    co_return *std::move(status_);
}

}  // namespace balancer::dataplane
