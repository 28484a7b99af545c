// What an assistant says, cut into pieces: shared by the dialects. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/script.hpp"

namespace balancer::tests {

std::string text_of(const MessageSpec& spec);

// Pieces of `bytes` each (0: a word and the space behind it), never inside a UTF-8 character.
std::vector<std::string> split_text(std::string_view text, std::size_t bytes);

unsigned output_tokens(const MessageSpec& spec, std::string_view text);

}  // namespace balancer::tests
