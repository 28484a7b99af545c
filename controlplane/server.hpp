// The control plane as a running server: loop thread, gRPC port, HTTP port, file watch.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <variant>

#include "base/log.hpp"
#include "controlplane/config/load.hpp"
#include "controlplane/oauth/post_program.hpp"
#include "controlplane/state_dir.hpp"

namespace balancer::controlplane {

struct ServerOptions {
    std::filesystem::path config_file = "config.yaml";
    std::filesystem::path state_dir = "state";
    std::string grpc_address = "127.0.0.1:9091";
    std::string http_address = "127.0.0.1:9092";
    Environment environment = process_environment();
    bool debuggable = false;  // the program does not shield itself (base/process_shield)
    PostProgram post_program{};  // empty: this process posts refresh tokens itself, and cannot outlive itself
};

// Why a start failed: what to print, and the program's exit code (2: the configuration is bad, 1:
// anything else).
struct StartFailure {
    int exit_code = 1;
    std::string text;
};

// Start it once, stop it once, from one thread. The log outlives it.
class Server {
  public:
    Server(Log& log, ServerOptions options);
    ~Server();  // stops
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Returns when both ports are bound and the configuration is in force; the addresses are those
    // that were bound.
    std::variant<Addresses, StartFailure> start();

    // Returns at SIGTERM or SIGINT, which are handled from start() on.
    void wait_for_signal();

    // Tells the data planes, ends open calls within 3 s, closes both ports, joins the loop. May be
    // called twice.
    void stop();

  private:
    struct Parts;
    Log& log_;
    ServerOptions options_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace balancer::controlplane
