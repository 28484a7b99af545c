#include "cli/arguments.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {

void add_events(CLI::App& app, Request& request) {
    CLI::App* command = add_command(
        app,
        "events",
        "What happened, oldest first",
        request,
        [&request](Session& session) { return watch_events(session, request.events); }
    );
    command->add_flag("-f,--follow", request.events.follow, "Go on with what comes");
    command->add_option("--since", request.events.since, "Begin behind this event")->type_name("ID");
    command->add_option("--type", request.events.types, "Only events of this type; may be repeated")
        ->type_name("TYPE");
    command->add_option("--count", request.events.count, "End after so many")->type_name("NUMBER");
}

}  // namespace balancer::cli
