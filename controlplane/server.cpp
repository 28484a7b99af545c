#include "controlplane/server.hpp"

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <functional>
#include <future>
#include <semaphore>
#include <thread>

#include "base/management_http.hpp"
#include "base/supervisor.hpp"
#include "controlplane/config/watch.hpp"
#include "controlplane/control_plane.hpp"
#include "controlplane/http/management.hpp"
#include "controlplane/http/pages.hpp"
#include "controlplane/service/admin_service.hpp"
#include "controlplane/service/data_plane_service.hpp"
#include "controlplane/service/server_options.hpp"
#include "controlplane/store/sqlite_store.hpp"

namespace balancer::controlplane {
namespace {

namespace net = boost::asio;

// How long open calls get to end by themselves.
constexpr std::chrono::seconds kDrain{3};

std::string problem_text(const std::vector<ConfigProblem>& problems) {
    return fmt::format(
        "the configuration has {} problem{}:\n{}",
        problems.size(),
        problems.size() == 1 ? "" : "s",
        to_lines(problems, problems.size())
    );
}

}  // namespace

// In the order in which they are made; destroyed in reverse, when the loop has ended.
struct Server::Parts {
    net::io_context loop{1};
    net::executor_work_guard<net::io_context::executor_type> work{loop.get_executor()};
    net::signal_set signals{loop};
    std::binary_semaphore stop_wanted{0};

    Tokens tokens;
    std::unique_ptr<Store> store;
    std::shared_ptr<EventRing> events;
    std::unique_ptr<ControlPlane> control_plane;
    std::unique_ptr<ConfigWatch> watch;
    std::unique_ptr<ManagementHttp> http;
    std::unique_ptr<AdminService> admin;
    std::unique_ptr<DataPlaneService> data_plane;
    std::unique_ptr<grpc::Server> grpc_server;
    std::jthread thread;

    // Runs `step` on the loop and waits for it. Only while the loop runs, and never from it.
    template <class Step>
    auto on_loop(Step step) {
        std::packaged_task<decltype(step())()> task(std::move(step));
        auto result = task.get_future();
        net::post(loop, std::move(task));
        return result.get();
    }

    Result<void> open_state(const ServerOptions& options) {
        if (Result<void> made = prepare_state_dir(options.state_dir); !made) return made;
        Result<std::unique_ptr<Store>> opened = open_sqlite_store(
            options.state_dir, KeyPlaces::in(options.state_dir, options.environment)
        );
        if (!opened) return opened.error();
        store = *std::move(opened);
        remove_addresses(options.state_dir);  // ours alone from here on
        Result<Tokens> read = load_or_make_tokens(options.state_dir);
        if (!read) return read.error();
        tokens = *std::move(read);
        return {};
    }

    void make_services(Log& log) {
        admin = std::make_unique<AdminService>(loop, log, *control_plane, events, tokens.admin);
        data_plane = std::make_unique<DataPlaneService>(
            loop,
            log,
            control_plane->publisher(),
            [this](
                const std::string& dp_id,
                const std::string& instance,
                const v1::ReportRequest& report
            ) { control_plane->on_report(dp_id, instance, report); },
            [this](const v1::ManageRequest& request, std::function<void(v1::ManageResponse)> done) {
                manage(*control_plane, request, std::move(done));
            },
            tokens.data_plane
        );
    }

    Result<std::string> listen_grpc(const std::string& address) {
        Result<net::ip::tcp::endpoint> endpoint = parse_endpoint(address);
        if (!endpoint) return invalid("--grpc: " + endpoint.error().text());
        grpc::ServerBuilder builder;
        set_server_options(builder);
        int port = 0;
        builder.AddListeningPort(
            balancer::to_string(*endpoint), grpc::InsecureServerCredentials(), &port
        );
        builder.RegisterService(admin.get());
        builder.RegisterService(data_plane.get());
        grpc_server = builder.BuildAndStart();
        if (!grpc_server || port == 0) {
            return invalid(fmt::format(
                "cannot listen on {} for gRPC: is another program on it? Choose another with "
                "--grpc",
                address
            ));
        }
        endpoint->port(static_cast<unsigned short>(port));
        return balancer::to_string(*endpoint);
    }

    Result<std::string> listen_http(Log& log, const std::string& address) {
        http =
            std::make_unique<ManagementHttp>(loop, log, [this](const ManagementRequest& request) {
                return serve_page(*control_plane, request);
            });
        Result<std::string> bound = http->listen(address);
        if (!bound) return invalid(bound.error().text() + "; choose another with --http");
        return bound;
    }

