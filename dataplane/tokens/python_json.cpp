#include "dataplane/tokens/python_json.hpp"

#include <fmt/format.h>
#include <utf8proc.h>

#include <iterator>

#include "dataplane/wire/convert/json_text.hpp"

namespace balancer::tokens {
namespace {

void append_unit(std::string& out, unsigned unit) { fmt::format_to(std::back_inserter(out), "\\u{:04x}", unit); }

void append_beyond_ascii(std::string& out, utf8proc_int32_t code) {
    if (code < 0x10000) return append_unit(out, static_cast<unsigned>(code));
    auto rest = static_cast<unsigned>(code) - 0x10000;
    append_unit(out, 0xD800 + (rest >> 10));
    append_unit(out, 0xDC00 + (rest & 0x3FF));
}

void append_ascii(std::string& out, char c) {
    switch (c) {
        case '"': out.append("\\\""); return;
        case '\\': out.append("\\\\"); return;
        case '\n': out.append("\\n"); return;
        case '\r': out.append("\\r"); return;
        case '\t': out.append("\\t"); return;
        case '\f': out.append("\\f"); return;
        case '\b': out.append("\\b"); return;
        default: break;
    }
    if (c >= 0x20) {
        out.push_back(c);
    } else {
        append_unit(out, static_cast<unsigned char>(c));
    }
}

void append_string(std::string& out, std::string_view inside) {
    std::string text;
    bool escaped = inside.find('\\') != inside.npos;
    if (escaped) wire::convert::append_unescaped(text, inside);
    std::string_view rest = escaped ? std::string_view(text) : inside;
    out.push_back('"');
    while (!rest.empty()) {
        if (static_cast<unsigned char>(rest[0]) < 0x80) {
            append_ascii(out, rest[0]);
            rest.remove_prefix(1);
            continue;
        }
        utf8proc_int32_t code = 0;
        utf8proc_ssize_t size = utf8proc_iterate(
            reinterpret_cast<const utf8proc_uint8_t*>(rest.data()), static_cast<utf8proc_ssize_t>(rest.size()), &code
        );
        append_beyond_ascii(out, size > 0 ? code : 0xFFFD);
        rest.remove_prefix(size > 0 ? static_cast<std::size_t>(size) : 1);
    }
    out.push_back('"');
}

// Behind the string's closing quote; `at` is its opening one.
std::size_t string_end(std::string_view json, std::size_t at) {
    for (++at; at < json.size() && json[at] != '"'; ++at) {
        if (json[at] == '\\') ++at;
    }
    return at + 1 < json.size() ? at + 1 : json.size();
}

}  // namespace

void append_python_json(std::string& out, std::string_view json) {
    for (std::size_t at = 0; at < json.size();) {
        char c = json[at];
        if (c == '"') {
            std::size_t end = string_end(json, at);
            append_string(out, wire::convert::inside_of(json.substr(at, end - at)));
            at = end;
            continue;
        }
        ++at;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
        out.push_back(c);
        if (c == ',' || c == ':') out.push_back(' ');
    }
}

}  // namespace balancer::tokens
