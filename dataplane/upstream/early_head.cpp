#include "dataplane/upstream/early_head.hpp"

#include "base/net.hpp"

namespace balancer::dataplane {

EarlyHead::EarlyHead(
    net::io_context& context, Sweep& sweep, TaskGroup& tasks, UpstreamResponse& response
)
    : response_(response),
      start_(sweep, [this, &tasks] {
          reading_ = true;
          tasks.spawn(read());
      }),
      read_over_(context, SteadyTime::max()) {
    start_.arm(steady_now() + kAfter);
}

net::awaitable<void> EarlyHead::read() {
    status_ = co_await response_.read_head();
    reading_ = false;
    response_.stream().stop_writing();
    read_over_.cancel();
}

net::awaitable<ReadStatus> EarlyHead::finish() {
    start_.disarm();
    if (status_) co_return *std::move(status_);
    response_.await_head();
    if (!reading_) co_return co_await response_.read_head();
    while (reading_) co_await read_over_.async_wait(kNoThrow);
    co_return *std::move(status_);
}

}  // namespace balancer::dataplane
