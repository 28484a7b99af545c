#include "dataplane/worker.hpp"

#include <boost/asio/post.hpp>

#include "base/net.hpp"
#include "dataplane/downstream/connection.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

constexpr std::chrono::seconds kTidyEvery{5};

}  // namespace

Worker::Worker(ProcessState& process, std::string name)
    : process_(process),
      work_(context_.get_executor()),
      state_(context_, process, std::move(name)),
      next_tidy_(steady_now()) {}

Worker::~Worker() = default;

void Worker::start() {
    state_.sweep.start([this] { on_tick(); });
    thread_ = std::thread([this] { context_.run(); });
}

void Worker::join() {
    if (thread_.joinable()) thread_.join();
}

void Worker::listen(tcp::acceptor acceptor) {
    auto shared = std::make_shared<tcp::acceptor>(std::move(acceptor));
    net::post(context_, [this, shared] {
        ErrorCode ignored;
        if (acceptor_) acceptor_->close(ignored);
        acceptor_ = shared;
        state_.tasks.spawn(accept_loop(shared));
    });
}

void Worker::publish(std::shared_ptr<const Snapshot> snapshot) {
    net::post(context_, [this, moved = std::move(snapshot)]() mutable {
        state_.snapshot = std::move(moved);
    });
}

void Worker::publish(std::shared_ptr<const HealthView> health) {
    net::post(context_, [this, moved = std::move(health)]() mutable {
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

void Worker::stop(SteadyTime until) {
    net::post(context_, [this, until] {
        stopping_ = true;
        cut_at_ = until;
        state_.draining = true;
        ErrorCode ignored;
        if (acceptor_) acceptor_->close(ignored);
        for (Connection* connection : connections_) connection->close_when_idle();
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
    if (now >= next_tidy_) {
        next_tidy_ = now + kTidyEvery;
        state_.pool.tidy(now);
    }
    if (stopping_ && now >= cut_at_) {
        cut_at_ = SweepEntry::kNever;
        for (Connection* connection : connections_) connection->close_now();
    }
    finish_if_idle();
}

net::awaitable<void> Worker::accept_loop(std::shared_ptr<tcp::acceptor> acceptor) {
    while (acceptor->is_open()) {
        auto [ec, socket] = co_await acceptor->async_accept(kNoThrow);
        if (ec == net::error::operation_aborted || !acceptor->is_open()) break;
        if (ec) {
            // Out of descriptors: the backlog waits until some are free again.
            net::steady_timer pause(context_, Milliseconds(50));
            co_await pause.async_wait(kNoThrow);
            continue;
        }
        std::uint32_t limit = state_.snapshot ? state_.snapshot->settings.connections : 10'000;
        if (connections_.size() >= std::max(1U, limit / process_.workers)) {
            ErrorCode ignored;
            socket.close(ignored);
            continue;
        }
        state_.tasks.spawn(serve(std::move(socket)));
    }
}

net::awaitable<void> Worker::serve(tcp::socket socket) {
    Connection connection(state_, std::move(socket));
    connections_.insert(&connection);
    state_.metrics.connections.set(connections_.size());
    state_.metrics.connections_total.add();
    co_await connection.run();
    connections_.erase(&connection);
    state_.metrics.connections.set(connections_.size());
}

}  // namespace balancer::dataplane
