#include "dataplane/wire/convert/openai_events.hpp"

#include <algorithm>

namespace balancer::wire::convert {
namespace {

bool says_something(const OpenaiAnswer& chunk) {
    bool called = std::any_of(chunk.calls.begin(), chunk.calls.end(), [](const OpenaiCall& call) {
        return !call.empty();
    });
    return called || !chunk.texts.empty() || !chunk.reasoning.empty() || !chunk.refusal.empty() || chunk.has_more;
}

}  // namespace

bool is_done_mark(std::string_view data) {
    data.remove_prefix(std::min(data.find_first_not_of(" \t\r\n"), data.size()));
    return data.substr(0, data.find_last_not_of(" \t\r\n") + 1) == "[DONE]";
}

SseKind openai_event_kind(JsonReader& reader, const SseEvent& event, OpenaiAnswer& chunk) {
    if (event.kind == SseKind::kComment || event.data.empty()) return SseKind::kComment;
    if (is_done_mark(event.data)) return SseKind::kMessageStop;
    Result<void> read = read_openai_answer(reader, event.data, chunk);
    if (event.kind == SseKind::kError || (read && chunk.is_error)) return SseKind::kError;
    if (!read) return SseKind::kContent;
    if (!chunk.finish_reason.empty()) return SseKind::kFinish;
    return says_something(chunk) ? SseKind::kContent : SseKind::kMessageStart;
}

}  // namespace balancer::wire::convert
