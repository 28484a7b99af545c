// The members of a JSON object as texts: what is passed on without being understood.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {

// In the order in which they came. Names are searched for one by one, so there is a bound: whoever
// fills one with what came from outside looks at full().
class MemberList {
  public:
    static constexpr std::size_t kMembersMax = 500;

    bool full() const { return members_.size() >= kMembersMax; }

    // Replaces the value of a name that is there already.
    void set(std::string_view name, std::string_view raw) {
        for (auto& [known, value] : members_) {
            if (known != name) continue;
            value = raw;
            return;
        }
        members_.emplace_back(name, raw);
    }

    // Empty: not there.
    std::string_view get(std::string_view name) const {
        for (const auto& [known, value] : members_) {
            if (known == name) return value;
        }
        return {};
    }

    // As an object, on one line.
    void append(std::string& out) const {
        out.push_back('{');
        for (const auto& [name, value] : members_) {
            open_member(out, name);
            append_line(out, value);
        }
        out.push_back('}');
    }

  private:
    std::vector<std::pair<std::string, std::string>> members_;
};

}  // namespace balancer::wire::convert
