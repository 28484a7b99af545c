// What is different between two configurations, in the words of an operator.
#pragma once

#include <string>
#include <vector>

#include "controlplane/config/yaml_tree.hpp"

namespace balancer::controlplane {

// Item by item: a provider, a route, a key of the settings. No value is in it, so no secret.
struct ConfigChange {
    enum class Kind { kAdded, kRemoved, kChanged };
    std::string item;  // "provider 'alpha'", "route '*sonnet*'", "settings.timeouts"
    Kind kind = Kind::kChanged;
    std::vector<std::string> keys;  // of a changed provider or map: which of them
};

std::vector<ConfigChange> changes_between(const YamlTree& from, const YamlTree& to);

// "provider 'alpha' added", "provider 'alpha' changed (weight, proxy)".
std::string to_string(const ConfigChange& change);

// All of them in one line, at most `changes_max`, then how many more; empty for none.
std::string to_summary(const std::vector<ConfigChange>& changes, std::size_t changes_max = 6);

// Of what was changed between `base` and `edited`: what `now` does not have. With base the file
// that was edited on top of, and now the file that takes over, these are the edits that are lost.
std::vector<ConfigChange> lost_changes(
    const YamlTree& base, const YamlTree& edited, const YamlTree& now
);

}  // namespace balancer::controlplane
