#include "tests/support/anthropic_dialect.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/support/message_text.hpp"

namespace balancer::tests {
namespace {

using Json = nlohmann::ordered_json;

std::string compact(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string stop_reason(const MessageSpec& spec) {
    if (!spec.stop_reason.empty()) return spec.stop_reason;
    return spec.tool ? "tool_use" : "end_turn";
}

std::string tool_id(std::uint64_t number) {
    return fmt::format("toolu_fake_{}", number);
}

Json message_shell(const MessageSpec& spec, std::string_view model, std::uint64_t number) {
    return {
        {"id", fmt::format("msg_fake_{}", number)},
        {"type", "message"},
        {"role", "assistant"},
        {"model", spec.model.empty() ? std::string(model) : spec.model},
        {"content", Json::array()},
        {"stop_reason", nullptr},
        {"stop_sequence", nullptr},
        {"usage",
         {{"input_tokens", spec.input_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", 0},
          {"output_tokens", 1}}}
    };
}

// Adds events, numbers content blocks.
class StreamWriter {
  public:
    explicit StreamWriter(milliseconds gap) : gap_(gap) {}

    void add(std::string_view name, const Json& json, milliseconds gap) {
        events_.push_back({anthropic_event(name, compact(json)), gap});
    }
    void add(std::string_view name, const Json& json) { add(name, json, gap_); }

    void block_start(const Json& block) {
        add("content_block_start",
            {{"type", "content_block_start"}, {"index", index_}, {"content_block", block}});
    }
    void delta(const Json& delta) {
        add("content_block_delta",
            {{"type", "content_block_delta"}, {"index", index_}, {"delta", delta}});
    }
    void block_stop() {
        add("content_block_stop", {{"type", "content_block_stop"}, {"index", index_++}});
    }

    std::vector<StreamEvent> take() { return std::move(events_); }

  private:
    milliseconds gap_;
    std::size_t index_ = 0;
    std::vector<StreamEvent> events_;
};

void write_thinking(StreamWriter& stream, const MessageSpec& spec) {
    stream.block_start({{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
    for (const std::string& piece : split_text(spec.thinking, spec.delta_bytes)) {
        stream.delta({{"type", "thinking_delta"}, {"thinking", piece}});
    }
    stream.delta({{"type", "signature_delta"}, {"signature", signature_of(spec)}});
    stream.block_stop();
}

void write_text(StreamWriter& stream, const MessageSpec& spec, std::string_view text) {
    stream.block_start({{"type", "text"}, {"text", ""}});
    for (const std::string& piece : split_text(text, spec.delta_bytes)) {
        stream.delta({{"type", "text_delta"}, {"text", piece}});
    }
    stream.block_stop();
}

void write_tool(StreamWriter& stream, const ToolUse& tool, std::uint64_t number) {
    constexpr std::size_t kPartialBytes = 8;
    stream.block_start(
        {{"type", "tool_use"},
         {"id", tool_id(number)},
         {"name", tool.name},
         {"input", Json::object()}}
    );
    stream.delta({{"type", "input_json_delta"}, {"partial_json", ""}});
    for (const std::string& piece : split_text(tool.input_json, kPartialBytes)) {
        stream.delta({{"type", "input_json_delta"}, {"partial_json", piece}});
    }
    stream.block_stop();
}

ErrorSpec completed(const ErrorSpec& error, unsigned status) {
    struct Known {
        unsigned status;
        const char* type;
        const char* message;
    };
    static constexpr Known kKnown[] = {
        {400, "invalid_request_error", "The request is not valid."},
        {401, "authentication_error", "invalid x-api-key"},
        {402, "billing_error", "Your credit balance is too low to access the API."},
        {403, "permission_error", "Your API key does not have permission to use this resource."},
        {404, "not_found_error", "Not Found"},
        {413, "request_too_large", "Request exceeds the maximum size"},
        {429, "rate_limit_error", "This request would exceed your account's rate limit."},
        {504, "timeout_error", "Request timed out"},
        {529, "overloaded_error", "Overloaded"},
    };
    ErrorSpec full = error;
    Known known = {status, "api_error", "Internal server error"};
    for (const Known& candidate : kKnown) {
        if (error.type.empty() ? candidate.status == status : error.type == candidate.type) {
            known = candidate;
        }
    }
    if (full.type.empty()) full.type = known.type;
    if (full.message.empty()) full.message = known.message;
    return full;
}

}  // namespace

std::string_view signature_of(const MessageSpec& spec) {
    return spec.signature.empty() ? kFakeSignature : std::string_view(spec.signature);
}

void read_anthropic_request(std::string_view body, std::string& model, bool& stream) {
    nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_object()) return;
    if (auto found = json.find("model"); found != json.end() && found->is_string()) {
        model = found->get<std::string>();
    }
    if (auto found = json.find("stream"); found != json.end() && found->is_boolean()) {
        stream = found->get<bool>();
    }
}

std::string anthropic_message(
    const MessageSpec& spec, std::string_view model, std::uint64_t number
) {
    Json message = message_shell(spec, model, number);
    std::string text = text_of(spec);
    Json& content = message["content"];
    if (!spec.thinking.empty()) {
        content.push_back(
            {{"type", "thinking"}, {"thinking", spec.thinking}, {"signature", signature_of(spec)}}
        );
    }
    if (!text.empty()) content.push_back({{"type", "text"}, {"text", text}});
    if (spec.tool) {
        content.push_back(
            {{"type", "tool_use"},
             {"id", tool_id(number)},
             {"name", spec.tool->name},
             {"input", Json::parse(spec.tool->input_json, nullptr, false)}}
        );
    }
    message["stop_reason"] = stop_reason(spec);
    message["usage"]["output_tokens"] = output_tokens(spec, text);
    return compact(message);
}

std::vector<StreamEvent> anthropic_stream(
    const MessageSpec& spec, std::string_view model, std::uint64_t number
) {
    StreamWriter stream(spec.event_gap);
    const Json ping = {{"type", "ping"}};
    for (unsigned i = 0; i < spec.pings_before_start; ++i) stream.add("ping", ping, spec.ping_gap);
    stream.add(
        "message_start",
        {{"type", "message_start"}, {"message", message_shell(spec, model, number)}},
        spec.pings_before_start > 0 ? spec.ping_gap : milliseconds(0)
    );
    stream.add("ping", ping);
    std::string text = text_of(spec);
    if (!spec.thinking.empty()) write_thinking(stream, spec);
    if (!text.empty()) write_text(stream, spec, text);
    if (spec.tool) write_tool(stream, *spec.tool, number);
    stream.add(
        "message_delta",
        {{"type", "message_delta"},
         {"delta", {{"stop_reason", stop_reason(spec)}, {"stop_sequence", nullptr}}},
         {"usage", {{"output_tokens", output_tokens(spec, text)}}}}
    );
    stream.add("message_stop", {{"type", "message_stop"}});
    return stream.take();
}

std::string anthropic_event(std::string_view name, std::string_view json) {
    return fmt::format("event: {}\ndata: {}\n\n", name, json);
}

std::string anthropic_error_event(const ErrorSpec& error) {
    // An overload is what Anthropic's streams report most.
    ErrorSpec full = completed(error, 529);
    Json json = {{"type", "error"}, {"error", {{"type", full.type}, {"message", full.message}}}};
    return anthropic_event("error", compact(json));
}

std::string anthropic_error(const ErrorSpec& error, unsigned status, std::uint64_t number) {
    ErrorSpec full = completed(error, status);
    return compact(
        {{"type", "error"},
         {"error", {{"type", full.type}, {"message", full.message}}},
         {"request_id", fmt::format("req_fake_{}", number)}}
    );
}

std::string anthropic_token_count(std::string_view request_body) {
    constexpr std::size_t kBytesPerToken = 4;
    return compact({{"input_tokens", request_body.size() / kBytesPerToken + 1}});
}

std::string anthropic_models() {
    Json models = Json::array();
    for (const char* id : {"claude-opus-5-5", "claude-sonnet-4-5-20250929", "claude-haiku-4-5"}) {
        models.push_back(
            {{"type", "model"},
             {"id", id},
             {"display_name", id},
             {"created_at", "2026-01-01T00:00:00Z"}}
        );
    }
    std::string first = models.front()["id"].get<std::string>();
    std::string last = models.back()["id"].get<std::string>();
    return compact(
        {{"data", std::move(models)}, {"has_more", false}, {"first_id", first}, {"last_id", last}}
    );
}

}  // namespace balancer::tests
