// A YAML document as plain values: what an edit means, whatever the text looks like.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace balancer::controlplane {

struct YamlEntry;

// Aliases are expanded, so that a change in one place changes nothing elsewhere; a merge key stays
// a key '<<' with its value. Comments and style are not in it.
struct YamlTree {
    enum class Kind { kNull, kScalar, kList, kMap };

    Kind kind = Kind::kNull;
    std::string text;     // of a scalar
    bool quoted = false;  // a scalar that is text whatever it looks like
    std::vector<YamlTree> items;
    std::vector<YamlEntry> entries;  // in the document's order
    // Where a scalar stands, in bytes from the text's start; of an alias: where its anchor stands.
    std::size_t at = 0;

    // Null when this is no map, or has no such key.
    const YamlTree* find(std::string_view key) const;
    YamlTree* find(std::string_view key);

    // What a merge key ('<<') brings under this key; null: nothing. A key of the map's own hides it.
    const YamlTree* find_merged(std::string_view key) const;

    // Equal as a configuration: a scalar's quotes count only where they make a difference.
    friend bool operator==(const YamlTree& a, const YamlTree& b);
};

struct YamlEntry {
    std::string key;
    YamlTree value;

    friend bool operator==(const YamlEntry& a, const YamlEntry& b) = default;
};

// A scalar that is written without quotes where YAML lets one: words, numbers, true and false.
YamlTree plain_scalar(std::string text);

// A scalar that stays text.
YamlTree text_scalar(std::string text);

// A step from a map to the value of a key, or from a list to an item.
using YamlStep = std::variant<std::string, std::size_t>;
using YamlPath = std::vector<YamlStep>;

// Null when there is nothing at that path.
YamlTree* find_path(YamlTree& root, const YamlPath& path);

// The tree of one document that parse_config has accepted, or that can at least be parsed. Refused:
// what is not YAML, and aliases that expand to more than kTreeNodesMax nodes.
Result<YamlTree> parse_yaml_tree(const std::string& yaml);

// Block style, keys in order; a document that parses to the same tree.
std::string to_yaml(const YamlTree& tree);

// One scalar as it may stand in a block or in a flow map, quoted when it has to be.
std::string to_yaml_scalar(const YamlTree& scalar);

inline constexpr std::size_t kTreeNodesMax = 200'000;

}  // namespace balancer::controlplane
