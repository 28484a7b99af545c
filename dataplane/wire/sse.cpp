#include "dataplane/wire/sse.hpp"

#include <array>
#include <cstring>
#include <utility>

namespace balancer::wire {
namespace {

// Where the event that begins at 0 ends, or 0. `from` lets a longer buffer go on where the last look stopped.
std::size_t find_border(std::string_view bytes, std::size_t from) {
    while (from < bytes.size()) {
        const void* found = std::memchr(bytes.data() + from, '\n', bytes.size() - from);
        if (found == nullptr) return 0;
        std::size_t at = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
        if (at + 1 < bytes.size() && bytes[at + 1] == '\n') return at + 2;
        if (at + 2 < bytes.size() && bytes[at + 1] == '\r' && bytes[at + 2] == '\n') return at + 3;
        from = at + 1;
    }
    return 0;
}

std::string_view field_value(std::string_view line, std::size_t name_bytes) {
    line.remove_prefix(name_bytes);
    if (line.starts_with(' ')) line.remove_prefix(1);
    return line;
}

SseKind kind_of(std::string_view type) {
    static constexpr std::array<std::pair<std::string_view, SseKind>, 4> kKinds = {{
        {"ping", SseKind::kPing},
        {"message_start", SseKind::kMessageStart},
        {"message_stop", SseKind::kMessageStop},
        {"error", SseKind::kError},
    }};
    for (const auto& [name, kind] : kKinds) {
        if (type == name) return kind;
    }
    return SseKind::kContent;
}

// Some servers send data lines only; the type is the first member of their JSON.
std::string_view type_in_data(std::string_view data) {
    std::string_view head = data.substr(0, 64);
    std::size_t at = head.find("\"type\"");
    if (at == std::string_view::npos) return {};
    at = data.find('"', at + 6);
    if (at == std::string_view::npos) return {};
    std::size_t end = data.find('"', at + 1);
    if (end == std::string_view::npos) return {};
    return data.substr(at + 1, end - at - 1);
}

}  // namespace

SseEvent read_event(std::string_view event) {
    SseEvent read;
    read.size = event.size();
    std::string_view name;
    bool has_data = false;
    while (!event.empty()) {
        std::size_t end = event.find('\n');
        std::string_view line = event.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with("event:")) {
            name = field_value(line, 6);
        } else if (line.starts_with("data:") && !has_data) {
            read.data = field_value(line, 5);
            has_data = true;
        }
        if (end == std::string_view::npos) break;
        event.remove_prefix(end + 1);
    }
    if (name.empty() && !has_data) {
        read.kind = SseKind::kComment;
    } else {
        read.kind = kind_of(name.empty() ? type_in_data(read.data) : name);
    }
    return read;
}

std::optional<SseEvent> SseSplitter::next(std::string_view bytes) {
    std::size_t end = find_border(bytes, scanned_);
    if (end == 0) {
        // The last two bytes may be the beginning of a border.
        scanned_ = bytes.size() > 2 ? bytes.size() - 2 : 0;
        return std::nullopt;
    }
    scanned_ = 0;
    return read_event(bytes.substr(0, end));
}

}  // namespace balancer::wire
