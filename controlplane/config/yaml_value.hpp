// One value of a YAML file with the place where it stands, and its typed readings.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/config/problem_list.hpp"

namespace balancer::controlplane {

// `node` is const because assigning to a YAML::Node writes into the tree that it points to.
struct YamlValue {
    const YAML::Node node;
    Position at;
    std::string path;  // providers[2].auth_type
};

Position position_of(const YAML::Mark& mark);

// "providers" + "name" -> "providers.name"; a key of other characters comes in brackets and quotes.
std::string join_path(const std::string& parent, std::string_view key);

// "text", "a list", …: for messages.
std::string_view kind_of(const YAML::Node& node);

// What is published travels in protobuf strings, which hold nothing else.
bool is_utf8(std::string_view text);

// One document; nullopt after adding problems: syntax, encoding, size, several documents, nesting
// that is too deep.
std::optional<YamlValue> parse_document(std::string_view yaml, ProblemList& problems);

// The readings below return nullopt (or an empty list) after adding a problem. A number or truth
// value in quotes is text, as in the original.
std::optional<std::string> as_text(const YamlValue& value, ProblemList& problems);
std::optional<bool> as_bool(const YamlValue& value, ProblemList& problems);
std::optional<std::int64_t> as_integer(
    const YamlValue& value, std::int64_t min, std::int64_t max, ProblemList& problems
);

// Seconds, fractions allowed, into milliseconds. A positive time never becomes 0, which means "no
// limit".
std::optional<std::int64_t> as_milliseconds(
    const YamlValue& value, double min, double max, ProblemList& problems
);

// Bytes: 65536, or with a unit: "64KiB", "1GB".
std::optional<std::uint64_t> as_size(
    const YamlValue& value, std::uint64_t min, std::uint64_t max, ProblemList& problems
);

std::vector<YamlValue> as_list(const YamlValue& value, ProblemList& problems);

inline constexpr std::size_t kYamlBytesMax = 4 << 20;

// Items of one list, entries of one map: aliases let a small file stand for a huge one.
inline constexpr std::size_t kItemsMax = 10'000;

}  // namespace balancer::controlplane
