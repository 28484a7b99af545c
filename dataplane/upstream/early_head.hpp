// A provider may answer before it has the whole request (413, say) and stop reading: then its answer counts, not our write.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "base/task_group.hpp"
#include "dataplane/sweep.hpp"
#include "dataplane/upstream/response.hpp"

namespace balancer::dataplane {

// Beside one write(): once that has taken kAfter, reads the answer's head at the same time, and ends the write when there is
// one or when there never will be. Lives on one worker; finish() must be awaited before it is destroyed.
class EarlyHead {
  public:
    static constexpr Milliseconds kAfter{250};

    EarlyHead(
        boost::asio::io_context& context, Sweep& sweep, TaskGroup& tasks, UpstreamResponse& response
    );
    EarlyHead(const EarlyHead&) = delete;
    EarlyHead& operator=(const EarlyHead&) = delete;

    // The write is over: waits for the head, whoever reads it.
    boost::asio::awaitable<ReadStatus> finish();

  private:
    boost::asio::awaitable<void> read();

    boost::asio::io_context& context_;
    UpstreamResponse& response_;
    SweepEntry start_;
    boost::asio::steady_timer read_over_;  // never expires; cancelled when reading is over
    bool reading_ = false;
    bool written_ = false;
    std::optional<ReadStatus> status_;
};

}  // namespace balancer::dataplane
