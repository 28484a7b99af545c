#include "dataplane/life.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <utility>

#include "base/net.hpp"
#include "base/supervisor.hpp"

namespace balancer::dataplane {
namespace {

constexpr Milliseconds kLookAgain{50};
constexpr Milliseconds kLookAgainUp{1'000};
// A supervisor that waits for READY=1 would end one that waits for its control plane, and start another to wait.
constexpr std::chrono::seconds kUpAnyway{10};
constexpr Milliseconds kSuccessorPatience{60'000};

}  // namespace

Life::Life(LifeOptions options, Log& log)
    : options_(std::move(options)), log_(log), signals_(context_, SIGTERM, SIGINT, SIGUSR2) {}

void Life::drain_wanted(std::string reason) {
    net::post(context_, [this, reason = std::move(reason)] {
        drain(Why::kOperator, reason.empty() ? "an operator wants it" : "an operator wants it: " + reason);
    });
}

void Life::run(Server& server, std::optional<Predecessor> predecessor) {
    server_ = &server;
    predecessor_ = std::move(predecessor);
    await_signal();
    look();
    context_.run();
    if (stopper_.joinable()) stopper_.join();
}

void Life::await_signal() {
    signals_.async_wait([this](const ErrorCode& ec, int number) {
        if (ec) return;
        if (number == SIGUSR2) {
            begin_succession();
            return await_signal();
        }
        // A second one ends the process at once.
        signals_.remove(SIGTERM);
        signals_.remove(SIGINT);
        if (draining_) return server_->hurry(options_.drain_deadline);
        drain(Why::kSignal, "a signal asked for it");
    });
}

// Until it serves.
void Life::look() {
    if (draining_) return;
    const bool ready = server_->ready();
    if (ready && predecessor_) {
        // Its last word to our supervisor is that we are up.
        predecessor_->release();
        predecessor_.reset();
        up_ = true;
    } else if (!predecessor_ && (ready || steady_now() - began_ >= kUpAnyway)) {
        const bool news = !std::exchange(up_, true);
        tell_supervisor(fmt::format("{}STATUS={}", news ? "READY=1\n" : "", ready ? "serving" : server_->why_not_ready()));
    }
    if (ready) return;
    look_again_.expires_after(up_ ? kLookAgainUp : kLookAgain);
    look_again_.async_wait([this](const ErrorCode& ec) {
        if (!ec) look();
    });
}

void Life::begin_succession() {
    if (successor_ || draining_) return;
    tell_supervisor("RELOADING=1");
    log_.emit(LogLevel::kInfo, LogEvent::kNotice, "A signal asked for a successor: the program is started anew.");
    server_->make_room(true);
    Result<std::unique_ptr<Successor>> started =
        Successor::start(context_, options_.command, server_->share_listeners());
    if (!started) return succeeded(started.error());
    successor_ = *std::move(started);
    successor_->wait(kSuccessorPatience, [this](Result<pid_t> successor) { succeeded(std::move(successor)); });
}

void Life::succeeded(Result<pid_t> successor) {
    if (!successor) {
        successor_.reset();
        server_->make_room(false);
        tell_supervisor("READY=1");
        log_.emit(
            LogLevel::kError,
            LogEvent::kNotice,
            "The successor did not come up; this process serves on.",
            {{"reason", successor.error().text()}}
        );
        return;
    }
    tell_supervisor(fmt::format("MAINPID={}\nREADY=1", *successor));
    handed_over_ = true;
    server_->leave_management();
    drain(Why::kSuccessor, fmt::format("process {} has taken over", *successor));
}

void Life::drain(Why why, std::string words) {
    if (std::exchange(draining_, true)) return;
    if (!handed_over_) {
        successor_.reset();
        tell_supervisor("STOPPING=1\nSTATUS=draining");
    }
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kStopping,
        "Draining: not ready any more, running answers go on.",
        {{"reason", std::move(words)}}
    );
    server_->begin_drain();
    // Who comes in by the old port has been in the new process's hands since it listens.
    if (why == Why::kSuccessor) return stop(options_.handover_deadline);
    grace_.expires_after(options_.drain_grace);
    grace_.async_wait([this](const ErrorCode&) { stop(options_.drain_deadline); });
}

void Life::stop(Milliseconds deadline) {
    stopper_ = std::jthread([this, deadline] {
        server_->stop(deadline);
        context_.stop();
    });
}

}  // namespace balancer::dataplane
