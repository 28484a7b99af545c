#include "base/utf8.hpp"

namespace balancer {

std::size_t utf8_size_at(std::string_view text, std::size_t at) {
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned char first = byte(at);
    if (first < 0x80) return 1;
    // By length and continuation bytes; overlong forms and surrogates too.
    std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
    if (size == 0 || first > 0xF4 || at + size > text.size()) return 0;
    for (std::size_t k = 1; k < size; ++k) {
        if ((byte(at + k) & 0xC0) != 0x80) return 0;
    }
    if (size == 2) return size;
    unsigned char second = byte(at + 1);
    bool bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
               (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
    return bad ? 0 : size;
}

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        std::size_t size = utf8_size_at(text, i);
        if (size == 0) return false;
        i += size;
    }
    return true;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    std::size_t end = bytes_max;
    for (int i = 0; i < 3 && end > 0; ++i, --end) {
        if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80) break;
    }
    return text.substr(0, end);
}

void cut_utf8(std::string& text, std::size_t bytes_max) { text.resize(utf8_prefix(text, bytes_max).size()); }

std::string to_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        std::size_t size = utf8_size_at(text, i);
        if (size == 0) {
            out.append("\xEF\xBF\xBD");
            ++i;
        } else {
            out.append(text.substr(i, size));
            i += size;
        }
    }
    return out;
}

}  // namespace balancer
