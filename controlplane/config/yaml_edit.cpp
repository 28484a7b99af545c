#include "controlplane/config/yaml_edit.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "controlplane/config/yaml_text.hpp"

namespace balancer::controlplane {
namespace {

YamlTree& at(YamlTree& root, const YamlPath& path) {
    YamlTree* found = find_path(root, path);
    BALANCER_CHECK(found != nullptr);
    return *found;
}

}  // namespace

Result<YamlEdit> YamlEdit::begin(std::string yaml) {
    Result<YamlTree> tree = parse_yaml_tree(yaml);
    if (!tree) return tree.error();
    return YamlEdit(std::move(yaml), *std::move(tree));
}

void YamlEdit::set_key(const YamlPath& path, const std::string& key, YamlTree scalar) {
    std::optional<std::string> text;
    if (!rewritten_) text = controlplane::set_key(yaml_, path, key, scalar);
    YamlTree& map = at(tree_, path);
    if (YamlTree* known = map.find(key); known != nullptr) {
        *known = std::move(scalar);
    } else {
        map.entries.emplace_back(key, std::move(scalar));
    }
    take(std::move(text));
}

void YamlEdit::remove_key(const YamlPath& path, const std::string& key) {
    YamlTree& map = at(tree_, path);
    if (map.find(key) == nullptr) return;
    std::erase_if(map.entries, [&](const YamlEntry& entry) { return entry.key == key; });
    if (!rewritten_) take(controlplane::remove_key(yaml_, path, key));
}

void YamlEdit::add_list(const YamlPath& path, const std::string& key, YamlTree list) {
    std::optional<std::string> text;
    if (!rewritten_) text = controlplane::add_list(yaml_, path, key, list);
    at(tree_, path).entries.emplace_back(key, std::move(list));
    take(std::move(text));
}

void YamlEdit::append_item(const YamlPath& path, YamlTree item) {
    std::optional<std::string> text;
    if (!rewritten_) text = controlplane::append_item(yaml_, path, item);
    at(tree_, path).items.push_back(std::move(item));
    take(std::move(text));
}

void YamlEdit::remove_item(const YamlPath& path, std::size_t index) {
    std::vector<YamlTree>& items = at(tree_, path).items;
    BALANCER_CHECK(index < items.size());
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(index));
    if (!rewritten_) take(controlplane::remove_item(yaml_, path, index));
}

void YamlEdit::take(std::optional<std::string> text) {
    if (rewritten_) return;
    if (text) {
        Result<YamlTree> said = parse_yaml_tree(*text);
        if (said && *said == tree_) {
            yaml_ = *std::move(text);
            return;
        }
    }
    rewritten_ = true;
}

Result<std::string> YamlEdit::finish() const {
    if (!rewritten_) return yaml_;
    std::string yaml = to_yaml(tree_);
    Result<YamlTree> said = parse_yaml_tree(yaml);
    if (said && *said == tree_) return yaml;
    return invalid(
        "the configuration is written in a way that cannot be changed from here: edit the file"
    );
}

}  // namespace balancer::controlplane
