#include "dataplane/wire/convert/json_write.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace balancer::wire::convert {

void separate(std::string& out) {
    if (!out.empty() && out.back() != '{' && out.back() != '[' && out.back() != ':')
        out.push_back(',');
}

void open_member(std::string& out, std::string_view name) {
    separate(out);
    out.push_back('"');
    out.append(name);
    out.append("\":");
}

void raw_member(std::string& out, std::string_view name, std::string_view json) {
    open_member(out, name);
    out.append(json);
}

void inside_member(std::string& out, std::string_view name, std::string_view inside) {
    open_member(out, name);
    out.push_back('"');
    out.append(inside);
    out.push_back('"');
}

void text_member(std::string& out, std::string_view name, std::string_view text) {
    open_member(out, name);
    append_json_string(out, text);
}

void append_line(std::string& out, std::string_view json) {
    while (!json.empty()) {
        std::size_t end = std::min(json.find_first_of("\r\n"), json.size());
        out.append(json.substr(0, end));
        json.remove_prefix(std::min(end + 1, json.size()));
    }
}

void append_inside(std::string& out, std::string_view text) {
    // Runs of plain bytes at once: texts are long and escapes are rare.
    auto is_plain = [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x80 &&
               c != '"' && c != '\\';
    };
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t end = at;
        while (end < text.size() && is_plain(text[end])) ++end;
        out.append(text.substr(at, end - at));
        at = end;
        while (end < text.size() && !is_plain(text[end])) ++end;
        if (end == at) return;
        std::string quoted;
        append_json_string(quoted, text.substr(at, end - at));
        out.append(quoted, 1, quoted.size() - 2);
        at = end;
    }
}

}  // namespace balancer::wire::convert
