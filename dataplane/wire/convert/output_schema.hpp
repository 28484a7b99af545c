// Anthropic's rules for schemas that an answer is held to.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

// `schema`, an object, as Anthropic takes it: every object closed (`additionalProperties` false), and without bounds of
// numbers, lengths and counts, all of which make it refuse the request. Notes say what changed; no other member does.
// Reads a copy with the reader.
void append_output_schema(JsonReader& reader, std::string_view schema, Notes& notes, std::string& out);

}  // namespace balancer::wire::convert
