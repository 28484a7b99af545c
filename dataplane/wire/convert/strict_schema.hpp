// OpenAI's rules for schemas that an answer is held to.
#pragma once

#include <string_view>

#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

// Whether `schema` may go out with "strict": true. Every object has to require all of its properties
// and to take no others, every schema to say its type, a `$ref` to stand alone, and the outermost one
// must be no choice; OpenAI refuses the whole request else. Anthropic lets properties be optional.
// Reads a copy with the reader.
bool fits_strict(JsonReader& reader, std::string_view schema);

}  // namespace balancer::wire::convert
