// The events of a chat completion's stream, for who holds it back, ends it and looks for errors in it, and passes on its bytes.
#pragma once

#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"
#include "dataplane/wire/sse.hpp"

namespace balancer::wire::convert {

// The kind of an event that a SseSplitter has found. What cannot be read is content: it is the client's to judge. `chunk` is
// scratch memory; it holds what was read.
SseKind openai_event_kind(JsonReader& reader, const SseEvent& event, OpenaiAnswer& chunk);

// `[DONE]`, the data of the last event.
bool is_done_mark(std::string_view data);

}  // namespace balancer::wire::convert
