#include "controlplane/flags.hpp"

#include <CLI/CLI.hpp>

#include "base/manual_page.hpp"

namespace balancer::controlplane {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  balancer-controlplane --config config.yaml --state-dir /var/lib/balancer\n"
    "  balancer-controlplane --config config.yaml --state-dir state --grpc 0.0.0.0:9091\n"
    "\n"
    "The first start makes admin.token (for balancerctl) and dataplane.token (for\n"
    "balancer-dataplane) in the state directory. Port 0 takes a free port; what was\n"
    "bound stands in addresses.json there.\n"
    "\n"
    "Exit codes: 0 stopped by a signal, 1 cannot run, 2 wrong flags or configuration.\n";

}  // namespace

std::optional<int> parse_flags(int argc, char** argv, ServerOptions& options) {
    CLI::App app(
        "The control plane of Claude Code Provider Balancer: owns the configuration and the "
        "providers'\n"
        "health, and brings every data plane to the same state.",
        "balancer-controlplane"
    );
    app.footer(kExamples);
    app.set_version_flag("--version", "balancer-controlplane " BALANCER_VERSION);
    add_manual_flag(app, "8");
    app.add_option("--config", options.config_file, "YAML file, watched for changes")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option(
           "--state-dir", options.state_dir, "Tokens and database; private to one control plane"
    )
        ->type_name("DIR")
        ->capture_default_str();
    app.add_option("--grpc", options.grpc_address, "Where data planes and balancerctl connect")
        ->type_name("ADDR")
        ->capture_default_str();
    app.add_option("--http", options.http_address, "/metrics, /healthz, /readyz")
        ->type_name("ADDR")
        ->capture_default_str();
    app.add_flag(
        "--debuggable",
        options.debuggable,
        "Let debuggers, core files and gRPC's traces show this process's memory, secrets included"
    );
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& end) {
        return app.exit(end) == 0 ? 0 : 2;
    }
    return std::nullopt;
}

}  // namespace balancer::controlplane
