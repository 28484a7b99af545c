#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"
#include "cli/command/wait.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kProviderExamples =
    "Examples:\n"
    "  balancerctl providers add backup --type anthropic --base-url https://api.backup.example \\\n"
    "      --auth-type api_key --key-env BACKUP_KEY --route '*' --priority 9 --wait\n"
    "  balancerctl providers update backup --weight 3 --dry-run\n"
    "  balancerctl providers update backup --key-stdin < new-key.txt\n"
    "  balancerctl providers drain backup --reason 'moves house' --wait=120\n"
    "  balancerctl providers test backup --model claude-haiku-4-5\n"
    "  balancerctl providers remove backup --with-routes\n";

constexpr const char* kRouteExamples =
    "Examples:\n"
    "  balancerctl routes list\n"
    "  balancerctl routes set '*haiku*' backup --priority 2\n"
    "  balancerctl routes set '*haiku*' backup --disabled\n"
    "  balancerctl routes remove '*haiku*' backup    this provider only\n"
    "  balancerctl routes remove '*haiku*'           the whole route\n";

CLI::App* add_named(
    CLI::App& group,
    const char* name,
    const char* help,
    Request& request,
    std::function<int(Session&)> work
) {
    CLI::App* command = add_command(group, name, help, request, std::move(work));
    command->add_option("NAME", request.name, "The provider's name")
        ->required()
        ->check([](const std::string& name) { return name.empty() ? "NAME is empty" : ""; })
        ->type_name("");
    return command;
}

void add_key_flags(CLI::App& command, KeyFlags& key) {
    CLI::Option_group* group = command.add_option_group(
        "Credential", "Never on the command line, which everybody on the machine can read"
    );
    group->add_flag("--key-stdin", key.from_stdin, "Read it here, from standard input; it is kept sealed");
    group->add_option("--key-file", key.file, "A file that the control plane reads at each load")
        ->type_name("FILE");
    group->add_option("--key-env", key.variable, "A variable of the control plane's environment")
        ->type_name("NAME");
    group->add_flag("--passthrough", key.passthrough, "The client's own goes to the provider");
    group->require_option(0, 1);
}

void add_provider_flags(CLI::App& command, ProviderFlags& flags) {
    command.add_option("--type", flags.type, "What it speaks")->type_name("anthropic|openai");
    command.add_option("--base-url", flags.base_url, "/v1/messages is added")->type_name("URL");
    command.add_option("--auth-type", flags.auth_type, "How the credential is sent")
        ->type_name("api_key|auth_token|oauth");
    command
        .add_option("--proxy", flags.proxy, "http:// or socks5://; a password as ${NAME}; '': none")
        ->type_name("URL");
    command.add_option("--weight", flags.weight, "1 to 1000; 0: none")->type_name("N");
    command.add_option("--max-concurrency", flags.max_concurrency, "Per data plane; 0: no limit")
        ->type_name("N");
    command.add_option("--ca-file", flags.ca_file, "PEM, read by the control plane; '': none")
        ->type_name("FILE");
    command.add_option("--streaming-mode", flags.streaming_mode, "When clients get a stream's events")
        ->type_name("auto|direct|background");
    add_key_flags(command, flags.key);
}

void add_if_etag(CLI::App& command, Request& request) {
    command
        .add_option(
            "--if-etag", request.provider.if_etag, "Only if who answers is as `providers get` showed it"
        )
        ->type_name("ETAG");
}

void add_editing_commands(CLI::App& group, Request& request) {
    CLI::App* add = add_named(group, "add", "A new one", request, [&request](Session& session) {
        return add_provider(
            session, request.name, request.provider, request.target, request.change
        );
    });
    add_provider_flags(*add, request.provider);
    add->add_flag("--disabled", request.provider.disabled, "Known, but not used yet");
    add->add_option(
           "--route", request.provider.patterns, "A route that shall lead to it; repeatable"
    )
        ->type_name("PATTERN");
    add->add_option(
           "--model", request.target.model, "The model's name to send there; without: the client's"
    )
        ->type_name("MODEL");
    add->add_option("--priority", request.target.priority, "In these routes; smaller is preferred")
        ->type_name("N");
    add_change_flags(*add, request);
    CLI::App* update = add_named(
        group,
        "update",
        "Change what is given, leave the rest",
        request,
        [&request](Session& session) {
            return update_provider(session, request.name, request.provider, request.change);
        }
    );
    add_provider_flags(*update, request.provider);
    add_if_etag(*update, request);
    add_change_flags(*update, request);
    CLI::App* remove =
        add_named(group, "remove", "Take it out", request, [&request](Session& session) {
            return remove_provider(session, request.name, request.provider, request.change);
        });
    remove->add_flag(
        "--with-routes", request.provider.with_routes, "Out of the routes that name it, too"
    );
    add_if_etag(*remove, request);
    add_change_flags(*remove, request);
    remove->add_flag("--force", request.change.force, "Even if no provider would be enabled");
}

