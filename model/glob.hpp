// Model patterns of routes: '*' stands for any run of characters, every other character for itself.
#pragma once

#include <string>
#include <string_view>

namespace balancer {

// Immutable. Matching is anchored at both ends and ignores ASCII case; linear in the name's length times the number
// of stars, without backtracking over more than the last star.
class Glob {
  public:
    explicit Glob(std::string_view pattern);

    bool matches(std::string_view name) const;

    // False: the pattern is a plain name.
    bool has_star() const { return has_star_; }

    const std::string& text() const { return text_; }

  private:
    std::string text_;
    std::string lower_;
    bool has_star_ = false;
};

}  // namespace balancer
