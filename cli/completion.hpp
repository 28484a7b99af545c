// What may stand next on a command line: read from the grammar itself, so that a new command is completed from its first
// day.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace balancer::cli {

struct Candidate {
    std::string word;         // whole, as it would be typed
    std::string description;  // one line; may be empty
};

// What kind of thing the running control plane, or the disk, has to be asked for.
enum class Lookup { kNone, kFile, kProvider, kPattern, kDataPlane, kAccount, kSealingKey };

struct Completion {
    std::vector<Candidate> candidates;  // from the grammar, in its order
    Lookup lookup = Lookup::kNone;      // names of these may stand there, too
    std::string typed;                  // what candidates begin with
    std::string before;                 // "--token-file=" when a value is joined to its option; else empty
};

// `words`: those behind the program's name, the last one being typed (maybe empty). Hidden commands and options are left
// out, and options that were given and cannot be repeated.
Completion complete(const CLI::App& app, const std::vector<std::string>& words);

// For `eval`, or for the shell's folder of completions. `shell`: "bash", "zsh" or "fish".
std::string_view completion_script(std::string_view shell);

}  // namespace balancer::cli
