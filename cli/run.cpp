#include "cli/run.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "cli/command/commands.hpp"
#include "cli/session.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  balancerctl status\n"
    "  balancerctl providers list\n"
    "  balancerctl providers disable alpha --reason 'invoice is late'\n"
    "  balancerctl -o json providers get alpha\n"
    "  balancerctl config validate new.yaml && balancerctl config reload\n"
    "\n"
    "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 cannot reach the control plane or\n"
    "not allowed, 4 degraded (status: no healthy provider, or data planes out of sync).\n";

// What the command line asks for.
struct Request {
    std::string server = "127.0.0.1:9091";
    std::string token_file = "state/admin.token";
    std::string format = "table";
    double timeout_s = 10;
    std::string name;
    std::string reason;
    std::string file;
    std::function<int(Session&)> command;
};

void add_globals(CLI::App& app, Request& request) {
    app.add_option("--server", request.server, "The control plane's gRPC address")
        ->type_name("ADDR")
        ->envname("BALANCERCTL_SERVER")
        ->capture_default_str();
    app.add_option(
           "--token-file", request.token_file, "admin.token of the control plane's --state-dir"
    )
        ->type_name("FILE")
        ->envname("BALANCERCTL_TOKEN_FILE")
        ->capture_default_str();
    app.add_option("-o,--output", request.format, "How to print")
        ->type_name("table|json|yaml")
        ->check(CLI::IsMember({"table", "json", "yaml"}).description(""))
        ->capture_default_str();
    app.add_option("--timeout", request.timeout_s, "How long to wait for an answer")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.001, 3600.0).description(""))
        ->capture_default_str();
}

Format format_of(const std::string& name) {
    if (name == "json") return Format::kJson;
    return name == "yaml" ? Format::kYaml : Format::kTable;
}

// A leaf command: `work` runs after parsing.
CLI::App* add_command(
    CLI::App& parent,
    const char* name,
    const char* help,
    Request& request,
    std::function<int(Session&)> work
) {
    CLI::App* command = parent.add_subcommand(name, help);
    command->callback([&request, work = std::move(work)] { request.command = work; });
    return command;
}

void add_providers(CLI::App& app, Request& request) {
    CLI::App* group =
        app.add_subcommand("providers", "See and change providers")->require_subcommand(1);
    add_command(*group, "list", "All, with their health", request, list_providers);
    auto with_name = [&](const char* name, const char* help, std::function<int(Session&)> work) {
        CLI::App* command = add_command(*group, name, help, request, std::move(work));
        command->add_option("NAME", request.name, "The provider's name")
            ->required()
            ->check([](const std::string& name) { return name.empty() ? "NAME is empty" : ""; })
            ->type_name("");
        return command;
    };
    with_name("get", "One, with routes and recent failures", [&request](Session& session) {
        return get_provider(session, request.name);
    });
    auto change = [&](const char* name, const char* help, ProviderChange what) {
        with_name(
            name,
            help,
            [&request, what](Session& session) {
                return change_provider(session, what, request.name, request.reason);
            }
        )
            ->add_option("--reason", request.reason, "Why, for the log and for status")
            ->type_name("TEXT");
    };
    change("enable", "Use it, whatever the file says", ProviderChange::kEnable);
    change("disable", "Do not use it, whatever the file says", ProviderChange::kDisable);
    change("reset", "Forget its failures and close its circuit", ProviderChange::kReset);
}

void add_config(CLI::App& app, Request& request) {
    CLI::App* group = app.add_subcommand("config", "Check, reload and see the configuration")
                          ->require_subcommand(1);
    add_command(
        *group,
        "validate",
        "Check a file without using it (none: the control plane's own)",
        request,
        [&request](Session& session) { return validate_config(session, request.file); }
    )
        ->add_option("FILE", request.file, "A YAML file on this machine")
        ->type_name("");
    add_command(
        *group,
        "reload",
        "Read the control plane's file again",
        request,
        [&request](Session& s) { return reload_config(s, request.reason); }
    )
        ->add_option("--reason", request.reason, "Why, for the log")
        ->type_name("TEXT");
    add_command(*group, "show", "What is in force, secrets masked", request, show_config);
}

}  // namespace

int report(Session& session, const Error& error) {
    session.err << paint("balancerctl: ", Tone::kBad, session.err_color) << error.text() << '\n';
    return is_unreachable(error) ? kUnreachable : kFailed;
}

int run(
    int argc, const char* const* argv, std::ostream& out, std::ostream& err, Color color, Color err_color
) {
    CLI::App app("Operates the control plane of Claude Code Provider Balancer.", "balancerctl");
    app.footer(kFooter);
    app.set_version_flag("--version", "balancerctl " BALANCER_VERSION);
    app.require_subcommand(1);
    app.fallthrough();  // global flags may stand after the command as well
    Request request;
    add_globals(app, request);
    add_command(app, "status", "Is all well?", request, status);
    add_providers(app, request);
    CLI::App* planes =
        app.add_subcommand("dataplanes", "See the data planes")->require_subcommand(1);
    add_command(*planes, "list", "Connected now or in the last hour", request, list_data_planes);
    add_config(app, request);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& end) {
        return app.exit(end, out, err) == 0 ? kDone : kUsage;
    }
    Client client(Client::Options{
        request.server,
        request.token_file,
        Milliseconds(static_cast<std::int64_t>(request.timeout_s * 1000)),
    });
    Session session{client, out, err, format_of(request.format), color, err_color, unix_now()};
    int code = request.command(session);
    out.flush();
    if (out) return code;
    return report(session, invalid("the answer cannot be written: is the disk full, or the reader gone?"));
}

}  // namespace balancer::cli
