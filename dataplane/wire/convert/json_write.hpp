// JSON written from its front to its end into a string. Commas come by themselves: a member or an
// element that follows another one gets one.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace balancer::wire::convert {

// The comma before the next member or element, if one is needed.
void separate(std::string& out);

// `"name":`; the value follows.
void open_member(std::string& out, std::string_view name);

// A value that is JSON already.
void raw_member(std::string& out, std::string_view name, std::string_view json);

// A string whose inside is JSON already.
void inside_member(std::string& out, std::string_view name, std::string_view inside);

// A string of any bytes.
void text_member(std::string& out, std::string_view name, std::string_view text);

void number_member(std::string& out, std::string_view name, std::unsigned_integral auto value) {
    open_member(out, name);
    out.append(std::to_string(value));
}

// JSON without its line breaks, which an event of a stream must not hold. (Inside of strings there
// are none.)
void append_line(std::string& out, std::string_view json);

// What `text` looks like inside of a JSON string.
void append_inside(std::string& out, std::string_view text);

}  // namespace balancer::wire::convert
