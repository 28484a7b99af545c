// The one way a configuration's text is shown to somebody: secrets never appear.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace balancer::controlplane {

// Takes secrets out of configurations. What stands in their place is the same for the same secret,
// so that a diff shows a changed one, and tells nothing about it: the mark is keyed with random
// bytes of this process. References (`${NAME}`, `file:PATH`, `sealed:NAME`, `passthrough`) are shown. Lives with
// the control plane.
class YamlMask {
  public:
    YamlMask();

    // The text with comments and order, where every secret could be found in it; else written anew
    // from the tree, without comments. An error when it is not YAML.
    Result<std::string> mask(const std::string& yaml) const;

  private:
    std::string mark_of(std::string_view secret) const;

    std::string key_;
};

}  // namespace balancer::controlplane
