// Event streams: any split and both line ends give the same events.
#include "dataplane/wire/sse.hpp"

#include "base/check.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

struct Event {
    std::size_t size = 0;
    wire::SseKind kind = wire::SseKind::kComment;
    std::string data;
    bool operator==(const Event&) const = default;
};

// Events of a buffer that grows by `step`, as a connection's does.
std::vector<Event> split(std::string_view bytes, std::size_t step) {
    wire::SseSplitter splitter;
    std::vector<Event> events;
    std::size_t from = 0;
    for (std::size_t have = 0; have < bytes.size();) {
        have = have + step < bytes.size() ? have + step : bytes.size();
        while (auto event = splitter.next(bytes.substr(from, have - from))) {
            std::string_view raw = bytes.substr(from, event->size);
            BALANCER_CHECK(event->size > 0 && raw.size() == event->size && raw.ends_with('\n'));
            BALANCER_CHECK(raw.find(event->data) != std::string_view::npos);
            events.push_back({event->size, event->kind, std::string(event->data)});
            from += event->size;
        }
    }
    return events;
}

std::string with_crlf(std::string_view bytes) {
    std::string out;
    for (char c : bytes) {
        if (c == '\n') out.push_back('\r');
        out.push_back(c);
    }
    return out;
}

}  // namespace

void sse(std::string_view bytes) {
    std::vector<Event> whole = split(bytes, bytes.size());
    BALANCER_CHECK(split(bytes, 1) == whole);
    BALANCER_CHECK(split(bytes, 1 + bytes.size() % 11) == whole);
    if (bytes.find('\r') != std::string_view::npos) return;
    std::string crlf = with_crlf(bytes);
    std::vector<Event> same = split(crlf, 1 + bytes.size() % 5);
    BALANCER_CHECK(same.size() == whole.size());
    for (std::size_t i = 0; i < same.size(); ++i) {
        BALANCER_CHECK(same[i].kind == whole[i].kind && same[i].data == whole[i].data);
    }
}

}  // namespace balancer::fuzz
