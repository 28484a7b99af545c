// What `balancerctl providers` and `balancerctl routes` do to a configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/config/yaml_edit.hpp"

namespace balancer::controlplane {

// The functions change what stands in the text; whether the result is a good configuration is
// decided by parse_config afterwards. Errors are for a person; see is_unknown_name.

// Keys of one provider in the order in which they are written; none: the key is taken out.
using ProviderKeys = std::vector<std::pair<std::string, std::optional<YamlTree>>>;

// One target of one route. What is not given stays as it is, or is left out of a new one.
struct TargetKeys {
    std::string pattern;
    std::string provider;
    std::optional<std::string> model;
    std::optional<std::int32_t> priority;
    std::optional<bool> enabled;
};

// Refused: a provider of that name.
Result<void> add_provider(YamlEdit& edit, const std::string& name, const ProviderKeys& keys);

// Refused: no provider of that name.
Result<void> update_provider(YamlEdit& edit, const std::string& name, const ProviderKeys& keys);

// Refused: no such provider, the only one, and one that routes name unless `with_routes`, which
// takes its targets out and the routes that have no other. Returns what was taken out besides, in
// words.
Result<std::vector<std::string>> remove_provider(
    YamlEdit& edit, const std::string& name, bool with_routes
);

// Changes the target, or adds it (and the route); a new one needs a priority, and takes
// `passthrough` for its model.
Result<void> set_target(YamlEdit& edit, const TargetKeys& keys);

// Without a provider the whole route; with one, its targets. Refused when that would leave the
// route empty.
Result<void> remove_target(YamlEdit& edit, const std::string& pattern, const std::string& provider);

// What was named is not in the configuration.
bool is_unknown_name(const Error& error);

// "there is no provider 'x'; there are: a, b"
Error unknown_name(
    std::string_view kind, std::string_view name, const std::vector<std::string>& known
);

}  // namespace balancer::controlplane
