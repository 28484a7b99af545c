// Cutting UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace balancer {

// The beginning of `text`, `bytes_max` at most, and never half a character: protobuf refuses to send
// that on. Of what is no UTF-8 it takes off three bytes at most.
inline std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    std::size_t end = bytes_max;
    for (int i = 0; i < 3 && end > 0; ++i, --end) {
        if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80) break;
    }
    return text.substr(0, end);
}

inline void cut_utf8(std::string& text, std::size_t bytes_max) {
    text.resize(utf8_prefix(text, bytes_max).size());
}

}  // namespace balancer
