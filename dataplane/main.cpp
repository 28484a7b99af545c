// balancer-dataplane: serves clients on one port, from what the control plane publishes.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/descriptors.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/manual_page.hpp"
#include "base/process_shield.hpp"
#include "dataplane/life.hpp"
#include "dataplane/server.hpp"
#include "dataplane/succession.hpp"
#include "model/protocol.hpp"

namespace {

using balancer::LogEvent;
using balancer::LogLevel;
using balancer::dataplane::Predecessor;

// The host's name, as far as an id takes it.
std::string default_id() {
    char name[256] = {};
    std::string id = ::gethostname(name, sizeof name - 1) == 0 ? name : "";
    std::erase_if(id, [](char c) { return !balancer::is_id_character(c); });
    id.resize(std::min(id.size(), balancer::kIdBytesMax));
    return id.empty() ? "dataplane" : id;
}

// For CLI11: empty when good, else what is wrong.
std::string check_id(const std::string& id) {
    if (balancer::is_data_plane_id(id)) return {};
    return fmt::format("'{}' is no id: 1 to {} of A-Z a-z 0-9 . _ -", id, balancer::kIdBytesMax);
}

std::string check_address(const std::string& address) {
    std::size_t colon = address.rfind(':');
    bool good = colon != std::string::npos && colon > 0 && colon + 1 < address.size() &&
                address.find_first_not_of("0123456789", colon + 1) == std::string::npos;
    if (good) return {};
    return fmt::format("'{}' is not HOST:PORT, such as 127.0.0.1:9091", address);
}

constexpr double kDrainSecondsMax = 86'400;

struct Flags {
    balancer::dataplane::ServerOptions server;
    balancer::dataplane::LifeOptions life;
    std::string token_file;
    bool debuggable = false;
};

// 0 to go on, else the exit code of --help, --version or a usage error, plus one.
int parse_flags(int argc, char** argv, Flags& flags) {
    CLI::App app{
        "The data plane of Claude Code Provider Balancer: serves the Anthropic Messages API to clients.", "balancer-dataplane"
    };
    app.set_version_flag("--version", "balancer-dataplane " BALANCER_VERSION);
    balancer::add_manual_flag(app, "8");
    auto& server = flags.server;
    server.control.id = default_id();
    server.workers = std::max(1U, std::thread::hardware_concurrency());
    server.admin = "127.0.0.1:9190";
    server.control.addresses = {"127.0.0.1:9091"};
    std::string state_dir = "dataplane-state";
    app.add_option("--control-plane", server.control.addresses, "gRPC addresses of control planes")
        ->delimiter(',')
        ->type_name("HOST:PORT")
        ->check(CLI::Validator(check_address, ""))
        ->capture_default_str();
    app.add_option("--token-file", flags.token_file, "the control plane's dataplane.token")->type_name("FILE")->required();
    app.add_option("--state-dir", state_dir, "of this data plane alone: last known good state, logs, addresses.json")
        ->type_name("DIR")
        ->capture_default_str();
    app.add_option("--listen", server.listen, "for clients (default: the configuration's)")->type_name("HOST:PORT");
    app.add_option("--admin", server.admin, "/metrics, /healthz, /readyz")->type_name("HOST:PORT")->capture_default_str();
    // Their defaults depend on the machine, which the manual page does not.
    app.add_option("--workers", server.workers, "event loops (default: one per CPU)")
        ->type_name("N")
        ->check(CLI::Range(1U, 256U).description(""));
    app.add_option("--id", server.control.id, "the replica's name (default: the host's)")
        ->type_name("ID")
        ->check(CLI::Validator(check_id, ""));
    auto seconds = [&app](const char* name, balancer::Milliseconds& value, const char* help) {
        app.add_option_function<double>(
               name,
               [&value](double given) { value = balancer::Milliseconds(static_cast<std::int64_t>(given * 1000)); },
               help
        )
            ->check(CLI::Range(0.0, kDrainSecondsMax).description(""))
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
            ->type_name("SECONDS")
            ->default_str(fmt::format("{}", value.count() / 1000));
    };
    seconds("--drain-grace", flags.life.drain_grace, "SIGTERM: unready for so long, and clients are let in as before");
    seconds("--drain-deadline", flags.life.drain_deadline, "then: for answers under way");
    seconds(
        "--handover-deadline",
        flags.life.handover_deadline,
        "SIGUSR2: for answers under way, when another process has taken this one's place"
    );
    app.add_flag(
        "--debuggable",
        flags.debuggable,
        "let debuggers, core files and gRPC's traces show this process's memory, secrets included"
    );
    app.footer(
        "Example:\n  balancer-dataplane --control-plane 127.0.0.1:9091 \\\n"
        "      --token-file /var/lib/balancer/dataplane.token --state-dir /var/lib/balancer/dp1 --id dp1\n"
        "\nSIGTERM and SIGINT drain and end; SIGUSR2 starts the program anew on the same ports first.\n"
        "Exit codes: 0 ended by a signal or an operator (balancerctl dataplanes drain), 1 could not start, 2 wrong flags."
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
    balancer::Result<std::optional<Predecessor>> predecessor = Predecessor::from_environment();
    if (!predecessor) return fail(predecessor.error().text());
    if (int code = parse_flags(argc, argv, flags); code != 0) return code - 1;
    const bool shielded = flags.debuggable || balancer::shield_process();
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
    // Logs with prompts may lie there.
    if (std::filesystem::create_directories(control.state_dir, ec)) {
        std::filesystem::permissions(control.state_dir, std::filesystem::perms::owner_all, ec);
    }
    if (ec) return fail(fmt::format("cannot make {}: {}", control.state_dir.string(), ec.message()));

    // gRPC's own lines on stderr say in its words what we say in ours. GRPC_VERBOSITY=ERROR brings them back.
    ::setenv("GRPC_VERBOSITY", "NONE", 0);
    std::signal(SIGPIPE, SIG_IGN);
    std::uint64_t descriptors = balancer::raise_descriptor_limit();
    balancer::Log log("dataplane");
    if (!shielded) {
        log.emit(
            LogLevel::kWarning,
            LogEvent::kNotice,
            "The system did not let this process be kept out of core files and debuggers: its secrets may get there."
        );
    }
    flags.life.command.assign(argv, argv + argc);
    balancer::dataplane::Life life(flags.life, log);
    flags.server.on_drain = [&life](std::string reason) { life.drain_wanted(std::move(reason)); };
    if (*predecessor) flags.server.inherited = std::move((*predecessor)->listeners);
    const std::string id = control.id;
    const unsigned workers = flags.server.workers;
    balancer::dataplane::Server server(std::move(flags.server), log);
    balancer::Result<void> started = server.start();
    if (!started) {
        server.stop(balancer::Milliseconds(0));
        return fail(started.error().text());
    }
    log.emit(
        LogLevel::kInfo,
        LogEvent::kStarted,
        "The data plane is up.",
        {{"version", BALANCER_VERSION}, {"id", id}, {"workers", workers}, {"descriptors", descriptors}}
    );
    // The life has a context of its own: the management port goes on answering while the workers drain.
    std::thread pages([&server] {
        auto work = boost::asio::make_work_guard(server.context());
        server.context().run();
    });
    life.run(server, *std::move(predecessor));
    server.context().stop();
    pages.join();
    return 0;
}
