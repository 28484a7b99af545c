#include "bench/micro/workload.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "dataplane/wire/body_scan.hpp"
#include "dataplane/wire/convert/request_to_openai.hpp"

namespace balancer::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRounds = 20;
constexpr std::size_t kTools = 12;
constexpr std::size_t kEvents = 200;

// Source code, as most of a coding session is: lines, quotes, tabs.
std::string code(std::size_t bytes) {
    std::string text;
    for (std::size_t line = 1; text.size() < bytes; ++line) {
        text += fmt::format("{:>6}\t    if (value == \"name\") return call({}, \"caf\u00e9\");\n", line, line * 7);
    }
    text.resize(bytes);
    return text;
}

std::string prose(std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += "The tool reads a file and gives back its lines, each with its number. ";
    text.resize(bytes);
    return text;
}

Json tool(std::size_t number) {
    Json properties;
    for (const char* name : {"file_path", "pattern", "limit", "offset"}) {
        properties[name] = {{"type", "string"}, {"description", prose(120)}};
    }
    return {
        {"name", fmt::format("Tool{}", number)},
        {"description", prose(1800)},
        {"input_schema",
         {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"type", "object"},
          {"properties", properties},
          {"required", {"file_path"}},
          {"additionalProperties", false}}}
    };
}

Json conversation() {
    Json messages = Json::array();
    messages.push_back({{"role", "user"}, {"content", {{{"type", "text"}, {"text", prose(600)}}}}});
    for (std::size_t round = 0; round < kRounds; ++round) {
        std::string id = fmt::format("toolu_01abcdefgh{:08}", round);
        messages.push_back(
            {{"role", "assistant"},
             {"content",
              {{{"type", "text"}, {"text", prose(200)}},
               {{"type", "tool_use"}, {"id", id}, {"name", "Tool3"}, {"input", {{"file_path", "/src/main.cpp"}, {"limit", 200}}}}}}}
        );
        messages.push_back(
            {{"role", "user"}, {"content", {{{"type", "tool_result"}, {"tool_use_id", id}, {"content", code(2200)}}}}}
        );
    }
    messages.back()["content"][0]["cache_control"] = {{"type", "ephemeral"}};
    return messages;
}

Json anthropic_delta(const char* type, const char* member, const std::string& text) {
    return {{"type", "content_block_delta"}, {"index", 0}, {"delta", {{"type", type}, {member, text}}}};
}

void add_event(std::vector<std::string>& events, const Json& data) {
    events.push_back(fmt::format("event: {}\ndata: {}\n\n", data["type"].get<std::string>(), data.dump()));
}

// As vLLM and OpenAI send them, with what nobody reads.
Json chunk(const Json& delta, const Json& finish_reason = nullptr) {
    return {
        {"id", "chatcmpl-9f0c1d2e3a4b5c6d7e8f"},
        {"object", "chat.completion.chunk"},
        {"created", 1764000000},
        {"model", "gpt-5"},
        {"service_tier", "default"},
        {"system_fingerprint", "fp_44709d6fcb"},
        {"choices",
         {{{"index", 0}, {"delta", delta}, {"logprobs", nullptr}, {"finish_reason", finish_reason}}}}
    };
}

constexpr const char* kWords[] = {"The", " function", " returns", " \"early\"", " when\n", " caf\u00e9", " is", " empty", "."};

const char* word(std::size_t i) { return kWords[i % std::size(kWords)]; }

}  // namespace

std::string messages_request() {
    Json body;
    body["model"] = "claude-opus-5-5";
    body["messages"] = conversation();
    body["system"] = Json::array(
        {{{"type", "text"}, {"text", "x-anthropic-billing-header: cc_version=2.1.330.d87; cc_entrypoint=cli;"}},
         {{"type", "text"}, {"text", prose(100)}, {"cache_control", {{"type", "ephemeral"}}}},
         {{"type", "text"}, {"text", prose(9000)}, {"cache_control", {{"type", "ephemeral"}}}}}
    );
    for (std::size_t i = 0; i < kTools; ++i) body["tools"].push_back(tool(i));
    body["metadata"] = {{"user_id", R"({"device_id":"0123","account_uuid":"","session_id":"11111111-2222"})"}};
    body["max_tokens"] = 128000;
    body["thinking"] = {{"type", "adaptive"}};
    body["output_config"] = {{"effort", "medium"}};
    body["stream"] = true;
    std::string text = body.dump();
    text.reserve(text.size() + wire::kBodyPadding);
    return text;
}

