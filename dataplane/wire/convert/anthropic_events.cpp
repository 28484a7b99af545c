#include "dataplane/wire/convert/anthropic_events.hpp"

#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {

void open_event(std::string& out, std::string_view name) {
    out.append("event: ").append(name).append("\ndata: {\"type\":\"").append(name).append("\"");
}

void close_event(std::string& out) {
    out.append("}\n\n");
}

void AnthropicEvents::start_message(
    std::string& out, std::string_view id, std::string_view model, const Usage& usage
) {
    started_ = true;
    open_event(out, "message_start");
    out.append(",\"message\":{");
    text_member(out, "id", id);
    out.append(",\"type\":\"message\",\"role\":\"assistant\"");
    text_member(out, "model", model);
    out.append(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
    append_anthropic_usage(out, usage);
    out.push_back('}');
    close_event(out);
}

void AnthropicEvents::start_block(std::string& out, Open open) {
    stop_block(out);
    open_ = open;
    open_event(out, "content_block_start");
    number_member(out, "index", index_);
    out.append(",\"content_block\":{");
}

void AnthropicEvents::start_text(std::string& out) {
    start_block(out, Open::kText);
    out.append("\"type\":\"text\",\"text\":\"\"}");
    close_event(out);
}

void AnthropicEvents::start_thinking(std::string& out) {
    start_block(out, Open::kThinking);
    out.append("\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    close_event(out);
}

void AnthropicEvents::start_tool(std::string& out, std::string_view id, std::string_view name) {
    start_block(out, Open::kTool);
    inside_member(out, "type", "tool_use");
    inside_member(out, "id", id);
    inside_member(out, "name", name);
    out.append(",\"input\":{}}");
    close_event(out);
}

void AnthropicEvents::delta(
    std::string& out, std::string_view type, std::string_view member, std::string_view inside
) {
    open_event(out, "content_block_delta");
    number_member(out, "index", index_);
    out.append(",\"delta\":{");
    inside_member(out, "type", type);
    inside_member(out, member, inside);
    out.push_back('}');
    close_event(out);
}

void AnthropicEvents::text(std::string& out, std::string_view inside) {
    delta(out, "text_delta", "text", inside);
}

void AnthropicEvents::thinking(std::string& out, std::string_view inside) {
    delta(out, "thinking_delta", "thinking", inside);
}

void AnthropicEvents::signature(std::string& out, std::string_view inside) {
    delta(out, "signature_delta", "signature", inside);
}

void AnthropicEvents::tool_input(std::string& out, std::string_view inside) {
    delta(out, "input_json_delta", "partial_json", inside);
}

void AnthropicEvents::stop_block(std::string& out) {
    if (open_ == Open::kNothing) return;
    open_ = Open::kNothing;
    open_event(out, "content_block_stop");
    number_member(out, "index", index_++);
    close_event(out);
}

void AnthropicEvents::finish(
    std::string& out,
    std::string_view stop_reason,
    std::string_view stop_sequence,
    const Usage& usage
) {
    stop_block(out);
    open_event(out, "message_delta");
    out.append(",\"delta\":{");
    inside_member(out, "stop_reason", stop_reason);
    raw_member(out, "stop_sequence", stop_sequence);
    out.push_back('}');
    append_anthropic_usage(out, usage);
    close_event(out);
    open_event(out, "message_stop");
    close_event(out);
}

}  // namespace balancer::wire::convert
