// The events of a stream, as its bytes come in.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/wire/sse.hpp"

namespace balancer::wire::convert {

// A larger one is no event of a language model.
inline constexpr std::size_t kEventBytesMax = 8U << 20;

// Holds what has not been read yet, at most one event and the bytes of the last `add`.
class EventReader {
  public:
    void add(std::string_view bytes);

    // The next whole event; its data, the lines of all data fields, lives until the next call and has kBodyPadding readable
    // bytes behind it.
    std::optional<SseEvent> next();

    // What the stream's end cut off, taken as an event if there is anything.
    std::optional<SseEvent> last();

    // More than kEventBytesMax without an event's end, or in one event. Nothing comes any more.
    bool too_large() const { return too_large_; }

  private:
    SseEvent with_all_data(SseEvent event);

    SseSplitter splitter_;
    std::string bytes_;
    std::size_t read_ = 0;
    std::string joined_;
    bool too_large_ = false;
};

}  // namespace balancer::wire::convert
