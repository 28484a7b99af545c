#include "model/glob.hpp"

#include "base/ascii.hpp"

namespace balancer {
Glob::Glob(std::string_view pattern) : text_(pattern) {
    for (char c : pattern) {
        has_star_ = has_star_ || c == '*';
        lower_.push_back(to_lower(c));
    }
}

bool Glob::matches(std::string_view name) const {
    std::size_t p = 0;
    std::size_t n = 0;
    std::size_t after_star = std::string::npos;  // where to take up the pattern again
    std::size_t tried_from = 0;                  // where in the name the last star's run ends
    while (n < name.size()) {
        if (p < lower_.size() && lower_[p] == '*') {
            after_star = ++p;
            tried_from = n;
        } else if (p < lower_.size() && lower_[p] == to_lower(name[n])) {
            ++p;
            ++n;
        } else if (after_star != std::string::npos) {
            p = after_star;
            n = ++tried_from;
        } else {
            return false;
        }
    }
    while (p < lower_.size() && lower_[p] == '*') ++p;
    return p == lower_.size();
}

}  // namespace balancer
