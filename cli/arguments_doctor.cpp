#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {
namespace {

constexpr const char* kExamples =
    "Looks at the control plane, both clocks, the configuration file, the data planes, sealed secrets and\n"
    "accounts, and asks each enabled provider for a message, a stream, an answer with tools, with Claude\n"
    "Code's beta tokens, for a count of tokens and for its models: about five requests of one token each.\n"
    "\n"
    "Examples:\n"
    "  balancerctl doctor\n"
    "  balancerctl doctor --provider backup --model claude-haiku-4-5\n"
    "  balancerctl doctor --no-probes\n"
    "\n"
    "Exit codes: 0 all is well, 1 something is broken, 4 warnings only.\n";

}  // namespace

void add_doctor(CLI::App& app, Request& request) {
    DoctorFlags& flags = request.doctor;
    CLI::App* command = add_command(
        app, "doctor", "What is wrong, and how to mend it", request, [&flags](Session& session) {
            return doctor(session, flags);
        }
    );
    command->footer(kExamples);
    command->add_option("--provider", flags.providers, "Only this one; may be repeated")->type_name("NAME");
    command->add_option("--model", flags.model, "To ask for; default: one that a route sends there")
        ->type_name("MODEL");
    command->add_option("--within", flags.within_s, "How long each request may take")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 120.0).description(""))
        ->capture_default_str();
    command->add_flag("--no-probes", flags.no_probes, "Ask no provider: costs nothing, and sees less");
}

}  // namespace balancer::cli
