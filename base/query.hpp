// The query of a URL, taken apart and put together: application/x-www-form-urlencoded, as browsers write it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace balancer {

using QueryFields = std::vector<std::pair<std::string, std::string>>;

// Letters, digits and "-._~" as they are, a blank as '+', the rest as %XX.
std::string encode_query(const QueryFields& fields);

// Without the '?'. A field without '=' has an empty value; a '%' that no two hex digits follow stands for itself.
QueryFields parse_query(std::string_view query);

// '%XX' only: '+' is a plus, as in a path.
std::string percent_decoded(std::string_view text);

// The value of the first field of that name.
std::optional<std::string> find_query(const QueryFields& fields, std::string_view name);

}  // namespace balancer
