#include "controlplane/config/mask_yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>

#include "base/file.hpp"
#include "base/redact.hpp"
#include "controlplane/config/sealed_key.hpp"
#include "controlplane/config/yaml_text.hpp"

namespace balancer::controlplane {
namespace {

// Wherever they stand: a map that is merged from an anchor may stand anywhere.
constexpr std::array<std::string_view, 10> kSecretKeys = {
    "auth_value",
    "api_key",
    "auth_api_key",
    "key",
    "password",
    "secret",
    "token",
    "authorization",
    "x-api-key",
    "auth_token",
};

bool is_secret_key(std::string_view key) {
    return std::find(kSecretKeys.begin(), kSecretKeys.end(), key) != kSecretKeys.end();
}

// Nothing but the names of variables, a file, a sealed record, or what is no secret: "${A}", "file:/run/key",
// "sealed:a.1".
bool is_reference(std::string_view text) {
    if (text.empty() || text == "passthrough" || text.starts_with("file:")) return true;
    if (std::optional<std::string> name = sealed_name(text)) return is_sealed_name(*name);
    while (text.starts_with("${")) {
        std::size_t close = text.find('}');
        if (close == std::string_view::npos) return false;
        text.remove_prefix(close + 1);
    }
    return text.empty();
}

bool is_secret(std::string_view parent, std::string_view key, const YamlTree& value) {
    if (value.kind != YamlTree::Kind::kScalar || is_reference(value.text)) return false;
    if (key == "proxy") return value.text.find('@') != std::string::npos;
    return parent == "headers" || is_secret_key(key);
}

// A shorter one is found in other words by chance.
constexpr std::size_t kShort = 6;

// Which scalars are secret: those under a secret key, and the same elsewhere (an anchor, a copy).
struct Secrets {
    std::set<std::size_t> places;
    std::set<std::string> texts;

    void collect(const YamlTree& tree, std::string_view parent, std::string_view key) {
        for (const auto& [name, value] : tree.entries) {
            take(value, key, name);
            collect(value, key, name);
        }
        for (const YamlTree& item : tree.items) {
            take(item, parent, key);
            collect(item, parent, key);
        }
    }

    void take(const YamlTree& value, std::string_view parent, std::string_view key) {
        if (!is_secret(parent, key, value)) return;
        places.insert(value.at);
        texts.insert(value.text);
    }

    bool concern(const YamlTree& scalar) const {
        if (scalar.kind != YamlTree::Kind::kScalar) return false;
        if (places.contains(scalar.at)) return true;
        return scalar.text.size() >= kShort && texts.contains(scalar.text);
    }

    bool stand_in(const std::string& text) const {
        return std::any_of(texts.begin(), texts.end(), [&](const std::string& secret) {
            return secret.size() >= kShort && text.find(secret) != std::string::npos;
        });
    }
};

void each_scalar(YamlTree& tree, const std::function<void(YamlTree&)>& visit) {
    if (tree.kind == YamlTree::Kind::kScalar) visit(tree);
    for (auto& [name, value] : tree.entries) each_scalar(value, visit);
    for (YamlTree& item : tree.items) each_scalar(item, visit);
}

// With each range that begins at one of `marks` replaced by the mark. May say something else than
// was meant: the caller looks.
std::string replaced(const std::string& yaml, const std::map<std::size_t, std::string>& marks) {
    std::string out;
    std::size_t done = 0;
    for (const auto& [at, mark] : marks) {
        std::optional<TextRange> range = scalar_range(yaml, at);
        if (!range || range->begin < done) continue;
        out += yaml.substr(done, range->begin - done);
        out += '"' + mark + '"';
        done = range->end;
    }
    return out + yaml.substr(std::min(done, yaml.size()));
}

// A comment may hold an old key. What looks like a comment but stands in quotes is only shown with
// what looks like a secret taken out.
std::string without_secrets_in_comments(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        std::size_t mark = line.starts_with('#') ? 0 : std::min(line.find(" #"), line.size());
        out += line.substr(0, mark);
        out += redact(line.substr(mark));
        if (end < text.size()) out += '\n';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

}  // namespace

YamlMask::YamlMask() : key_(random_hex(32)) {}

std::string YamlMask::mark_of(std::string_view secret) const {
    return fmt::format("[redacted {}]", fingerprint(key_ + std::string(secret)));
}

Result<std::string> YamlMask::mask(const std::string& yaml) const {
    Result<YamlTree> tree = parse_yaml_tree(yaml);
    if (!tree) return tree.error();
    Secrets secrets;
    secrets.collect(*tree, "", "");
    std::map<std::size_t, std::string> marks;
    each_scalar(*tree, [&](YamlTree& scalar) {
        if (!secrets.concern(scalar)) return;
        scalar.text = mark_of(scalar.text);
        scalar.quoted = true;
        marks[scalar.at] = scalar.text;
    });
    std::string text = without_secrets_in_comments(replaced(yaml, marks));
    Result<YamlTree> shown = parse_yaml_tree(text);
    if (shown && *shown == *tree && !secrets.stand_in(text)) return text;
    return "# comments are left out: the secrets could not be told from the rest of the text\n" +
           to_yaml(*tree);
}

}  // namespace balancer::controlplane
