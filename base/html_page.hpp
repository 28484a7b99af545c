// Pages for browsers. Nothing in them comes from anywhere else, and no script runs: whoever serves them says so in a header.
#pragma once

#include <string>
#include <string_view>

namespace balancer {

// Safe as an element's text, and as an attribute's value in quotes. UTF-8, whatever the bytes were.
std::string html_text(std::string_view text);

// A whole page; the words are texts.
std::string html_page(std::string_view title, std::string_view words);

}  // namespace balancer
