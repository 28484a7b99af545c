#include "dataplane/worker.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/management_http.hpp"
#include "base/net.hpp"
#include "dataplane/downstream/connection.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/exchange/replay.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

constexpr std::chrono::seconds kTidyEvery{5};
// For a client that was let in at the last moment to send its request.
constexpr std::chrono::seconds kFirstWords{1};
// For a client to take the error that ends its answer.
constexpr std::chrono::seconds kLastWords{2};

// The same object under a reference count of its own: every request counts twice, and workers that did so on one count would
// wait for each other's cache line.
template <class T>
std::shared_ptr<const T> counted_here(std::shared_ptr<const T> shared) {
    auto holder = std::make_shared<std::shared_ptr<const T>>(std::move(shared));
    return std::shared_ptr<const T>(holder, holder->get());
}

}  // namespace

Worker::Worker(ProcessState& process, std::string name, WorkerIndex index)
    : process_(process),
      work_(context_.get_executor()),
      state_(context_, process, std::move(name), index),
      models_(state_),
      next_tidy_(steady_now()) {}

Worker::~Worker() = default;

void Worker::start() {
    state_.sweep.start([this] { on_tick(); });
    thread_ = std::thread([this] { context_.run(); });
}

void Worker::join() {
    if (thread_.joinable()) thread_.join();
}

void Worker::listen(std::vector<tcp::acceptor> acceptors) {
    std::vector<std::shared_ptr<tcp::acceptor>> shared;
    for (tcp::acceptor& one : acceptors) shared.push_back(std::make_shared<tcp::acceptor>(std::move(one)));
    net::post(context_, [this, shared = std::move(shared)] {
        if (stopping_) return;
        stop_accepting();
        acceptors_ = shared;
        for (const auto& acceptor : acceptors_) state_.tasks.spawn(accept_loop(acceptor));
    });
}

void Worker::share_listeners(std::function<void(std::vector<UniqueFd>)> done) {
    net::post(context_, [this, done = std::move(done)] {
        std::vector<UniqueFd> copies;
        for (const auto& acceptor : acceptors_) copies.push_back(copy_of(*acceptor));
        done(std::move(copies));
    });
}

void Worker::publish(std::shared_ptr<const Snapshot> snapshot) {
    net::post(context_, [this, moved = counted_here(std::move(snapshot))]() mutable {
        if (state_.snapshot) {
            state_.calls.drop_kept_unless([this, &moved](const KeptAnswer& kept) {
                return is_served_alike(kept, *state_.snapshot, *moved);
            });
        }
        state_.snapshot = std::move(moved);
    });
}

void Worker::publish(std::shared_ptr<const HealthView> health) {
    net::post(context_, [this, moved = counted_here(std::move(health))]() mutable {
        state_.health = std::move(moved);
    });
}

void Worker::log_access_to(std::string path) {
    net::post(context_, [this, moved = std::move(path)] {
        if (state_.access_log.open(moved)) return;
        process_.log.emit(
            LogLevel::kError,
            LogEvent::kNotice,
            "The access log cannot be opened; requests are not logged. Correct settings.log_file_path.",
            {{"path", moved}}
        );
    });
}

void Worker::find_request(std::string id, std::function<void(RequestsFound)> done) {
    net::post(context_, [this, id = std::move(id), done = std::move(done)] {
        RequestsFound found;
        for (const Connection* connection : connections_) {
            RequestRecord record;
            if (connection->recollect(id, record)) found.records.push_back(std::move(record));
        }
        state_.recent.find(id, found);
        done(std::move(found));
    });
}

void Worker::list_requests(std::function<void(RequestsFound)> done) {
    net::post(context_, [this, done = std::move(done)] {
        std::vector<const Exchange*> running;
        for (const Connection* connection : connections_) {
            if (connection->exchange() != nullptr) running.push_back(connection->exchange());
        }
        RequestsFound found;
        std::size_t shown = std::min(running.size(), RequestsFound::kListedMax);
        found.left_out = running.size() - shown;
        std::partial_sort(
            running.begin(),
            running.begin() + static_cast<std::ptrdiff_t>(shown),
            running.end(),
            [](const Exchange* a, const Exchange* b) { return a->arrived() < b->arrived(); }
        );
        found.records.resize(shown);
        for (std::size_t i = 0; i < shown; ++i) {
            RequestRecord& record = found.records[i];
            running[i]->recollect(record);
            record.candidates.clear();
            record.routes.clear();
            record.conversion.clear();
        }
        done(std::move(found));
    });
}

