// JSON texts as they stand in a body. A string is handled as its inside, the bytes between its
// quotes with their escapes: it is copied from one body into another as it is, and is never decoded
// on the way.
#pragma once

#include <string>
#include <string_view>

namespace balancer::wire::convert {

// The bytes between the quotes of a JSON string; empty for anything else.
std::string_view inside_of(std::string_view raw);

bool is_json_number(std::string_view raw);

// Whether every backslash inside of a string begins a known escape.
bool has_good_escapes(std::string_view inside);

// The text that the inside of a string stands for. Surrogates without a partner become U+FFFD.
void append_unescaped(std::string& out, std::string_view inside);
std::string unescaped(std::string_view inside);

// Whether nothing but white space (escaped or not) is inside.
bool is_blank(std::string_view inside);

}  // namespace balancer::wire::convert
