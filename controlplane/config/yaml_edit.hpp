// A change of a YAML document that keeps the operator's comments wherever that can be done safely.
#pragma once

#include <string>

#include "base/result.hpp"
#include "controlplane/config/yaml_tree.hpp"

namespace balancer::controlplane {

// Every step is made twice: on the tree, which says what is meant, and on the text, which is then
// parsed and compared. From the first step on whose text does not say what is meant (flow style,
// anchors, block scalars, ...) the document is written anew from the tree, without comments. Lives
// for one edit. Paths lead to what there is: a wrong one is the caller's bug.
class YamlEdit {
  public:
    static Result<YamlEdit> begin(std::string yaml);

    const YamlTree& tree() const { return tree_; }

    // Sets the scalar under `key` of the map at `path`; a key that is not there becomes its last.
    void set_key(const YamlPath& path, const std::string& key, YamlTree scalar);
    // Nothing happens when there is no such key.
    void remove_key(const YamlPath& path, const std::string& key);
    // A new key with a list of maps of scalars.
    void add_list(const YamlPath& path, const std::string& key, YamlTree list);
    // `item` is a map of scalars.
    void append_item(const YamlPath& path, YamlTree item);
    void remove_item(const YamlPath& path, std::size_t index);

    // True when comments were lost.
    bool rewritten() const { return rewritten_; }

    // The whole document. An error when it cannot be written so that it says what is meant.
    Result<std::string> finish() const;

  private:
    YamlEdit(std::string yaml, YamlTree tree) : yaml_(std::move(yaml)), tree_(std::move(tree)) {}

    void take(std::optional<std::string> text);

    std::string yaml_;
    YamlTree tree_;
    bool rewritten_ = false;
};

}  // namespace balancer::controlplane