    // Everything that needs the loop, on the loop.
    Result<void> start_core(Log& log, const ServerOptions& options, LoadedConfig loaded) {
        control_plane = std::make_unique<ControlPlane>(
            loop,
            log,
            *store,
            ControlPlane::Options{options.config_file, options.state_dir, options.environment, options.post_program}
        );
        if (Result<void> started = control_plane->start(std::move(loaded)); !started)
            return started;
        watch = std::make_unique<ConfigWatch>(loop, log, options.config_file, [this] {
            control_plane->reload("the file changed");
        });
        watch->start();
        // The file was read before it was watched.
        control_plane->reload_if_changed("it changed during the start");
        ErrorCode ec;
        for (int number : {SIGINT, SIGTERM}) {
            if (!ec) signals.add(number, ec);
        }
        if (ec) return Error{ec, "cannot handle signals: " + ec.message()};
        signals.async_wait([this](ErrorCode failed, int) {
            if (failed) return;
            ErrorCode ignored;
            signals.clear(ignored);  // a second signal ends the process at once
            stop_wanted.release();
        });
        return {};
    }
};

Server::Server(Log& log, ServerOptions options) : log_(log), options_(std::move(options)) {}

Server::~Server() {
    stop();
}

std::variant<Addresses, StartFailure> Server::start() {
    // Before anything is made on disk: a bad file leaves no trace.
    LoadResult loaded = load_config(options_.config_file, options_.environment);
    if (const auto* problems = std::get_if<std::vector<ConfigProblem>>(&loaded)) {
        return StartFailure{2, problem_text(*problems)};
    }
    parts_ = std::make_unique<Parts>();
    auto fail = [this](const Error& error) {
        stop();
        return StartFailure{is_bad_config(error) ? 2 : 1, error.text()};
    };
    if (Result<void> opened = parts_->open_state(options_); !opened) return fail(opened.error());
    parts_->events = std::make_shared<EventRing>(parts_->store->identity().epoch);
    log_.set_tap([ring = parts_->events](const LogRecord& record) { ring->append(record); });
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kStarted,
        "version " BALANCER_VERSION,
        {{"config", options_.config_file.string()},
         {"state_dir", options_.state_dir.string()},
         {"store", parts_->store->identity().store_uuid},
         {"epoch", parts_->store->identity().epoch}}
    );
    parts_->thread = std::jthread([parts = parts_.get()] { parts->loop.run(); });

    Result<void> core = parts_->on_loop([&] {
        return parts_->start_core(log_, options_, std::get<LoadedConfig>(std::move(loaded)));
    });
    if (!core) return fail(core.error());
    parts_->make_services(log_);
    Addresses addresses;
    Result<std::string> grpc = parts_->listen_grpc(options_.grpc_address);
    if (!grpc) return fail(grpc.error());
    addresses.grpc = *std::move(grpc);
    // Last: /readyz promises that the rest is there.
    Result<std::string> http =
        parts_->on_loop([&] { return parts_->listen_http(log_, options_.http_address); });
    if (!http) return fail(http.error());
    addresses.http = *std::move(http);
    Result<void> written = write_addresses(options_.state_dir, addresses);
    if (!written) return fail(written.error());

    log_.emit(
        LogLevel::kInfo,
        LogEvent::kListening,
        "gRPC for data planes and balancerctl, HTTP for /metrics, /healthz and /readyz",
        {{"grpc", addresses.grpc}, {"http", addresses.http}}
    );
    tell_supervisor("READY=1\nSTATUS=serving");
    if (!parse_endpoint(addresses.grpc)->address().is_loopback()) {
        log_.emit(
            LogLevel::kWarning,
            LogEvent::kNotice,
            "gRPC is not encrypted: credentials of providers cross the network in clear; keep "
            "--grpc on "
            "loopback or inside a private network",
            {{"grpc", addresses.grpc}}
        );
    }
    return addresses;
}

void Server::wait_for_signal() {
    parts_->stop_wanted.acquire();
    tell_supervisor("STOPPING=1");
    log_.emit(LogLevel::kInfo, LogEvent::kStopping, "a signal asked for it");
}

void Server::stop() {
    if (!parts_) return;
    if (parts_->thread.joinable()) {
        // gRPC's calls end on the loop, so it runs until they have.
        if (parts_->data_plane) parts_->data_plane->shutdown();
        if (parts_->admin) parts_->admin->shutdown();
        if (parts_->grpc_server) {
            parts_->grpc_server->Shutdown(std::chrono::system_clock::now() + kDrain);
        }
        parts_->on_loop([this] {
            if (parts_->control_plane) parts_->control_plane->stop();
            if (parts_->watch) parts_->watch->stop();
            if (parts_->http) parts_->http->stop();
            parts_->signals.cancel();
        });
        parts_->work.reset();
        parts_->loop.stop();
        parts_->thread.join();
        remove_addresses(options_.state_dir);
    }
    log_.set_tap({});
    parts_.reset();
}

}  // namespace balancer::controlplane
