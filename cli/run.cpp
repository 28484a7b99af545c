#include "cli/run.hpp"

#include <string>

#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  balancerctl status\n"
    "  balancerctl providers list\n"
    "  balancerctl providers disable alpha --reason 'invoice is late'\n"
    "  balancerctl -o json providers get alpha\n"
    "  balancerctl providers add --help\n"
    "  balancerctl config history\n"
    "  balancerctl events --follow --type provider_state_changed\n"
    "  balancerctl explain bal_0123456789abcdef\n"
    "  balancerctl config validate new.yaml && balancerctl config reload --wait\n"
    "\n"
    "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 cannot reach the control plane or\n"
    "not allowed, 4 degraded (status: no healthy provider, or data planes out of sync; explain: not\n"
    "found, and some data planes could not be asked; oauth status: a login is dead or uncertain, or its\n"
    "token has ended).\n";

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

}  // namespace

int report(Session& session, const Error& error) {
    session.err << paint("balancerctl: ", Tone::kBad, session.err_color) << error.text() << '\n';
    return is_unreachable(error) ? kUnreachable : kFailed;
}

int run(
    int argc,
    const char* const* argv,
    std::ostream& out,
    std::ostream& err,
    Color color,
    std::istream& in,
    Color err_color
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
    add_routes(app, request);
    CLI::App* planes =
        app.add_subcommand("dataplanes", "See the data planes, and end them")->require_subcommand(1);
    add_command(*planes, "list", "Connected now or in the last hour", request, list_data_planes);
    CLI::App* get = add_command(
        *planes,
        "get",
        "One, with what it refused and left out",
        request,
        [&request](Session& session) { return get_data_plane(session, request.name); }
    );
    get->add_option("NAME", request.name, "The data plane's id")->required()->type_name("");
    CLI::App* drain = add_command(
        *planes,
        "drain",
        "Send it nothing new, let what runs end, and end it",
        request,
        [&request](Session& session) { return drain_data_plane(session, request.name, request.change); }
    );
    drain->add_option("NAME", request.name, "The data plane's id")->required()->type_name("");
    add_reason_and_wait(*drain, request, "it has ended");
    CLI::App* why = add_command(
        app,
        "explain",
        "What became of one request, and why",
        request,
        [&request](Session& session) { return explain(session, request.name); }
    );
    why->add_option("REQUEST_ID", request.name, "x-balancer-request-id of its answer, or the provider's own id")
        ->required()
        ->type_name("");
    add_oauth(app, request);
    add_command(
        app, "requests", "What is under way: its age, its provider, and who reads the answer", request, list_requests
    );
    add_events(app, request);
    add_keys(app, request);
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
    Session session{client, out, err, format_of(request.format), color, err_color, unix_now(), in};
    int code = request.command(session);
    out.flush();
    if (out) return code;
    return report(session, invalid("the answer cannot be written: is the disk full, or the reader gone?"));
}

}  // namespace balancer::cli
