// Binary formats of our own: little-endian numbers and names with their length in front, written and read with bounds.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.hpp"

namespace balancer {

template <std::unsigned_integral Number>
void put_number(std::string& out, Number number) {
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
        out.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
    }
}

// At most 65535 bytes.
inline void put_name(std::string& out, std::string_view name) {
    BALANCER_CHECK(name.size() <= std::numeric_limits<std::uint16_t>::max());
    put_number(out, static_cast<std::uint16_t>(name.size()));
    out.append(name);
}

// Takes from the front. Once too little was left, everything is empty or 0 and short_of() stays true. What it returns
// as views lives as long as the bytes that it was given.
class ByteReader {
  public:
    explicit ByteReader(std::string_view rest) : rest_(rest) {}

    std::string_view bytes(std::size_t count) {
        if (count > rest_.size()) {
            short_of_ = true;
            rest_ = {};
            return {};
        }
        std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }

    template <std::unsigned_integral Number>
    Number number() {
        Number value = 0;
        std::string_view raw = bytes(sizeof(Number));
        for (std::size_t i = 0; i < raw.size(); ++i) {
            value |= static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(raw[i])) << (8 * i));
        }
        return value;
    }

    std::string_view name() { return bytes(number<std::uint16_t>()); }

    bool short_of() const { return short_of_; }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
    bool short_of_ = false;
};

// Of lower-case hexadecimal digits; none when there is anything else in it, or half a byte.
inline std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    std::string bytes;
    bytes.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        int high = digit(hex[i]);
        int low = digit(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes.push_back(static_cast<char>(high * 16 + low));
    }
    return bytes;
}

}  // namespace balancer
