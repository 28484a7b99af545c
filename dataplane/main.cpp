// balancer-dataplane: serves clients on one port, from what the control plane publishes.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/descriptors.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "dataplane/server.hpp"

namespace {

using balancer::LogEvent;
using balancer::LogLevel;

constexpr balancer::Milliseconds kDrainGrace{30'000};

std::string host_name() {
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "dataplane";
}

struct Flags {
    balancer::dataplane::ServerOptions server;
    std::string token_file;
};

// 0 to go on, else the exit code of --help, --version or a usage error, plus one.
int parse_flags(int argc, char** argv, Flags& flags) {
    CLI::App app{"Data plane of the Claude Code Provider Balancer: serves the Anthropic Messages API to clients."};
    app.set_version_flag("--version", "balancer-dataplane " BALANCER_VERSION);
    auto& server = flags.server;
    server.control.id = host_name();
    server.workers = std::max(1U, std::thread::hardware_concurrency());
    server.admin = "127.0.0.1:9190";
    server.control.addresses = {"127.0.0.1:9091"};
    std::string state_dir = "dataplane-state";
    app.add_option("--control-plane", server.control.addresses, "gRPC addresses of control planes")
        ->delimiter(',')
        ->capture_default_str();
    app.add_option("--token-file", flags.token_file, "the control plane's dataplane.token")->required();
    app.add_option("--state-dir", state_dir, "where logs and addresses.json go")->capture_default_str();
    app.add_option("--listen", server.listen, "HOST:PORT for clients (default: the configuration's)");
    app.add_option("--admin", server.admin, "HOST:PORT of /metrics, /healthz, /readyz")->capture_default_str();
    app.add_option("--workers", server.workers, "event loops")
        ->check(CLI::Range(1U, 256U))
        ->capture_default_str();
    app.add_option("--id", server.control.id, "the replica's name")->capture_default_str();
    app.footer(
        "Example:\n  balancer-dataplane --control-plane 127.0.0.1:9091 \\\n"
        "      --token-file /var/lib/balancer/dataplane.token --state-dir /var/lib/balancer/dp1 --id dp1\n"
        "\nExit codes: 0 ended by SIGTERM or SIGINT, 1 could not start, 2 wrong flags."
    );
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 1 : 3;
    }
    server.control.state_dir = state_dir;
    return 0;
}

int fail(const std::string& why) {
    std::cerr << "balancer-dataplane: " << why << "\n";
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    Flags flags;
    if (int code = parse_flags(argc, argv, flags); code != 0) return code - 1;
    auto& control = flags.server.control;
    balancer::Result<std::string> token = balancer::read_secret_file(flags.token_file);
    if (!token) {
        return fail(
            token.error().text() +
            "\nThe control plane makes this file at its first start: dataplane.token in its --state-dir."
        );
    }
    control.token = *token;
    std::error_code ec;
    std::filesystem::create_directories(control.state_dir, ec);
    if (ec) return fail(fmt::format("cannot make {}: {}", control.state_dir.string(), ec.message()));

    std::signal(SIGPIPE, SIG_IGN);
    std::uint64_t descriptors = balancer::raise_descriptor_limit();
    balancer::Log log("dataplane");
    balancer::dataplane::Server server(flags.server, log);
    balancer::Result<void> started = server.start();
    if (!started) {
        server.stop(balancer::Milliseconds(0));
        return fail(started.error().text());
    }
    log.emit(
        LogLevel::kInfo,
        LogEvent::kStarted,
        "The data plane is up.",
        {{"version", BALANCER_VERSION}, {"id", control.id}, {"workers", flags.server.workers}, {"descriptors", descriptors}}
    );
    // Signals have a context of their own: the management port goes on answering while the workers drain.
    boost::asio::io_context signals_context(1);
    boost::asio::signal_set signals(signals_context, SIGTERM, SIGINT);
    std::thread pages([&server] {
        auto work = boost::asio::make_work_guard(server.context());
        server.context().run();
    });
    signals.async_wait([](const boost::system::error_code&, int) {});
    signals_context.run();
    signals.clear();  // a second signal ends the process at once
    log.emit(LogLevel::kInfo, LogEvent::kStopping, "Draining: no new connections, running answers go on.");
    server.stop(kDrainGrace);
    server.context().stop();
    pages.join();
    return 0;
}
