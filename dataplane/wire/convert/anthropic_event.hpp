// One event of Anthropic's stream, taken apart: views into a copy of its data.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"

namespace balancer::wire::convert {

// Insides of strings, unless it says raw. What the event does not have is empty.
struct AnthropicEvent {
    using Members = std::vector<std::pair<std::string_view, std::string_view>>;  // values raw

    std::string_view type;
    std::uint64_t index = 0;
    Members message;  // of message_start
    Members message_usage;
    Members block;              // of content_block_start
    std::string_view delta;     // the type of a content_block_delta's delta
    std::string_view text;      // text, thinking, signature or partial_json of the delta
    std::string_view citation;  // raw
    Members end;                // delta of message_delta
    Members usage;              // of message_delta
    bool is_error = false;

    // Keeps what it has allocated.
    void clear();
};

// `data` has kBodyPadding readable bytes behind it, and the views point into it.
Result<void> read_anthropic_event(JsonReader& reader, std::string_view data, AnthropicEvent& event);

std::string_view find_member(const AnthropicEvent::Members& members, std::string_view name);

}  // namespace balancer::wire::convert
