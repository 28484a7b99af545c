// One event loop on one thread: its own listener, connections, pools and counters. Nothing is shared on a request's path.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/unique_fd.hpp"
#include "dataplane/models/model_lists.hpp"
#include "dataplane/process_state.hpp"
#include "dataplane/worker_state.hpp"

namespace balancer::dataplane {

class Connection;

// Public members are thread-safe: each posts to the worker. The acceptor's context must be context().
class Worker {
  public:
    Worker(ProcessState& process, std::string name, WorkerIndex index);
    ~Worker();  // stop() and join() must have been called, if start() was

    void start();

    void listen(std::vector<boost::asio::ip::tcp::acceptor> acceptors);  // take the place of those before
    // Copies of what it listens on, for another process; `done` runs on the worker's thread.
    void share_listeners(std::function<void(std::vector<UniqueFd>)> done);
    void publish(std::shared_ptr<const Snapshot> snapshot);
    void publish(std::shared_ptr<const HealthView> health);
    void log_access_to(std::string path);
    // On the one worker that keeps the providers' lists of models for all. After stop() nobody may answer.
    void list_models(ModelCall call, ModelDone done);

    // What is known of the request with this id (its own or the provider's), those that are under way included. `done`
    // runs on the worker's thread; never when the worker has ended.
    void find_request(std::string id, std::function<void(RequestsFound)> done);

    // The same of the oldest requests that are under way, without their candidates.
    void list_requests(std::function<void(RequestsFound)> done);

    // Goes on as before, but that each answer says that its connection ends with it.
    void drain();

    // Accepts what is queued and then no more, ends idle connections, lets running exchanges end; those left at `until` end with an
    // error. The thread ends then.
    void stop(SteadyTime until);
    // After stop(): those left at `until`, if that is sooner, end with an error.
    void cut_by(SteadyTime until);
    void join();

    boost::asio::io_context& context() { return context_; }
    Calls& calls() { return state_.calls; }
    const WorkerMetrics& metrics() const { return state_.metrics; }
    std::vector<ModelListStatus> model_lists() const { return models_.status(); }

  private:
    class Registration;

    boost::asio::awaitable<void> accept_loop(std::shared_ptr<boost::asio::ip::tcp::acceptor> acceptor);
    boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket);
    void admit(boost::asio::ip::tcp::socket socket);
    void stop_accepting();
    void on_tick();
    void finish_if_idle();

    ProcessState& process_;
    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    WorkerState state_;
    ModelLists models_;
    std::vector<std::shared_ptr<boost::asio::ip::tcp::acceptor>> acceptors_;
    std::unordered_set<Connection*> connections_;
    SteadyTime next_tidy_;
    SteadyTime idle_close_at_ = SweepEntry::kNever;
    SteadyTime cut_at_ = SweepEntry::kNever;
    SteadyTime close_at_ = SweepEntry::kNever;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace balancer::dataplane
