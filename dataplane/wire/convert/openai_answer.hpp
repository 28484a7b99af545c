// A chat completion, or one chunk of its stream, taken apart. Lenient: what has another type than
// it should is as good as absent, because real servers send nulls, empty strings and members of
// their own everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/usage.hpp"

namespace balancer::wire::convert {

// Insides of strings. In a stream each is a fragment.
struct OpenaiCall {
    std::optional<std::uint64_t> index;
    std::string_view id;
    std::string_view name;
    std::string_view arguments;
    std::string_view arguments_object;  // raw, from servers that send no text

    bool empty() const {
        return id.empty() && name.empty() && arguments.empty() && arguments_object.empty();
    }
};

struct OpenaiAnswer {
    bool has_choice = false;
    // The content is a whole message's. In a stream it repeats what has come in deltas: MiniMax sends
    // all of it once more at the end.
    bool is_whole_message = false;
    std::vector<std::string_view> texts;
    std::vector<std::string_view> reasoning;
    std::string_view refusal;
    std::vector<OpenaiCall> calls;
    std::string_view finish_reason;
    std::string_view stop_text;  // the stop sequence that was met, from servers that tell
    std::optional<Usage> usage;
    bool is_error = false;  // a member "error" that is not null, of the answer or its choice
    bool has_more = false;  // content of a kind that is not read here: audio, say

    bool has_content() const {
        return !texts.empty() || !reasoning.empty() || !refusal.empty() || !calls.empty();
    }

    // Keeps what it has allocated.
    void clear();
};

// `text` is copied: the views live until the reader's next copy. Only the first choice is read.
Result<void> read_openai_answer(JsonReader& reader, std::string_view text, OpenaiAnswer& answer);

// The same for one chunk of a stream, in place: `data` has kBodyPadding readable bytes behind it, and the views point into it.
Result<void> read_openai_chunk(JsonReader& reader, std::string_view data, OpenaiAnswer& chunk);

}  // namespace balancer::wire::convert
