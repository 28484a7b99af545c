#include "base/query.hpp"

namespace balancer {
namespace {

bool is_plain(unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void append_encoded(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (is_plain(byte)) {
            out.push_back(c);
        } else if (c == ' ') {
            out.push_back('+');
        } else {
            out.push_back('%');
            out.push_back(kHex[byte >> 4]);
            out.push_back(kHex[byte & 15]);
        }
    }
}

std::string decoded(std::string_view text, bool plus_is_blank) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            int high = hex_value(text[i + 1]);
            int low = hex_value(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out.push_back(static_cast<char>(high * 16 + low));
                i += 2;
                continue;
            }
        }
        out.push_back(plus_is_blank && text[i] == '+' ? ' ' : text[i]);
    }
    return out;
}

}  // namespace

std::string encode_query(const QueryFields& fields) {
    std::string out;
    for (const auto& [name, value] : fields) {
        if (!out.empty()) out.push_back('&');
        append_encoded(out, name);
        out.push_back('=');
        append_encoded(out, value);
    }
    return out;
}

QueryFields parse_query(std::string_view query) {
    QueryFields fields;
    while (!query.empty()) {
        std::size_t end = query.find('&');
        std::string_view field = query.substr(0, end);
        query = end == query.npos ? std::string_view() : query.substr(end + 1);
        if (field.empty()) continue;
        std::size_t equals = field.find('=');
        std::string_view value = equals == field.npos ? std::string_view() : field.substr(equals + 1);
        fields.emplace_back(decoded(field.substr(0, equals), true), decoded(value, true));
    }
    return fields;
}

std::string percent_decoded(std::string_view text) {
    return decoded(text, false);
}

std::optional<std::string> find_query(const QueryFields& fields, std::string_view name) {
    for (const auto& [known, value] : fields) {
        if (known == name) return value;
    }
    return std::nullopt;
}

}  // namespace balancer
