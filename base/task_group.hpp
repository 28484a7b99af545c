// Spawned coroutines that nobody forgets: counted, their exceptions logged, awaited before the owner ends.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>

#include "base/log.hpp"

namespace balancer {

// Lives on one io_context thread; not thread-safe. Must be empty (drained) when destroyed.
class TaskGroup {
  public:
    TaskGroup(boost::asio::any_io_executor executor, Log& log);
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    // Starts `task`. An exception that leaves it is logged and goes no further.
    void spawn(boost::asio::awaitable<void> task);

    std::size_t size() const { return running_; }

    // Completes when nothing runs any more. The owner makes the tasks end (closes sockets, cancels timers).
    boost::asio::awaitable<void> drain();

  private:
    boost::asio::any_io_executor executor_;
    Log& log_;
    std::size_t running_ = 0;
    boost::asio::steady_timer idle_;
};

}  // namespace balancer
