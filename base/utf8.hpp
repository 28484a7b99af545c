// Text of any origin, fit for protobuf, JSON and people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace balancer {

// How many bytes the character at `at` has; 0: what stands there is not well-formed (RFC 3629).
std::size_t utf8_size_at(std::string_view text, std::size_t at);

// All of it is well-formed.
bool is_utf8(std::string_view text);

// The beginning of `text`, `bytes_max` at most, and never half a character: protobuf refuses to send
// that on. Of what is no UTF-8 it takes off three bytes at most.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);
void cut_utf8(std::string& text, std::size_t bytes_max);

// A copy with U+FFFD in place of each byte that is not UTF-8.
std::string to_utf8(std::string_view text);

}  // namespace balancer