void add_switching_commands(CLI::App& group, Request& request) {
    auto change = [&](const char* name, const char* help, ProviderChange what) {
        CLI::App* command =
            add_named(group, name, help, request, [&request, what](Session& session) {
                return change_provider(session, what, request.name, request.change);
            });
        if (what == ProviderChange::kReset) {
            add_reason_and_wait(*command, request);
            return;
        }
        add_change_flags(*command, request);
        if (what == ProviderChange::kEnable) return;
        command->add_flag("--force", request.change.force, "Even the last enabled one");
    };
    change("enable", "Use it, whatever the file says", ProviderChange::kEnable);
    change("disable", "Do not use it, whatever the file says", ProviderChange::kDisable);
    change(
        "drain",
        "Send it nothing new and let what runs end; --wait waits for that",
        ProviderChange::kDrain
    );
    change("reset", "Forget its failures and close its circuit", ProviderChange::kReset);
}

}  // namespace

void add_reason(CLI::App& command, Request& request) {
    command.add_option("--reason", request.change.reason, "Why, for the history and the log")
        ->type_name("TEXT");
}

void add_dry_run(CLI::App& command, Request& request) {
    command.add_flag("--dry-run", request.change.dry_run, "Show what would change, change nothing");
}

void add_reason_and_wait(CLI::App& command, Request& request, const std::string& awaited) {
    add_reason(command, request);
    // A flag, so that no word behind it is taken for the seconds; without them it reads "true".
    command
        .add_flag(
            "--wait",
            request.change.wait_s,
            "Wait until " + awaited + "; without SECONDS: for 30 s"
        )
        ->check([](const std::string& text) {
            return wait_time(text) ? std::string() : text + " is not a number of seconds up to a day";
        })
        ->option_text("[=SECONDS]");
}

void add_change_flags(CLI::App& command, Request& request) {
    add_reason_and_wait(command, request);
    add_dry_run(command, request);
    command
        .add_option(
            "--if-revision", request.change.if_revision, "Only if this revision is in force"
        )
        ->type_name("N");
}

void add_providers(CLI::App& app, Request& request) {
    CLI::App* group =
        app.add_subcommand("providers", "See and change providers")->require_subcommand(1);
    group->footer(kProviderExamples);
    add_command(*group, "list", "All, with their health", request, list_providers);
    add_named(
        *group,
        "get",
        "One, with routes and recent failures",
        request,
        [&request](Session& session) { return get_provider(session, request.name); }
    );
    add_editing_commands(*group, request);
    add_switching_commands(*group, request);
    CLI::App* test = add_named(
        *group,
        "test",
        "Send it one small real request from the control plane",
        request,
        [&request](Session& session) {
            return test_provider(
                session,
                request.name,
                request.model,
                Milliseconds(static_cast<std::int64_t>(request.test_timeout_s * 1000))
            );
        }
    );
    test->add_option("--model", request.model, "Default: one that a route sends there")
        ->type_name("MODEL");
    test->add_option("--within", request.test_timeout_s, "How long it may take")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 120.0).description(""))
        ->capture_default_str();
}

void add_routes(CLI::App& app, Request& request) {
    CLI::App* group = app.add_subcommand("routes", "See and change who serves which model")
                          ->require_subcommand(1);
    group->footer(kRouteExamples);
    add_command(*group, "list", "All, in the file's order", request, list_routes);
    TargetFlags& target = request.target;
    CLI::App* set = add_command(
        *group,
        "set",
        "Let a route lead to a provider, or change how",
        request,
        [&request](Session& session) { return set_route(session, request.target, request.change); }
    );
    set->add_option("PATTERN", target.pattern, "A model's name, or a pattern with *")
        ->required()
        ->type_name("");
    set->add_option("PROVIDER", target.provider, "Who shall serve it")->required()->type_name("");
    set->add_option("--model", target.model, "The model's name to send; passthrough: the client's")
        ->type_name("MODEL");
    set->add_option("--priority", target.priority, "Smaller is preferred; needed for a new one")
        ->type_name("N");
    auto* enabled = set->add_flag_callback(
        "--enabled", [&target] { target.enabled = true; }, "Use this target"
    );
    set->add_flag_callback(
           "--disabled", [&target] { target.enabled = false; }, "Skip this target"
    )
        ->excludes(enabled);
    add_change_flags(*set, request);
    CLI::App* remove = add_command(
        *group,
        "remove",
        "Take a provider out of a route, or the whole route",
        request,
        [&request](Session& session) {
            return remove_route(session, request.target, request.change);
        }
    );
    remove->add_option("PATTERN", target.pattern, "As `routes list` shows it")
        ->required()
        ->type_name("");
    remove->add_option("PROVIDER", target.provider, "Without: the whole route")->type_name("");
    add_change_flags(*remove, request);
}

}  // namespace balancer::cli
