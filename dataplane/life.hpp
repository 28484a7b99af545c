// A data plane's process from its start to its end: signals, what its supervisor and the processes before and after it are
// told, and the one way in which it ends.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "dataplane/server.hpp"
#include "dataplane/succession.hpp"

namespace balancer::dataplane {

struct LifeOptions {
    Milliseconds drain_grace{5'000};         // unready, and clients are let in as before
    Milliseconds drain_deadline{30'000};     // for answers under way, then
    Milliseconds handover_deadline{3'600'000};  // the same when another process has taken our place, so that nobody waits
    std::vector<std::string> command;        // that started us, for our successor
};

// SIGTERM, SIGINT, and an operator by way of the control plane: drain, then end. SIGUSR2: start the program anew on the same
// listeners, then drain. One for a process.
class Life {
  public:
    Life(LifeOptions options, Log& log);

    // Thread-safe.
    void drain_wanted(std::string reason);

    // Returns when the data plane has ended.
    void run(Server& server, std::optional<Predecessor> predecessor);

  private:
    enum class Why { kSignal, kOperator, kSuccessor };

    void await_signal();
    void look();
    void begin_succession();
    void succeeded(Result<pid_t> successor);
    void drain(Why why, std::string words);
    void stop(Milliseconds deadline);

    LifeOptions options_;
    Log& log_;
    boost::asio::io_context context_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer look_again_{context_};
    boost::asio::steady_timer grace_{context_};
    Server* server_ = nullptr;
    std::optional<Predecessor> predecessor_;  // that has not been released yet
    std::unique_ptr<Successor> successor_;
    SteadyTime began_ = steady_now();
    bool up_ = false;  // our supervisor knows
    bool draining_ = false;
    bool handed_over_ = false;
    std::jthread stopper_;
};

}  // namespace balancer::dataplane
