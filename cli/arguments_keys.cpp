#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kExamples =
    "Secrets that the control plane keeps are sealed: each with a key of its own, which is\n"
    "sealed with the active key of this ring. Keys themselves are never shown.\n"
    "\n"
    "Examples:\n"
    "  balancerctl keys list\n"
    "  balancerctl keys rotate --reason 'yearly'\n"
    "  balancerctl keys retire 3f9a01c2d4e5f607\n";

}  // namespace

void add_keys(CLI::App& app, Request& request) {
    CLI::App* group =
        app.add_subcommand("keys", "See and rotate the keys that secrets are sealed with")->require_subcommand(1);
    group->footer(kExamples);
    add_command(
        *group, "list", "All, and what is sealed with each; records that cannot be opened", request, list_keys
    );
    CLI::App* rotate = add_command(
        *group,
        "rotate",
        "A new active key; every record that opens is sealed with it, the old key stays until it is retired",
        request,
        [&request](Session& session) { return rotate_keys(session, request.change); }
    );
    CLI::App* retire = add_command(
        *group,
        "retire",
        "Take an old key, which no record needs, out of the file",
        request,
        [&request](Session& session) { return retire_key(session, request.name, request.change); }
    );
    retire->add_option("ID", request.name, "As `keys list` shows it")->required()->type_name("");
    for (CLI::App* command : {rotate, retire}) add_reason(*command, request);
}

}  // namespace balancer::cli
