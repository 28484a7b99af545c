// Reads the YAML file into what is published. Strict: whatever is wrong is named with file, line,
// column and a way to mend it, all problems at once.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "base/result.hpp"
#include "controlplane/oauth/oauth_settings.hpp"

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

// A provider whose auth_value is `sealed:NAME`.
struct SealedKeyUse {
    std::string name;     // of the record
    std::string problem;  // why it cannot be had; empty: it is in the credentials
};

struct LoadedConfig {
    v1::ConfigSection config;
    v1::CredentialSection credentials;  // but for those of accounts
    OAuthSettings oauth;
    std::vector<std::string>
        notices;         // accepted keys that this build does not act on yet, and other advice
    std::string sha256;  // lower-case hex, of the file's bytes
    std::string text;    // the file's bytes; literal secrets are in it
    std::map<std::string, SealedKeyUse> sealed;  // by provider; one with a problem has no credential, the rest serves
};

using LoadResult = std::variant<LoadedConfig, std::vector<ConfigProblem>>;

// Looks an environment variable up; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

Environment process_environment();

// The secret in the sealed store under that name; an error says why it cannot be had.
using SealedKeyLookup = std::function<Result<std::string>(const std::string& name)>;

// `yaml` is the file's text; `file` names it in messages, and its folder is where relative `file:`
// secrets and ca_file paths start. Without `sealed`, every sealed key has a problem.
LoadResult parse_config(
    std::string_view yaml,
    const std::filesystem::path& file,
    const Environment& environment,
    const SealedKeyLookup& sealed = {}
);

// Reads and parses.
LoadResult load_config(
    const std::filesystem::path& file, const Environment& environment, const SealedKeyLookup& sealed = {}
);

}  // namespace balancer::controlplane
