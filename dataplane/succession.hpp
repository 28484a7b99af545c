// How one process of a data plane follows another on the same ports: the listening sockets themselves go from the old one to
// the new one, so that no client that is on its way in meets a port that closes.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace balancer::dataplane {

struct Listeners {
    UniqueFd admin;
    std::vector<UniqueFd> clients;
};

// In the old process: the new one, until it is ready. Lives on one io_context.
class Successor {
  public:
    // Runs the program of `command` (from its path, where an upgrade has put another) with our environment, as a child of our
    // parent: who looks after us is to look after it.
    static Result<std::unique_ptr<Successor>> start(
        boost::asio::io_context& context, const std::vector<std::string>& command, const Listeners& listeners
    );
    // One that is not ready yet is killed.
    ~Successor();
    Successor(const Successor&) = delete;
    Successor& operator=(const Successor&) = delete;

    // `done` runs once: with its process id when it serves, or with why it does not in `patience`.
    void wait(Milliseconds patience, std::function<void(Result<pid_t>)> done);

  private:
    Successor(boost::asio::io_context& context, pid_t pid, UniqueFd process, UniqueFd news);
    void end(Result<pid_t> how);

    pid_t pid_;
    UniqueFd process_;  // a pidfd; none when it is ready
    boost::asio::posix::stream_descriptor news_;
    boost::asio::steady_timer patience_;
    char byte_ = 0;
    std::function<void(Result<pid_t>)> done_;
};

// In the new process: what the old one has left to it.
class Predecessor {
  public:
    // None: nobody has. An error: it speaks of something else than we know. Once, at the start: the environment is cleared.
    static Result<std::optional<Predecessor>> from_environment();

    Listeners listeners;

    // We serve; it may go.
    void release();

  private:
    UniqueFd news_;
};

}  // namespace balancer::dataplane
