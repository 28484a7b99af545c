// Where in a body something stands, for errors: "messages.3.content.0".
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace balancer::wire::convert {

// Lives on the stack of who reads; `up` outlives it.
struct Place {
    const Place* up = nullptr;
    std::string_view name;
    std::size_t index = 0;  // when there is no name

    Place member(std::string_view of) const { return {this, of, 0}; }
    Place element(std::size_t at) const { return {this, {}, at}; }
    std::string text() const {
        std::string own = name.empty() ? fmt::format("{}", index) : std::string(name);
        return up == nullptr ? own : up->text() + "." + own;
    }
};

}  // namespace balancer::wire::convert
