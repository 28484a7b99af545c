#include "base/task_group.hpp"

#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "base/check.hpp"
#include "base/clock.hpp"
#include "base/net.hpp"

namespace balancer {

TaskGroup::TaskGroup(net::any_io_executor executor, Log& log)
    : executor_(std::move(executor)), log_(log), idle_(executor_) {
    idle_.expires_at(SteadyTime::max());
}

TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(net::awaitable<void> task) {
    ++running_;
    net::co_spawn(executor_, std::move(task), [this](std::exception_ptr failure) {
        if (failure) {
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& problem) {
                log_.emit(LogLevel::kError, LogEvent::kTaskFailed, problem.what());
            }
        }
        if (--running_ == 0) idle_.cancel();
    });
}

net::awaitable<void> TaskGroup::drain() {
    while (running_ > 0) {
        co_await idle_.async_wait(kNoThrow);
    }
}

}  // namespace balancer
