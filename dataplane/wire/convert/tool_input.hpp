// The arguments of a tool call: a text that ought to be a JSON object, and the object that
// Anthropic's format wants.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

enum class ArgumentsKind { kNone, kObject, kOtherJson, kBroken };

// Of a whole text, not escaped. Reads a copy with the reader.
ArgumentsKind kind_of_arguments(JsonReader& reader, std::string_view text);

// Appends an object whatever the text is: `{}` for nothing, `{"value":…}` for other JSON, and
// `{"error_parsing_arguments":"…"}` for what is none: the tool then refuses it, and the model sees
// what it wrote.
void append_tool_input(JsonReader& reader, std::string_view text, std::string& out);

// The id of a call as Anthropic takes it, unique in a conversation: letters, digits, `_` and `-`.
// Ids of other characters, and short ones that come again in every answer, are replaced by one made
// of the message's id. Insides of strings.
std::string anthropic_tool_id(std::string_view id, std::string_view message_id, std::size_t at);

}  // namespace balancer::wire::convert
