#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kConfigExamples =
    "Examples:\n"
    "  balancerctl config history\n"
    "  balancerctl config diff              the file against what runs\n"
    "  balancerctl config diff 11 12        one revision against another\n"
    "  balancerctl config rollback 11 --dry-run\n"
    "  balancerctl config rollback 11 --reason 'beta bills twice' --wait\n"
    "  balancerctl config save              writes what runs into the file\n";

constexpr const char* kRevisionHelp = "A number of `config history`";

void add_file_commands(CLI::App& group, Request& request) {
    add_command(
        group,
        "validate",
        "Check a file without using it (none: the control plane's own)",
        request,
        [&request](Session& session) { return validate_config(session, request.file); }
    )
        ->add_option("FILE", request.file, "A YAML file on this machine")
        ->type_name("");
    CLI::App* reload = add_command(
        group,
        "reload",
        "Read the control plane's file again, and the secrets that it refers to",
        request,
        [&request](Session& session) { return reload_config(session, request.change); }
    );
    add_reason_and_wait(*reload, request);
    CLI::App* save = add_command(
        group,
        "save",
        "Write what runs into the control plane's file, which keeps its owner and mode",
        request,
        [&request](Session& session) { return save_config(session, request.change); }
    );
    add_dry_run(*save, request);
    save->add_flag("--force", request.change.force, "Overwrite a file that was changed since");
    add_reason(*save, request);
}

void add_history_commands(CLI::App& group, Request& request) {
    add_command(
        group,
        "show",
        "What is in force with every default, or a revision as it was written; secrets masked",
        request,
        [&request](Session& session) { return show_config(session, request.revision); }
    )
        ->add_option("--revision", request.revision, kRevisionHelp)
        ->type_name("N")
        ->check(CLI::PositiveNumber.description(""));
    add_command(
        group,
        "history",
        "Its revisions, newest first",
        request,
        [&request](Session& session) { return list_revisions(session, request.count); }
    )
        ->add_option("-n,--count", request.count, "How many; 0: all that are kept (200)")
        ->type_name("N")
        ->capture_default_str();
    CLI::App* diff = add_command(
        group,
        "diff",
        "What is different between two states; each is a revision's number, 'file' or 'running'",
        request,
        [&request](Session& session) { return diff_config(session, request.from, request.to); }
    );
    diff->add_option("FROM", request.from, "Default: the file; with one argument, TO is what runs")
        ->type_name("");
    diff->add_option("TO", request.to, "Default: what runs")->type_name("");
    CLI::App* rollback = add_command(
        group,
        "rollback",
        "Put an old revision in force again, under a new number",
        request,
        [&request](Session& session) {
            return rollback_config(session, request.revision, request.change);
        }
    );
    rollback->add_option("N", request.revision, kRevisionHelp)
        ->required()
        ->type_name("")
        ->check(CLI::PositiveNumber.description(""));
    add_change_flags(*rollback, request);
    rollback->add_flag("--force", request.change.force, "Even if no provider would be enabled");
}

}  // namespace

void add_config(CLI::App& app, Request& request) {
    CLI::App* group =
        app.add_subcommand("config", "Check, change, compare and bring back the configuration")
            ->require_subcommand(1);
    group->footer(kConfigExamples);
    add_file_commands(*group, request);
    add_history_commands(*group, request);
}

}  // namespace balancer::cli
