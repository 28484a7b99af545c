// An issuer's mark before the signatures of thinking in an answer of the Messages API, so that its blocks are known when
// they come back in a request (foreign_thinking.hpp takes the mark off again). No other byte changes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/sse.hpp"

namespace balancer::wire::convert {

// A whole message, or whatever else it is: what cannot be read is appended as it is.
void mark_message(JsonReader& reader, std::string_view body, std::string_view mark, std::string& out);

// The same for a stream. One answer, on one worker; `reader` and `mark` outlive it.
class SignatureMarker {
  public:
    static constexpr std::size_t kEventBytesMax = 8U << 20;

    SignatureMarker(JsonReader& reader, std::string_view mark) : reader_(reader), mark_(mark) {}

    // Bytes of the stream, in pieces of any size. Appends whole events to `out`. False: one is too large.
    bool feed(std::string_view bytes, std::string& out);
    // What is left is no event.
    void end(std::string& out);

  private:
    void put(std::string_view event, const SseEvent& read, std::string& out);

    JsonReader& reader_;
    const std::string_view mark_;
    SseSplitter splitter_;
    std::string held_;
    std::string data_;           // of one event, with padding
    bool unsigned_block_ = false;  // a thinking block is open, and no signature of it has come
};

}  // namespace balancer::wire::convert