std::string chat_request() {
    wire::convert::JsonReader reader;
    wire::convert::ToOpenaiOptions options;
    options.model = "gpt-5";
    options.stream = true;
    std::string text;
    std::string from = messages_request();
    if (!wire::convert::request_to_openai(reader, from, options, text)) std::abort();
    text.reserve(text.size() + wire::kBodyPadding);
    return text;
}

std::vector<std::string> messages_stream() {
    std::vector<std::string> events;
    add_event(
        events,
        {{"type", "message_start"},
         {"message",
          {{"id", "msg_01ABCDEF"}, {"type", "message"}, {"role", "assistant"}, {"model", "claude-opus-5-5"}, {"content", Json::array()},
           {"stop_reason", nullptr}, {"stop_sequence", nullptr}, {"usage", {{"input_tokens", 25}, {"output_tokens", 1}}}}}}
    );
    add_event(events, {{"type", "content_block_start"}, {"index", 0}, {"content_block", {{"type", "text"}, {"text", ""}}}});
    add_event(events, {{"type", "ping"}});
    for (std::size_t i = 0; i < kEvents - 36; ++i) add_event(events, anthropic_delta("text_delta", "text", word(i)));
    add_event(events, {{"type", "content_block_stop"}, {"index", 0}});
    add_event(
        events,
        {{"type", "content_block_start"},
         {"index", 1},
         {"content_block", {{"type", "tool_use"}, {"id", "toolu_01ABCDEF"}, {"name", "Edit"}, {"input", Json::object()}}}}
    );
    add_event(events, anthropic_delta("input_json_delta", "partial_json", R"({"text":")"));
    for (std::size_t i = 0; i < 25; ++i) add_event(events, anthropic_delta("input_json_delta", "partial_json", "one more"));
    add_event(events, anthropic_delta("input_json_delta", "partial_json", R"("})"));
    add_event(events, {{"type", "content_block_stop"}, {"index", 1}});
    add_event(
        events,
        {{"type", "message_delta"}, {"delta", {{"stop_reason", "tool_use"}, {"stop_sequence", nullptr}}}, {"usage", {{"output_tokens", 190}}}}
    );
    add_event(events, {{"type", "message_stop"}});
    return events;
}

std::vector<std::string> chat_stream() {
    std::vector<std::string> events;
    auto add = [&](const Json& data) { events.push_back("data: " + data.dump() + "\n\n"); };
    auto call = [](const Json& function) {
        return Json{{"tool_calls", {{{"index", 0}, {"function", function}}}}};
    };
    add(chunk({{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}));
    for (std::size_t i = 0; i < kEvents - 32; ++i) add(chunk({{"content", word(i)}}));
    Json first = call({{"name", "Edit"}, {"arguments", ""}});
    first["tool_calls"][0]["id"] = "call_abcdefgh12345678";
    first["tool_calls"][0]["type"] = "function";
    add(chunk(first));
    add(chunk(call({{"arguments", R"({"text":")"}})));
    for (std::size_t i = 0; i < 25; ++i) add(chunk(call({{"arguments", "one more"}})));
    add(chunk(call({{"arguments", R"("})"}})));
    add(chunk(Json::object(), "tool_calls"));
    Json usage = chunk(Json::object());
    usage["choices"] = Json::array();
    usage["usage"] = {{"prompt_tokens", 25}, {"completion_tokens", 190}, {"total_tokens", 215}};
    add(usage);
    events.push_back("data: [DONE]\n\n");
    return events;
}

}  // namespace balancer::bench
