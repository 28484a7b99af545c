// One client connection of a fake provider: reads requests, plays the script's replies.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "tests/support/peer_stream.hpp"
#include "tests/support/reply.hpp"
#include "tests/support/request_log.hpp"
#include "tests/support/script.hpp"

namespace balancer::tests {

// The script in force, shared by the connections and whoever changes it.
struct ScriptSlot {
    std::mutex mutex;
    ScriptCursor cursor;
    std::function<bool(const std::string&)> accepts_token{};  // set before the first connection
};

// Lives on one io_context thread. `slot` and `log` outlive it.
class FakeConnection {
  public:
    FakeConnection(PeerStream stream, ScriptSlot& slot, RequestLog& log, std::uint64_t number);

    // Runs until the connection is over.
    static boost::asio::awaitable<void> run(std::shared_ptr<FakeConnection> self);

    // Closes; `run` then completes.
    void stop();

  private:
    enum class Next { kReadOn, kOver };

    static boost::asio::awaitable<void> pump(std::shared_ptr<FakeConnection> self);
    boost::asio::awaitable<Next> serve_request();
    boost::asio::awaitable<bool> read_head(RecordedRequest& request);
    boost::asio::awaitable<void> read_body(RecordedRequest& request);
    boost::asio::awaitable<bool> answer_expectation(const RecordedRequest& request);
    boost::asio::awaitable<Playback> play(const Reply& reply);
    boost::asio::awaitable<Playback> play_pieces(const Reply& reply);
    boost::asio::awaitable<void> end(Ending ending);
    boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point deadline);
    Step next_step(const RecordedRequest& request);

    PeerStream stream_;
    ScriptSlot& slot_;
    RequestLog& log_;
    const std::uint64_t number_;
    std::string inbound_;
    bool gone_ = false;               // the peer has closed, or stop() was called
    boost::asio::steady_timer tick_;  // wakes the serving coroutine early when something came in
};

}  // namespace balancer::tests
