// ASCII case, as HTTP and model names need it; no locale.
#pragma once

#include <string>
#include <string_view>

namespace balancer {

inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = to_lower(c);
    return out;
}

}  // namespace balancer
