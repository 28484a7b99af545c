// The thread on which requests' tokens are counted: a body of 30 MiB takes about a second, and a worker has streams to serve.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

#include "base/result.hpp"
#include "dataplane/tokens/encoding.hpp"

namespace balancer::dataplane {

struct CountCall {
    std::string_view body;  // with wire::kBodyPadding readable bytes behind it; stays until the answer
    const tokens::Encoding* encoding = nullptr;
    std::shared_ptr<const std::atomic<bool>> cancelled;  // set: nobody wants the answer any more
};

// Called once for each call, on this thread. Errors are those of tokens::take_apart; or the memory did not do.
using CountDone = std::function<void(Result<std::uint64_t>)>;

// Requests take turns, a window each, so that a long one does not keep the short ones waiting.
class CountingThread {
  public:
    CountingThread();
    ~CountingThread();  // stops

    void start();
    // Nobody may call count() any more; what is under way is not answered.
    void stop();

    // Thread-safe.
    void count(CountCall call, CountDone done);

  private:
    struct Job;
    void step(const std::shared_ptr<Job>& job);

    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::thread thread_;
};

}  // namespace balancer::dataplane
