#include "dataplane/wire/convert/json_text.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace balancer::wire::convert {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The four digits behind `\u`, or -1.
int code_unit(std::string_view digits) {
    if (digits.size() < 4) return -1;
    int unit = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        int digit = hex_digit(digits[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

char simple_escape(char c) {
    switch (c) {
        case '"':
        case '\\':
        case '/':
            return c;
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return '\0';
    }
}

void append_utf8(std::string& out, std::uint32_t code) {
    auto byte = [&out](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xC0 | code >> 6);
        byte(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        byte(0xE0 | code >> 12);
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    } else {
        byte(0xF0 | code >> 18);
        byte(0x80 | (code >> 12 & 0x3F));
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    }
}

// The next one from `at` on, or the size. Source code has an escape every dozen bytes, prose hardly any: the next few bytes are
// looked at eight at a time, without a call; the rest by memchr.
std::size_t find_backslash(std::string_view text, std::size_t at) {
    constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
    constexpr std::size_t kNear = 48;
    const std::size_t near_end = text.size() - at > kNear ? at + kNear : at;
    for (; at < near_end; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + at, 8);
        word ^= kOnes * '\\';
        // The lowest byte that is zero now has its top bit set; higher ones may be wrong.
        std::uint64_t zeros = (word - kOnes) & ~word & (kOnes << 7);
        if (zeros == 0) continue;
        static_assert(std::endian::native == std::endian::little);
        return at + static_cast<std::size_t>(std::countr_zero(zeros)) / 8;
    }
    const void* found = std::memchr(text.data() + at, '\\', text.size() - at);
    if (found == nullptr) return text.size();
    return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

// The code point of an escape whose digits begin at `at`; moves `at` behind it.
std::uint32_t read_code_point(std::string_view inside, std::size_t& at) {
    int first = code_unit(inside.substr(at));
    if (first < 0) return kReplacement;
    at += 4;
    if (first < 0xD800 || first > 0xDFFF) return static_cast<std::uint32_t>(first);
    if (first > 0xDBFF || !inside.substr(at).starts_with("\\u")) return kReplacement;
    int second = code_unit(inside.substr(at + 2));
    if (second < 0xDC00 || second > 0xDFFF) return kReplacement;
    at += 6;
    return 0x10000 + (static_cast<std::uint32_t>(first - 0xD800) << 10) +
           static_cast<std::uint32_t>(second - 0xDC00);
}

}  // namespace

std::string_view inside_of(std::string_view raw) {
    if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"') return {};
    return raw.substr(1, raw.size() - 2);
}

bool is_json_number(std::string_view raw) {
    std::size_t at = 0;
    auto digits = [&] {
        std::size_t begin = at;
        while (at < raw.size() && raw[at] >= '0' && raw[at] <= '9') ++at;
        return at > begin;
    };
    auto skip = [&](char c) {
        if (at >= raw.size() || raw[at] != c) return false;
        ++at;
        return true;
    };
    skip('-');
    if (!skip('0') && !digits()) return false;
    if (skip('.') && !digits()) return false;
    if (skip('e') || skip('E')) {
        if (!skip('+')) skip('-');
        if (!digits()) return false;
    }
    return at == raw.size();
}

bool has_good_escapes(std::string_view inside) {
    std::size_t at = 0;
    while (at < inside.size()) {
        at = find_backslash(inside, at) + 1;
        if (at > inside.size()) return true;
        if (at >= inside.size()) return false;
        if (inside[at] == 'u') {
            if (code_unit(inside.substr(at + 1)) < 0) return false;
            at += 5;
        } else if (simple_escape(inside[at++]) == '\0') {
            return false;
        }
    }
    return true;
}

void append_unescaped(std::string& out, std::string_view inside) {
    std::size_t at = 0;
    while (at < inside.size()) {
        std::size_t end = std::min(inside.find('\\', at), inside.size());
        out.append(inside.substr(at, end - at));
        at = end + 1;
        if (at >= inside.size()) return;
        char kind = inside[at++];
        if (kind == 'u') {
            append_utf8(out, read_code_point(inside, at));
        } else if (char plain = simple_escape(kind); plain != '\0') {
            out.push_back(plain);
        }
    }
}

std::string unescaped(std::string_view inside) {
    std::string out;
    append_unescaped(out, inside);
    return out;
}

bool is_blank(std::string_view inside) {
    for (std::size_t at = 0; at < inside.size(); ++at) {
        char c = inside[at];
        if (c == ' ') continue;
        if (c != '\\' || at + 1 >= inside.size()) return false;
        c = inside[++at];
        if (c != 'n' && c != 'r' && c != 't') return false;
    }
    return true;
}

}  // namespace balancer::wire::convert
