// Server-sent events: split at event borders, and sorted by kind as the Messages API sends them (chat completions:
// convert/openai_events). No tree, no copy.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace balancer::wire {

enum class SseKind {
    kComment,       // no event and no data: `: keep-alive`
    kPing,
    kMessageStart,  // OpenAI: a chunk that says nothing yet
    kContent,       // content_block_*, message_delta, and whatever is not known: the answer has begun
    kFinish,        // OpenAI: content, with a finish_reason. A body that ends behind it is whole
    kMessageStop,   // OpenAI: [DONE]
    kError,
};

struct SseEvent {
    std::size_t size = 0;    // with the empty line that ends it
    SseKind kind = SseKind::kContent;
    std::string_view data;   // of the first data line
};

// Finds complete events at the front of a buffer that grows. Lines end in LF or CR LF.
class SseSplitter {
  public:
    // `bytes` begins where the last returned event ended, and only grows until the next one is found.
    std::optional<SseEvent> next(std::string_view bytes);

  private:
    std::size_t scanned_ = 0;  // bytes known to hold no event border
};

// `kind` and data of one whole event.
SseEvent read_event(std::string_view event);

}  // namespace balancer::wire
