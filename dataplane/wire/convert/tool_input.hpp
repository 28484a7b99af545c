// The arguments of a tool call: a text that ought to be a JSON object, and the object that
// Anthropic's format wants.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

enum class ArgumentsKind { kNone, kObject, kOtherJson, kBroken };

// Of a whole text, not escaped. Reads a copy with the reader.
ArgumentsKind kind_of_arguments(JsonReader& reader, std::string_view text);

// Appends an object whatever the text is: `{}` for nothing, `{"value":…}` for other JSON, and
// `{"error_parsing_arguments":"…"}` for what is none: the tool then refuses it, and the model sees
// what it wrote.
void append_tool_input(JsonReader& reader, std::string_view text, std::string& out);

// The ids of one answer's calls as Anthropic takes them, each once in a conversation: letters,
// digits, `_` and `-`. Ids of other characters, short ones, which come again in every answer, and
// those that an earlier call has are replaced by one made of the message's id. Insides of strings.
class AnthropicToolIds {
  public:
    // `message_id` outlives this.
    explicit AnthropicToolIds(std::string_view message_id) : message_id_(message_id) {}

    // Of the next call.
    std::string next(std::string_view id);

  private:
    std::string_view message_id_;
    std::size_t calls_ = 0;
    std::unordered_set<std::string> used_;
};

}  // namespace balancer::wire::convert
