#include "controlplane/config/yaml_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace balancer::controlplane {
namespace {

using Kind = YamlTree::Kind;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

// Whether quotes make another thing of this text: a number, a truth value, nothing.
bool reads_as_more_than_text(std::string_view text) {
    static constexpr std::array<std::string_view, 10> kWords = {
        "", "~", "null", "true", "false", "yes", "no", "on", "off", ".inf"};
    std::string word = lower(text);
    if (std::find(kWords.begin(), kWords.end(), word) != kWords.end()) return true;
    if (text[0] == '+' || text[0] == '-') text.remove_prefix(1);
    return !text.empty() && (text[0] == '.' || (text[0] >= '0' && text[0] <= '9'));
}

bool is_safe_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./+@").find(c) != std::string_view::npos;
}

// Without quotes, in a block as well as in a flow map.
bool may_stand_plain(std::string_view text) {
    if (text.empty() || text.front() == '-' || text.front() == '@') return false;
    if (text.back() == ':') return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return is_safe_char(c) || c == ':';
    });
}

std::string double_quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

struct Expansion {
    std::size_t nodes_left = kTreeNodesMax;
    bool too_much = false;

    YamlTree expand(const YAML::Node& node, unsigned depth) {
        YamlTree tree;
        if (nodes_left == 0 || depth > 200) {
            too_much = true;
            return tree;
        }
        --nodes_left;
        if (node.IsScalar()) {
            tree.kind = Kind::kScalar;
            tree.text = node.Scalar();
            tree.quoted = node.Tag() == "!";
            tree.at = static_cast<std::size_t>(std::max(node.Mark().pos, 0));
        } else if (node.IsSequence()) {
            tree.kind = Kind::kList;
            for (const YAML::Node& item : node) {
                if (too_much) break;
                tree.items.push_back(expand(item, depth + 1));
            }
        } else if (node.IsMap()) {
            tree.kind = Kind::kMap;
            for (const auto& pair : node) {
                if (too_much) break;
                std::string key = pair.first.IsScalar() ? pair.first.Scalar() : std::string("?");
                tree.entries.emplace_back(std::move(key), expand(pair.second, depth + 1));
            }
        }
        return tree;
    }
};

void emit(std::string& out, const YamlTree& tree, std::size_t indent);

// What follows a "key:" or "-" whose own line is not ended yet.
void emit_value(std::string& out, const YamlTree& tree, std::size_t indent) {
    if (tree.kind == Kind::kScalar) {
        out += ' ' + to_yaml_scalar(tree) + '\n';
    } else if (tree.kind == Kind::kNull) {
        out += " null\n";
    } else if (tree.kind == Kind::kList && tree.items.empty()) {
        out += " []\n";
    } else if (tree.kind == Kind::kMap && tree.entries.empty()) {
        out += " {}\n";
    } else {
        out += '\n';
        emit(out, tree, indent);
    }
}

void emit(std::string& out, const YamlTree& tree, std::size_t indent) {
    for (const auto& [key, value] : tree.entries) {
        out += std::string(indent, ' ') + to_yaml_scalar(plain_scalar(key)) + ':';
        emit_value(out, value, indent + 2);
    }
    for (const YamlTree& item : tree.items) {
        std::string block;
        emit_value(block, item, indent + 2);
        // The first line of a nested block moves up behind the dash.
        if (block.starts_with('\n')) block = ' ' + block.substr(indent + 3);
        out += std::string(indent, ' ') + '-' + block;
    }
}

}  // namespace

const YamlTree* YamlTree::find(std::string_view key) const {
    auto found = std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& entry) {
        return entry.key == key;
    });
    return found == entries.end() ? nullptr : &found->value;
}

YamlTree* YamlTree::find(std::string_view key) {
    return const_cast<YamlTree*>(std::as_const(*this).find(key));
}

// As MapReader reads it: of several maps the first one that has the key.
const YamlTree* YamlTree::find_merged(std::string_view key) const {
    for (const YamlEntry& entry : entries) {
        if (entry.key != "<<") continue;
        const YamlTree& merged = entry.value;
        auto under = [&](const YamlTree& map) {
            const YamlTree* own = map.find(key);
            return own != nullptr ? own : map.find_merged(key);
        };
        if (const YamlTree* found = under(merged)) return found;
        for (const YamlTree& each : merged.items) {
            if (const YamlTree* found = under(each)) return found;
        }
    }
    return nullptr;
}

bool operator==(const YamlTree& a, const YamlTree& b) {
    if (a.kind != b.kind || a.text != b.text) return false;
    if (a.quoted != b.quoted && reads_as_more_than_text(a.text)) return false;
    return a.items == b.items && a.entries == b.entries;
}

YamlTree plain_scalar(std::string text) {
    YamlTree tree;
    tree.kind = Kind::kScalar;
    tree.text = std::move(text);
    return tree;
}

YamlTree text_scalar(std::string text) {
    YamlTree tree = plain_scalar(std::move(text));
    tree.quoted = true;
    return tree;
}

YamlTree* find_path(YamlTree& root, const YamlPath& path) {
    YamlTree* at = &root;
    for (const YamlStep& step : path) {
        if (const auto* key = std::get_if<std::string>(&step)) {
            at = at->find(*key);
        } else {
            std::size_t index = std::get<std::size_t>(step);
            at = index < at->items.size() ? &at->items[index] : nullptr;
        }
        if (at == nullptr) return nullptr;
    }
    return at;
}

Result<YamlTree> parse_yaml_tree(const std::string& yaml) {
    try {
        Expansion expansion;
        YamlTree tree = expansion.expand(YAML::Load(yaml), 0);
        if (expansion.too_much) return invalid("its aliases expand to more than can be edited");
        return tree;
    } catch (const YAML::Exception& error) {
        // The library's own words may quote the text, secrets and all.
        return invalid(fmt::format("it is not valid YAML (line {})", error.mark.line + 1));
    }
}

std::string to_yaml(const YamlTree& tree) {
    std::string out;
    if (tree.kind == Kind::kList || tree.kind == Kind::kMap) {
        emit(out, tree, 0);
    } else {
        emit_value(out, tree, 0);
    }
    return out;
}

std::string to_yaml_scalar(const YamlTree& scalar) {
    bool must_quote = scalar.quoted && reads_as_more_than_text(scalar.text);
    if (!must_quote && may_stand_plain(scalar.text)) return scalar.text;
    // A plain scalar that begins like a number and holds what is not safe cannot be one.
    return double_quoted(scalar.text);
}

}  // namespace balancer::controlplane
