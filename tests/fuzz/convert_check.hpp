// What the targets of the conversions check with.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.hpp"
#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::fuzz {

inline wire::convert::JsonReader& converting_reader() {
    static wire::convert::JsonReader reader;
    return reader;
}

// Whether nlohmann::json can judge what is made of `input`: it refuses halves of surrogate pairs
// and numbers that no double holds, which are passed on as they are.
inline bool is_for_full_parser(std::string_view input) {
    if (input.find("\\u") != std::string_view::npos) return false;
    for (std::size_t i = 1; i < input.size(); ++i) {
        bool exponent = input[i] == 'e' || input[i] == 'E';
        if (exponent && input[i - 1] >= '0' && input[i - 1] <= '9') return false;
    }
    return input.size() < 300 || input.find_first_of("0123456789") == std::string_view::npos ||
           input.find(std::string(300, '0')) == std::string_view::npos;
}

inline void check_well_formed(std::string_view made, std::string_view input) {
    wire::convert::JsonKind kind = wire::convert::JsonKind::kNull;
    std::string_view raw;
    BALANCER_CHECK(converting_reader().walk().read_one(made, kind, raw));
    BALANCER_CHECK(kind == wire::convert::JsonKind::kObject && raw.size() == made.size());
    if (is_for_full_parser(input)) BALANCER_CHECK(nlohmann::json::accept(made));
}

}  // namespace balancer::fuzz
