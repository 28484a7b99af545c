// The command line's grammar, in CLI11's terms.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "cli/request.hpp"

namespace balancer::cli {

// A leaf command: `work` runs after parsing.
inline CLI::App* add_command(
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

// Options of commands that change something, one by one.
void add_reason(CLI::App& command, Request& request);
void add_dry_run(CLI::App& command, Request& request);

// --reason and --wait; `awaited`: what the latter waits for.
void add_reason_and_wait(
    CLI::App& command, Request& request, const std::string& awaited = "every connected data plane has it"
);

// Those, and --dry-run and --if-revision.
void add_change_flags(CLI::App& command, Request& request);

void add_providers(CLI::App& app, Request& request);  // arguments_providers.cpp
void add_routes(CLI::App& app, Request& request);     // arguments_providers.cpp
void add_events(CLI::App& app, Request& request);     // arguments_events.cpp
void add_keys(CLI::App& app, Request& request);       // arguments_keys.cpp
void add_config(CLI::App& app, Request& request);     // arguments_config.cpp
void add_doctor(CLI::App& app, Request& request);     // arguments_doctor.cpp
void add_oauth(CLI::App& app, Request& request);      // arguments_oauth.cpp

}  // namespace balancer::cli
