#include "base/html_page.hpp"

#include <fmt/format.h>

#include "base/utf8.hpp"

namespace balancer {

std::string html_text(std::string_view text) {
    std::string out;
    for (char c : to_utf8(text)) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out.push_back(c);
        }
    }
    return out;
}

std::string html_page(std::string_view title, std::string_view words) {
    return fmt::format(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>"
        "<style>body{{font:16px/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em}}</style></head>"
        "<body><h1>{0}</h1><p>{1}</p></body></html>\n",
        html_text(title),
        html_text(words)
    );
}

}  // namespace balancer
