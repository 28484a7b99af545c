#include "dataplane/wire/convert/event_reader.hpp"

#include "dataplane/wire/body_scan.hpp"

namespace balancer::wire::convert {
namespace {

// The value of the data line that begins at `at`, or nothing; moves `at` behind the line.
std::optional<std::string_view> next_data(std::string_view event, std::size_t& at) {
    while (at < event.size()) {
        std::size_t end = std::min(event.find('\n', at), event.size());
        std::string_view line = event.substr(at, end - at);
        at = end + 1;
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.starts_with("data:")) continue;
        line.remove_prefix(5);
        if (line.starts_with(' ')) line.remove_prefix(1);
        return line;
    }
    return std::nullopt;
}

}  // namespace

void EventReader::add(std::string_view bytes) {
    if (too_large_) return;
    bytes_.erase(0, read_);
    read_ = 0;
    bytes_.reserve(bytes_.size() + bytes.size() + kBodyPadding);
    bytes_.append(bytes);
}

std::optional<SseEvent> EventReader::next() {
    if (too_large_) return std::nullopt;
    std::string_view rest = std::string_view(bytes_).substr(read_);
    std::optional<SseEvent> event = splitter_.next(rest);
    if ((event ? event->size : rest.size()) > kEventBytesMax) {
        too_large_ = true;
        bytes_ = {};
        read_ = 0;
        return std::nullopt;
    }
    if (!event) return std::nullopt;
    read_ += event->size;
    return with_all_data(*event);
}

std::optional<SseEvent> EventReader::last() {
    bytes_.append("\n\n");
    bytes_.reserve(bytes_.size() + kBodyPadding);
    return next();
}

SseEvent EventReader::with_all_data(SseEvent event) {
    std::string_view text = std::string_view(bytes_).substr(read_ - event.size, event.size);
    std::size_t at = 0;
    std::optional<std::string_view> first = next_data(text, at);
    std::optional<std::string_view> more = next_data(text, at);
    if (!first || !more) return event;
    joined_.assign(*first);
    for (; more; more = next_data(text, at)) joined_.append("\n").append(*more);
    joined_.reserve(joined_.size() + kBodyPadding);
    event.data = joined_;
    return event;
}

}  // namespace balancer::wire::convert
