#include "controlplane/config/yaml_value.hpp"

#include <fmt/format.h>
#include <simdjson.h>
#include <yaml-cpp/depthguard.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace balancer::controlplane {
namespace {

bool is_plain(const YAML::Node& node) {
    const std::string& tag = node.Tag();
    return tag == "?" || tag.empty() || tag.starts_with("tag:yaml.org,2002:");
}

bool is_key_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

void add_wrong_type(const YamlValue& value, std::string_view expected, ProblemList& problems) {
    bool quoted_scalar = value.node.IsScalar() && !is_plain(value.node);
    std::string found = value.node.IsScalar() ? std::string(quoted_scalar ? "the text " : "") +
                                                    in_quotes(value.node.Scalar())
                                              : std::string(kind_of(value.node));
    problems.add(
        value.at,
        value.path,
        fmt::format("expected {}, found {}", expected, found),
        quoted_scalar ? "remove the quotes" : ""
    );
}

// Digits may be grouped with '_', as YAML 1.1 allows.
std::string without_grouping(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c != '_') out.push_back(c);
    }
    if (out.size() > 1 && out[0] == '+' && out[1] != '-') out.erase(0, 1);
    return out;
}

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
    std::string digits = without_grouping(text);
    Number number{};
    const char* end = digits.data() + digits.size();
    auto [stop, code] = std::from_chars(digits.data(), end, number);
    if (code != std::errc() || stop != end) return std::nullopt;
    return number;
}

std::optional<std::uint64_t> unit_of(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::uint64_t bytes;
    };
    static constexpr std::array<Unit, 8> kUnits = {{
        {"", 1},
        {"b", 1},
        {"kb", 1000},
        {"mb", 1000 * 1000},
        {"gb", 1000 * 1000 * 1000},
        {"kib", 1ULL << 10},
        {"mib", 1ULL << 20},
        {"gib", 1ULL << 30},
    }};
    std::string name;
    for (char c : text) name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    const auto* found = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& unit) {
        return unit.name == name;
    });
    if (found == kUnits.end()) return std::nullopt;
    return found->bytes;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::size_t digits = std::min(text.find_first_not_of("0123456789_"), text.size());
    std::optional<std::uint64_t> number = parse_whole<std::uint64_t>(text.substr(0, digits));
    std::string_view rest = text.substr(digits);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::optional<std::uint64_t> unit = unit_of(rest);
    std::uint64_t bytes = 0;
    if (!number || !unit || __builtin_mul_overflow(*number, *unit, &bytes)) return std::nullopt;
    return bytes;
}

unsigned first_line_not_utf8(std::string_view text) {
    unsigned line = 1;
    for (;;) {
        std::size_t end = std::min(text.find('\n'), text.size());
        if (end == text.size() || !is_utf8(text.substr(0, end))) return line;
        text.remove_prefix(end + 1);
        ++line;
    }
}

// yaml-cpp's messages may end in a piece of the file, such as the name of a missing anchor, which
// is what an unquoted secret that begins with '*' looks like. Only the fixed part is kept.
std::string words_of(const YAML::Exception& error) {
    return error.msg.substr(0, error.msg.find(':'));
}

}  // namespace

Position position_of(const YAML::Mark& mark) {
    if (mark.is_null()) return {};
    return Position{static_cast<unsigned>(mark.line) + 1, static_cast<unsigned>(mark.column) + 1};
}

std::string join_path(const std::string& parent, std::string_view key) {
    if (key.empty() || !std::all_of(key.begin(), key.end(), is_key_char)) {
        return fmt::format("{}[{}]", parent, in_quotes(key));
    }
    return parent.empty() ? std::string(key) : fmt::format("{}.{}", parent, key);
}

std::string_view kind_of(const YAML::Node& node) {
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            return "text";
        case YAML::NodeType::Sequence:
            return "a list";
        case YAML::NodeType::Map:
            return "a map";
        default:
            return "nothing";
    }
}

bool is_utf8(std::string_view text) {
    return simdjson::validate_utf8(text.data(), text.size());
}

