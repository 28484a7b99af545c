// Where a secret in the file may come from: the text itself, environment variables, or a file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "controlplane/config/load.hpp"
#include "controlplane/config/yaml_value.hpp"

namespace balancer::controlplane {

// What the readers of the file's parts share. Lives for one parse.
struct ParseContext {
    ProblemList& problems;
    std::vector<std::string>& notices;
    const Environment& environment;
    std::filesystem::path folder;  // of the configuration file
    const SealedKeyLookup& sealed_keys;          // may be empty
    std::map<std::string, SealedKeyUse> sealed;  // what has been found, by provider
};

// Puts the values of environment variables in place of `${NAME}`; `$${` stands for `${`. A text `file:PATH` is the
// content of that file without trailing line ends (PATH may use variables; a relative one starts at the configuration's
// folder). The value of a variable is taken as it is. An error names the variable or the file, never a value.
// `sealed:NAME` is refused: only a provider's auth_value may be that (provider_parts).
Result<std::string> resolve_secret(std::string_view text, const ParseContext& context);

// What makes a text unfit for an HTTP header line; null: nothing. Empty is unfit, and so are control characters and
// what is no UTF-8.
const char* flaw_of_secret(std::string_view secret);

// Text that goes into an HTTP header line: resolved, UTF-8, without control characters. A problem
// otherwise, or when it is empty.
std::optional<std::string> read_secret(const YamlValue& value, ParseContext& context);

}  // namespace balancer::controlplane
