#include "cli/run.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/manual_page.hpp"
#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"
#include "cli/completion.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  balancerctl status\n"
    "  balancerctl doctor\n"
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
    "not allowed, 4 degraded (status: no healthy provider, or data planes out of sync; doctor: warnings; explain: not\n"
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

void add_completion(CLI::App& app, Request& request) {
    CLI::App* command = add_command(
        app,
        "completion",
        "Print what completes command lines in a shell: eval \"$(balancerctl completion bash)\"",
        request,
        [&request](Session& session) {
            session.out << completion_script(request.name);
            return kDone;
        }
    );
    command->add_option("SHELL", request.name, "The shell")
        ->required()
        ->type_name("bash|zsh|fish")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
}

void add_grammar(CLI::App& app, Request& request) {
    app.footer(kFooter);
    app.set_version_flag("--version", "balancerctl " BALANCER_VERSION);
    add_manual_flag(app, "1");
    app.require_subcommand(1);
    app.fallthrough();  // global flags may stand after the command as well
    add_globals(app, request);
    add_command(app, "status", "Is all well?", request, status);
    add_doctor(app, request);
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
    add_completion(app, request);
}

// --server and what else says whom to ask, out of words that need not make a command line.
void read_globals(std::vector<std::string> words, Request& request) {
    CLI::App globals;
    add_globals(globals, request);
    globals.allow_extras();
    if (!words.empty()) words.pop_back();  // it is being typed
    std::ranges::reverse(words);           // as CLI11 takes them
    try {
        globals.parse(words);
    } catch (const CLI::ParseError&) {
        // Then what is known by now, and the defaults.
    }
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
    Request request;
    add_grammar(app, request);
    const std::vector<std::string> words(argv + 1, argv + argc);
    // The words behind it are a command line that is not whole yet: not to be parsed as one.
    const bool completing = !words.empty() && words.front() == "complete";
    try {
        if (completing) {
            read_globals({words.begin() + 1, words.end()}, request);
        } else {
            app.parse(argc, argv);
        }
    } catch (const CLI::ParseError& end) {
        return app.exit(end, out, err) == 0 ? kDone : kUsage;
    }
    Client client(Client::Options{
        request.server,
        request.token_file,
        Milliseconds(static_cast<std::int64_t>(request.timeout_s * 1000)),
    });
    Session session{client, out, err, format_of(request.format), color, err_color, unix_now(), in};
    if (completing) return print_completion(session, complete(app, {words.begin() + 1, words.end()}));
    int code = request.command(session);
    out.flush();
    if (out) return code;
    return report(session, invalid("the answer cannot be written: is the disk full, or the reader gone?"));
}

}  // namespace balancer::cli