std::optional<YamlValue> parse_document(std::string_view yaml, ProblemList& problems) {
    if (yaml.size() > kYamlBytesMax) {
        problems.add({}, "", fmt::format("the file is larger than {} bytes", kYamlBytesMax));
        return std::nullopt;
    }
    if (!is_utf8(yaml)) {
        problems.add(Position{first_line_not_utf8(yaml), 1}, "", "this line is not UTF-8");
        return std::nullopt;
    }
    try {
        std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
        if (documents.empty() || documents[0].IsNull()) {
            problems.add({}, "", "the file is empty", "start from config.example.yaml");
            return std::nullopt;
        }
        if (documents.size() > 1) {
            Position at = position_of(documents[1].Mark());
            problems.add(
                at, "", "a second YAML document begins here", "remove the '---' before it"
            );
            return std::nullopt;
        }
        return YamlValue{documents[0], position_of(documents[0].Mark()), ""};
    } catch (const YAML::DeepRecursion& error) {
        problems.add(position_of(error.mark), "", "nested too deeply");
    } catch (const YAML::Exception& error) {
        problems.add(
            position_of(error.mark),
            "",
            "not valid YAML: " + words_of(error),
            "check the indentation, and quote text that holds any of : # * & ! % @ `"
        );
    }
    return std::nullopt;
}

std::optional<std::string> as_text(const YamlValue& value, ProblemList& problems) {
    if (!value.node.IsScalar()) {
        add_wrong_type(value, "text", problems);
        return std::nullopt;
    }
    const std::string& tag = value.node.Tag();
    if (tag != "!" && !is_plain(value.node)) {
        problems.add(
            value.at,
            value.path,
            "a tag (a word that begins with '!') means nothing here",
            "quote the text if the '!' belongs to it"
        );
        return std::nullopt;
    }
    return value.node.Scalar();
}

std::optional<bool> as_bool(const YamlValue& value, ProblemList& problems) {
    if (value.node.IsScalar() && is_plain(value.node)) {
        std::string word;
        for (char c : value.node.Scalar()) {
            word.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
        }
        if (word == "true" || word == "yes" || word == "on") return true;
        if (word == "false" || word == "no" || word == "off") return false;
    }
    add_wrong_type(value, "true or false", problems);
    return std::nullopt;
}

std::optional<std::int64_t> as_integer(
    const YamlValue& value, std::int64_t min, std::int64_t max, ProblemList& problems
) {
    std::optional<std::int64_t> number;
    if (value.node.IsScalar() && is_plain(value.node)) {
        number = parse_whole<std::int64_t>(value.node.Scalar());
    }
    if (!number) {
        add_wrong_type(value, "a whole number", problems);
    } else if (*number < min || *number > max) {
        problems.add(
            value.at, value.path, fmt::format("{} is not between {} and {}", *number, min, max)
        );
        return std::nullopt;
    }
    return number;
}

std::optional<std::int64_t> as_milliseconds(
    const YamlValue& value, double min, double max, ProblemList& problems
) {
    std::optional<double> seconds;
    if (value.node.IsScalar() && is_plain(value.node)) {
        seconds = parse_whole<double>(value.node.Scalar());
    }
    if (!seconds || !std::isfinite(*seconds)) {
        add_wrong_type(value, "a number of seconds", problems);
        return std::nullopt;
    }
    if (*seconds < min || *seconds > max) {
        problems.add(
            value.at,
            value.path,
            fmt::format("{} is not between {} and {} seconds", *seconds, min, max)
        );
        return std::nullopt;
    }
    auto ms = static_cast<std::int64_t>(std::llround(*seconds * 1000));
    return *seconds > 0 ? std::max<std::int64_t>(ms, 1) : ms;
}

std::optional<std::uint64_t> as_size(
    const YamlValue& value, std::uint64_t min, std::uint64_t max, ProblemList& problems
) {
    std::optional<std::uint64_t> bytes;
    if (value.node.IsScalar()) bytes = parse_size(value.node.Scalar());
    if (!bytes) {
        add_wrong_type(value, "a number of bytes, such as 65536 or 64KiB", problems);
    } else if (*bytes < min || *bytes > max) {
        problems.add(
            value.at, value.path, fmt::format("{} is not between {} and {} bytes", *bytes, min, max)
        );
        return std::nullopt;
    }
    return bytes;
}

std::vector<YamlValue> as_list(const YamlValue& value, ProblemList& problems) {
    std::vector<YamlValue> items;
    if (!value.node.IsSequence()) {
        add_wrong_type(value, "a list", problems);
        return items;
    }
    if (value.node.size() > kItemsMax) {
        problems.add(value.at, value.path, fmt::format("more than {} items", kItemsMax));
        return items;
    }
    for (const YAML::Node& item : value.node) {
        items.push_back(YamlValue{
            item, position_of(item.Mark()), fmt::format("{}[{}]", value.path, items.size())
        });
    }
    return items;
}

}  // namespace balancer::controlplane
