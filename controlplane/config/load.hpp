// Reads the YAML file into what is published. Strict: whatever is wrong is named with file, line,
// column and a way to mend it, all problems at once.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "balancer/v1/config.pb.h"

namespace balancer::controlplane {

struct ConfigProblem {
    std::string file;
    unsigned line = 0;    // from 1; 0: the file as a whole
    unsigned column = 0;  // from 1
    std::string path;     // providers[2].auth_type
    std::string message;
    std::string suggestion;  // may be empty
};

// "config.yaml:12:5: providers[2].auth_typ: unknown key; did you mean 'auth_type'?"
std::string to_string(const ConfigProblem& problem);

struct LoadedConfig {
    v1::ConfigSection config;
    v1::CredentialSection credentials;
    std::vector<std::string>
        notices;         // accepted keys that this build does not act on yet, and other advice
    std::string sha256;  // lower-case hex, of the file's bytes
    std::string text;    // the file's bytes; literal secrets are in it
};

using LoadResult = std::variant<LoadedConfig, std::vector<ConfigProblem>>;

// Looks an environment variable up; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

Environment process_environment();

// `yaml` is the file's text; `file` names it in messages, and its folder is where relative `file:`
// secrets and ca_file paths start.
LoadResult parse_config(
    std::string_view yaml, const std::filesystem::path& file, const Environment& environment
);

// Reads and parses.
LoadResult load_config(const std::filesystem::path& file, const Environment& environment);

}  // namespace balancer::controlplane
