// Manual pages, written from a program's own grammar, so that they never say less or other than --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace balancer {

// The page of `app` and of all its commands, in man(7)'s macros. Hidden commands and options are left out. `section` as in
// man(1): "1" for what users run, "8" for daemons.
std::string manual_page(const CLI::App& app, const std::string& section);

// --manual prints that and ends. `app` must outlive parsing.
void add_manual_flag(CLI::App& app, std::string section);

}  // namespace balancer
