#include "tests/support/openai_dialect.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/support/message_text.hpp"

namespace balancer::tests {
namespace {

using Json = nlohmann::ordered_json;

std::string compact(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string finish_reason(const MessageSpec& spec) {
    if (!spec.stop_reason.empty()) return spec.stop_reason;
    return spec.tool ? "tool_calls" : "stop";
}

Json shell(const MessageSpec& spec, std::string_view model, std::uint64_t number, const char* object) {
    return {
        {"id", fmt::format("chatcmpl-fake-{}", number)},
        {"object", object},
        {"created", 1'700'000'000},
        {"model", spec.model.empty() ? std::string(model) : spec.model},
        {"service_tier", "default"},
        {"system_fingerprint", "fp_fake"},
    };
}

Json usage(const MessageSpec& spec, std::string_view text) {
    unsigned out = output_tokens(spec, text);
    return {
        {"prompt_tokens", spec.input_tokens},
        {"completion_tokens", out},
        {"total_tokens", spec.input_tokens + out},
        {"prompt_tokens_details", {{"cached_tokens", 0}}},
    };
}

Json tool_call(const ToolUse& tool, std::uint64_t number, std::string_view arguments) {
    return {
        {"id", fmt::format("call_fake_{}", number)},
        {"type", "function"},
        {"function", {{"name", tool.name}, {"arguments", arguments}}},
    };
}

}  // namespace

std::string chat_completion(const MessageSpec& spec, std::string_view model, std::uint64_t number) {
    std::string text = text_of(spec);
    Json message = {{"role", "assistant"}, {"content", nullptr}, {"refusal", nullptr}};
    if (!text.empty()) message["content"] = text;
    if (!spec.thinking.empty()) message["reasoning_content"] = spec.thinking;
    if (spec.tool) {
        message["tool_calls"] = Json::array({tool_call(*spec.tool, number, spec.tool->input_json)});
    }
    Json completion = shell(spec, model, number, "chat.completion");
    completion["choices"] = Json::array(
        {{{"index", 0}, {"message", message}, {"logprobs", nullptr}, {"finish_reason", finish_reason(spec)}}}
    );
    completion["usage"] = usage(spec, text);
    return compact(completion);
}

std::vector<StreamEvent> chat_stream(
    const MessageSpec& spec, std::string_view model, std::uint64_t number, bool with_usage
) {
    std::vector<StreamEvent> events;
    auto add = [&](const Json& delta, const Json& finish) {
        Json chunk = shell(spec, model, number, "chat.completion.chunk");
        chunk["choices"] = Json::array(
            {{{"index", 0}, {"delta", delta}, {"logprobs", nullptr}, {"finish_reason", finish}}}
        );
        // With usage asked for, every chunk names it; and newer servers pad theirs against traffic analysis.
        if (with_usage) chunk["usage"] = nullptr;
        chunk["obfuscation"] = std::string(events.size() % 7, 'x');
        milliseconds gap = events.empty() ? milliseconds(0) : spec.event_gap;
        events.push_back({"data: " + compact(chunk) + "\n\n", gap});
    };
    std::string text = text_of(spec);
    add({{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr);
    for (const std::string& piece : split_text(spec.thinking, spec.delta_bytes)) {
        add({{"content", nullptr}, {"reasoning_content", piece}}, nullptr);
    }
    for (const std::string& piece : split_text(text, spec.delta_bytes)) add({{"content", piece}}, nullptr);
    if (spec.tool) {
        constexpr std::size_t kFragmentBytes = 7;
        Json first = tool_call(*spec.tool, number, "");
        first["index"] = 0;
        add({{"content", nullptr}, {"tool_calls", Json::array({first})}}, nullptr);
        for (const std::string& piece : split_text(spec.tool->input_json, kFragmentBytes)) {
            add({{"tool_calls", Json::array({{{"index", 0}, {"function", {{"arguments", piece}}}}})}}, nullptr);
        }
    }
    add(Json::object(), finish_reason(spec));
    if (with_usage) {
        Json chunk = shell(spec, model, number, "chat.completion.chunk");
        chunk["choices"] = Json::array();
        chunk["usage"] = usage(spec, text);
        events.push_back({"data: " + compact(chunk) + "\n\n", milliseconds(0)});
    }
    events.push_back({"data: [DONE]\n\n", milliseconds(0)});
    return events;
}

std::string openai_error(const ErrorSpec& error, unsigned status) {
    struct Known {
        unsigned status;
        const char* type;
        const char* message;
        const char* code;
    };
    static constexpr Known kKnown[] = {
        {400, "invalid_request_error", "The request is not valid.", nullptr},
        {401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key"},
        {404, "invalid_request_error", "The model does not exist.", "model_not_found"},
        {429, "requests", "Rate limit reached for requests.", "rate_limit_exceeded"},
        {503, "server_error", "The engine is currently overloaded, please try again later", nullptr},
    };
    Known known = {status, "server_error", "The server had an error while processing your request.", nullptr};
    for (const Known& candidate : kKnown) {
        if (candidate.status == status) known = candidate;
    }
    Json body = {
        {"message", error.message.empty() ? std::string(known.message) : error.message},
        {"type", error.type.empty() ? std::string(known.type) : error.type},
        {"param", nullptr},
        {"code", nullptr},
    };
    // What a test calls the type is the code where OpenAI has one: insufficient_quota, context_length_exceeded.
    if (!error.type.empty()) {
        body["code"] = error.type;
    } else if (known.code != nullptr) {
        body["code"] = known.code;
    }
    return compact({{"error", body}});
}

}  // namespace balancer::tests