void Worker::list_models(ModelCall call, ModelDone done) {
    net::post(context_, [this, c = std::move(call), d = std::move(done)]() mutable {
        models_.ask(std::move(c), std::move(d));
    });
}

void Worker::drain() {
    net::post(context_, [this] { state_.draining = true; });
}

void Worker::cut_by(SteadyTime until) {
    net::post(context_, [this, until] {
        if (stopping_) cut_at_ = std::min(cut_at_, until);
    });
}

void Worker::stop(SteadyTime until) {
    net::post(context_, [this, until] {
        stopping_ = true;
        cut_at_ = until;
        idle_close_at_ = steady_now() + kFirstWords;
        state_.draining = true;
        models_.stop();
        for (Connection* connection : connections_) connection->drain();
        stop_accepting();
        finish_if_idle();
    });
}

void Worker::finish_if_idle() {
    if (!stopping_ || state_.tasks.size() > 0) return;
    state_.sweep.stop();
    state_.pool.clear();
    state_.access_log.flush();
    work_.reset();
}

void Worker::on_tick() {
    SteadyTime now = state_.sweep.now();
    state_.access_log.flush();
    state_.metrics.access_lines_lost.set(state_.access_log.lost());
    state_.metrics.pool_idle.set(state_.pool.idle());
    state_.metrics.buffers_out.set(state_.buffers.bytes_out());
    state_.metrics.calls.set(state_.calls.listed() - state_.calls.kept());
    state_.metrics.answers_kept.set(state_.calls.kept());
    state_.metrics.call_memory.set(state_.calls.chunk_bytes());
    state_.calls.tidy(now);
    if (now >= next_tidy_) {
        next_tidy_ = now + kTidyEvery;
        state_.pool.tidy(now);
    }
    if (now >= idle_close_at_) {
        idle_close_at_ = SweepEntry::kNever;
        for (Connection* connection : connections_) connection->close_when_idle();
    }
    if (now >= cut_at_) {
        cut_at_ = SweepEntry::kNever;
        close_at_ = now + kLastWords;
        for (Connection* connection : connections_) connection->end_exchange();
    }
    if (now >= close_at_) {
        for (Connection* connection : connections_) connection->close_now();
    }
    finish_if_idle();
}

net::awaitable<void> Worker::accept_loop(std::shared_ptr<tcp::acceptor> acceptor) {
    while (acceptor->is_open()) {
        auto [ec, socket] = co_await acceptor->async_accept(kNoThrow);
        if (!ec) {
            // Also when the listener has been closed meanwhile: this client was in before.
            admit(std::move(socket));
            continue;
        }
        if (ec == net::error::operation_aborted || !acceptor->is_open()) break;
        // Out of descriptors: the backlog waits until some are free again.
        net::steady_timer pause(context_, Milliseconds(50));
        co_await pause.async_wait(kNoThrow);
    }
}

void Worker::admit(tcp::socket socket) {
    std::uint32_t limit = state_.snapshot ? state_.snapshot->settings.connections : 10'000;
    if (connections_.size() >= std::max(1U, limit / process_.workers)) return;  // closes it
    state_.tasks.spawn(serve(std::move(socket)));
}

// The kernel has let clients in that nobody has accepted yet; a listener that is closed before would reset them.
void Worker::stop_accepting() {
    for (const auto& acceptor : acceptors_) {
        ErrorCode ec;
        acceptor->non_blocking(true, ec);
        while (!ec) {
            tcp::socket socket(context_);
            acceptor->accept(socket, ec);
            if (!ec) admit(std::move(socket));
        }
        close_here(*acceptor);
    }
    acceptors_.clear();
}

// Whatever ends the coroutine: nobody may find a connection that is gone.
class Worker::Registration {
  public:
    Registration(Worker& worker, Connection& connection) : worker_(worker), connection_(connection) {
        worker_.connections_.insert(&connection_);
        worker_.state_.metrics.connections.set(worker_.connections_.size());
    }
    ~Registration() {
        worker_.connections_.erase(&connection_);
        worker_.state_.metrics.connections.set(worker_.connections_.size());
    }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

  private:
    Worker& worker_;
    Connection& connection_;
};

net::awaitable<void> Worker::serve(tcp::socket socket) {
    Connection connection(state_, std::move(socket));
    Registration registered(*this, connection);
    state_.metrics.connections_total.add();
    co_await connection.run();
}

}  // namespace balancer::dataplane
