// The text of a YAML document: where things stand in it, and small changes that leave the rest,
// comments and order included, as it is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/config/yaml_tree.hpp"

namespace balancer::controlplane {

// Bytes [begin, end) of a text.
struct TextRange {
    std::size_t begin = 0;
    std::size_t end = 0;
};

// The scalar that begins at `at` (where yaml-cpp's mark is), an anchor or tag before it left out.
// None for block scalars ('|', '>') and whatever else is not understood. A plain scalar ends with
// its line at the latest, so of one that goes on in the next line this is the first part only.
std::optional<TextRange> scalar_range(std::string_view text, std::size_t at);

// The functions below return the changed text, or nothing when the place is written in a way that
// they do not know. They promise nothing about what they return: whoever calls them parses it and
// compares.

// Sets the scalar under `key` of the map at `path`, or adds the key as its last.
std::optional<std::string> set_key(
    const std::string& yaml, const YamlPath& path, const std::string& key, const YamlTree& scalar
);

std::optional<std::string> remove_key(
    const std::string& yaml, const YamlPath& path, const std::string& key
);

// Adds to the block map at `path` a key with a list of maps of scalars, each in one line.
std::optional<std::string> add_list(
    const std::string& yaml, const YamlPath& path, const std::string& key, const YamlTree& list
);

// Adds a map of scalars to the end of the block list at `path`, in the style of its last item.
std::optional<std::string> append_item(
    const std::string& yaml, const YamlPath& path, const YamlTree& item
);

// With the comment lines right above it.
std::optional<std::string> remove_item(
    const std::string& yaml, const YamlPath& path, std::size_t index
);

// A map of scalars in one line: {provider: alpha, model: passthrough, priority: 1}.
std::string to_flow_map(const YamlTree& map);

}  // namespace balancer::controlplane
