// The data plane as a whole: workers, the control thread, the management port.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/management_http.hpp"
#include "base/result.hpp"
#include "dataplane/control/control.hpp"
#include "dataplane/counting/counting_thread.hpp"
#include "dataplane/process_state.hpp"
#include "dataplane/succession.hpp"
#include "dataplane/worker.hpp"

namespace balancer::dataplane {

struct ServerOptions {
    ControlOptions control;
    std::string listen;  // HOST:PORT; empty: the configuration's host and port
    std::string admin;   // HOST:PORT
    unsigned workers = 1;
    Listeners inherited = {};  // of a process that this one follows; taken where they are what is to be listened on
    std::function<void(std::string reason)> on_drain = {};  // an operator wants it to end; on the control thread
};

// start(), then context().run() on the calling thread, then stop(). Signals and the management port live on that thread.
class Server {
  public:
    Server(ServerOptions options, Log& log);
    ~Server();

    // Binds the management port and, when --listen was given, the client port. An error says what to do.
    Result<void> start();

    // Thread-safe. From here on it is not ready, says so to the control plane, and each answer ends its connection; clients are
    // let in as before.
    void begin_drain();

    // Lets nobody in any more, lets answers go on for up to `deadline` and ends every thread of its own. The management port
    // answers until context() stops.
    void stop(Milliseconds deadline);

    // Thread-safe. While stop() waits: for no longer than this.
    void hurry(Milliseconds deadline);

    // For another process that is to take our place (succession.hpp). It waits for the workers, so never on a thread of theirs.
    Listeners share_listeners();
    // Thread-safe. It is about to come: to the control plane we drain, and the state directory is free. No: it does not come.
    void make_room(bool yes);
    // Thread-safe. It has come: the management port is its own from here on.
    void leave_management();

    bool ready() const;
    std::string why_not_ready() const;

    boost::asio::io_context& context() { return context_; }

  private:
    // Thread-safe: called on the control thread.
    void on_snapshot(std::shared_ptr<const Snapshot> snapshot);
    std::vector<ProviderTotals> collect_totals() const;
    std::uint32_t in_flight() const;
    std::vector<std::pair<std::string, std::uint32_t>> in_flight_at() const;

    using FoundDone = std::function<void(RequestsFound)>;
    void ask_workers(const std::function<void(Worker&, FoundDone)>& ask, FoundDone done);

    Result<std::string> listen(const std::string& address);
    void listen_where_configured();
    void apply_log_settings(const Settings& settings);
    void write_addresses(const std::string& listen_address);
    std::vector<std::vector<boost::asio::ip::tcp::acceptor>> inherit(const boost::asio::ip::tcp::endpoint& wanted);
    ManagementResponse answer(const ManagementRequest& request);

    ServerOptions options_;
    Log& log_;
    boost::asio::io_context context_{1};
    ProcessState process_;
    std::vector<std::unique_ptr<Worker>> workers_;
    CountingThread counting_;
    std::unique_ptr<Control> control_;
    std::unique_ptr<ManagementHttp> management_;
    std::string admin_address_;
    std::atomic<bool> makes_room_{false};
    SteadyTime started_ = steady_now();

    mutable std::mutex mutex_;  // guards what follows; never taken by a worker
    std::shared_ptr<const Snapshot> snapshot_;
    std::vector<std::string> slot_names_;
    std::string listen_wanted_;   // --listen, or what the configuration says
    std::string listening_for_;   // the wanted address that is served
    std::string listen_address_;  // where that is, its port filled in
    std::string listen_problem_;  // why the wanted one is not; empty: it is
    boost::asio::steady_timer listen_again_;  // of context_'s thread
};

}  // namespace balancer::dataplane
