#include "dataplane/wire/convert/stream_to_openai.hpp"

#include <utility>

#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/stop_reason.hpp"
#include "dataplane/wire/openai_error.hpp"

namespace balancer::wire::convert {

StreamToOpenai::StreamToOpenai(JsonReader& reader, ToOpenaiAnswerOptions options)
    : reader_(reader), options_(std::move(options)) {}

void StreamToOpenai::feed(std::string_view bytes, std::string& out) {
    if (state_.over()) return;
    input_.add(bytes);
    while (!state_.over()) {
        std::optional<SseEvent> event = input_.next();
        if (!event) break;
        read(*event, out);
    }
    if (input_.too_large())
        break_off(StreamFault::kTooLarge, "The provider sent an event over 8 MiB", out);
}

void StreamToOpenai::end(std::string& out) {
    if (state_.over()) return;
    ended_ = true;
    if (std::optional<SseEvent> event = input_.last()) read(*event, out);
    break_off(StreamFault::kCut, "The provider's stream ended before its answer did", out);
}

void StreamToOpenai::fail(StreamFault fault, LocalError error, std::string& out) {
    if (state_.over()) return;
    state_.fault = fault;
    state_.error = std::move(error);
    if (state_.begun) out.append(error_event(Format::kOpenai, state_.error, options_.request_id));
}

void StreamToOpenai::break_off(StreamFault fault, std::string_view why, std::string& out) {
    LocalError error;
    error.status = 502;
    error.type = "api_error";
    error.message = why;
    fail(fault, std::move(error), out);
}

void StreamToOpenai::read(const SseEvent& event, std::string& out) {
    if (event.kind == SseKind::kComment || event.kind == SseKind::kPing || event.data.empty())
        return;
    Result<void> good = read_anthropic_event(reader_, event.data, event_);
    if (event.kind == SseKind::kError || (good && event_.is_error)) {
        return fail(StreamFault::kProviderError, anthropic_error(200, event.data), out);
    }
    if (!good) {
        if (ended_) return;  // half an event
        return break_off(
            StreamFault::kMalformed, "The provider sent an event that is no JSON object", out
        );
    }
    take(out);
}

void StreamToOpenai::take(std::string& out) {
    for (const auto* counts : {&event_.message_usage, &event_.usage}) {
        for (const auto& [name, raw] : *counts) {
            take_anthropic_count(state_.usage, name, raw);
            state_.has_usage = true;
        }
    }
    if (event_.type == "message_start") {
        started_ = true;
    } else if (!started_) {
        break_off(
            StreamFault::kMalformed, "The provider's stream does not begin with message_start", out
        );
    } else if (event_.type == "content_block_start") {
        start_block(out);
    } else if (event_.type == "content_block_delta") {
        add_delta(out);
    } else if (event_.type == "content_block_stop") {
        stop_block(out);
    } else if (event_.type == "message_delta") {
        std::string_view reason = inside_of(find_member(event_.end, "stop_reason"));
        if (!reason.empty()) stop_reason_ = reason;
    } else if (event_.type == "message_stop") {
        complete(out);
    }
}

void StreamToOpenai::open_chunk(std::string& out) {
    out.append("data: {");
    text_member(out, "id", options_.completion_id);
    inside_member(out, "object", "chat.completion.chunk");
    number_member(out, "created", options_.created);
    text_member(out, "model", options_.model);
    out.append(",\"choices\":[{\"index\":0,\"delta\":{");
}

// `finish_reason` is empty in all but the last one.
void StreamToOpenai::close_chunk(std::string& out, std::string_view finish_reason) {
    out.append("},\"logprobs\":null");
    if (finish_reason.empty()) {
        raw_member(out, "finish_reason", "null");
    } else {
        inside_member(out, "finish_reason", finish_reason);
    }
    out.append(options_.include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n");
}

void StreamToOpenai::begin(std::string& out) {
    if (state_.begun) return;
    state_.begun = true;
    open_chunk(out);
    out.append("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
    close_chunk(out, {});
}

void StreamToOpenai::text_chunk(
    std::string& out, std::string_view member, std::string_view inside
) {
    if (inside.empty()) return;
    begin(out);
    open_chunk(out);
    inside_member(out, member, inside);
    close_chunk(out, {});
}

void StreamToOpenai::arguments_chunk(std::string& out, std::string_view inside) {
    if (inside.empty()) return;
    has_arguments_ = true;
    open_chunk(out);
    out.append("\"tool_calls\":[{");
    number_member(out, "index", calls_ - 1);
    out.append(",\"function\":{");
    inside_member(out, "arguments", inside);
    out.append("}}]");
    close_chunk(out, {});
}

void StreamToOpenai::start_block(std::string& out) {
    std::string_view type = inside_of(find_member(event_.block, "type"));
    in_tool_ = type == "tool_use";
    if (type == "text") text_chunk(out, "content", inside_of(find_member(event_.block, "text")));
    if (!in_tool_) return;
    begin(out);
    has_arguments_ = false;
    open_chunk(out);
    out.append("\"tool_calls\":[{");
    number_member(out, "index", calls_++);
    inside_member(out, "id", inside_of(find_member(event_.block, "id")));
    out.append(",\"type\":\"function\",\"function\":{");
    inside_member(out, "name", inside_of(find_member(event_.block, "name")));
    out.append(",\"arguments\":\"\"}}]");
    close_chunk(out, {});
    // Some providers send the whole input at once, where Anthropic sends an empty object.
    std::string_view input = find_member(event_.block, "input");
    if (input.find('"') == std::string_view::npos) return;
    std::string inside;
    append_inside(inside, input);
    arguments_chunk(out, inside);
}

void StreamToOpenai::add_delta(std::string& out) {
    if (event_.delta == "text_delta") {
        text_chunk(out, "content", event_.text);
    } else if (event_.delta == "thinking_delta") {
        text_chunk(out, "reasoning_content", event_.text);
    } else if (event_.delta == "input_json_delta" && in_tool_) {
        arguments_chunk(out, event_.text);
    }
}

void StreamToOpenai::stop_block(std::string& out) {
    if (in_tool_ && !has_arguments_) arguments_chunk(out, "{}");
    in_tool_ = false;
}

void StreamToOpenai::complete(std::string& out) {
    begin(out);
    open_chunk(out);
    close_chunk(out, finish_reason_of(stop_reason_));
    if (options_.include_usage) {
        out.append("data: {");
        text_member(out, "id", options_.completion_id);
        inside_member(out, "object", "chat.completion.chunk");
        number_member(out, "created", options_.created);
        text_member(out, "model", options_.model);
        out.append(",\"choices\":[]");
        append_openai_usage(out, state_.usage);
        out.append("}\n\n");
    }
    out.append("data: [DONE]\n\n");
    state_.finished = true;
}

}  // namespace balancer::wire::convert
