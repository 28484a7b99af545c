#include "tests/support/claude_code_request.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace balancer::tests {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kBetas =
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01,"
    "thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,effort-2025-11-24,"
    "thinking-display-updates-2026-08-18";

Json cached_text(std::string_view text) {
    return {{"type", "text"}, {"text", text}, {"cache_control", {{"type", "ephemeral"}}}};
}

Json tool(std::string_view name, std::string_view description) {
    Json properties = {
        {"command", {{"description", "The command to execute"}, {"type", "string"}}},
        {"timeout", {{"type", "number"}, {"exclusiveMinimum", 0}}}
    };
    return {
        {"name", name},
        {"description", description},
        {"input_schema",
         {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"type", "object"},
          {"properties", std::move(properties)},
          {"required", Json::array({"command"})},
          {"additionalProperties", false}}}
    };
}

// `padding` goes into the first tool's description, where most of a real body's bytes are.
Json body_of(const ClaudeCodeRequest& request, std::string_view padding) {
    Json user_id = {
        {"device_id", std::string(64, 'a')},
        {"account_uuid", ""},
        {"session_id", request.session_id}
    };
    Json messages = Json::array();
    messages.push_back({{"role", "user"}, {"content", Json::array({cached_text(request.prompt)})}});
    messages.push_back(
        {{"role", "system"}, {"content", Json::array()}, {"output_config", {{"effort", "medium"}}}}
    );
    Json system = Json::array();
    system.push_back(
        {{"type", "text"},
         {"text", "x-anthropic-billing-header: cc_version=2.1.330.fa1; cc_entrypoint=sdk-cli;"}}
    );
    system.push_back(cached_text("You are a coding assistant."));
    system.push_back(cached_text("CWD: /home/user/project\nDate: 2026-11-22"));
    Json tools = Json::array();
    tools.push_back(tool("Bash", fmt::format("execute shell commands{}", padding)));
    tools.push_back(tool("DeferredToolPlaceholder", "stands for tools that load later"));
    tools.back()["defer_loading"] = true;
    return {
        {"model", request.model},
        {"messages", std::move(messages)},
        {"system", std::move(system)},
        {"tools", std::move(tools)},
        {"metadata", {{"user_id", user_id.dump()}}},
        {"max_tokens", 128000},
        {"thinking", {{"type", "adaptive"}, {"display", "updates"}}},
        {"context_management",
         {{"edits", Json::array({{{"type", "clear_thinking_20251015"}, {"keep", "all"}}})}}},
        {"output_config", {{"effort", "medium"}}},
        {"stream", request.stream}
    };
}

}  // namespace

std::string claude_code_body(const ClaudeCodeRequest& request) {
    std::string body = body_of(request, "").dump();
    if (body.size() >= request.body_bytes) return body;
    return body_of(request, std::string(request.body_bytes - body.size(), '.')).dump();
}

std::string claude_code_request(const ClaudeCodeRequest& request) {
    return claude_code_request(request, claude_code_body(request));
}

std::string claude_code_request(const ClaudeCodeRequest& request, std::string_view body) {
    std::string head = fmt::format(
        "POST {} HTTP/1.1\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        "User-Agent: claude-cli/2.1.330 (external, sdk-cli)\r\n"
        "X-Claude-Code-Session-Id: {}\r\n"
        "X-Stainless-Arch: x64\r\n"
        "X-Stainless-Lang: js\r\n"
        "X-Stainless-OS: Linux\r\n"
        "X-Stainless-Package-Version: 0.128.0\r\n"
        "X-Stainless-Retry-Count: 0\r\n"
        "X-Stainless-Runtime: node\r\n"
        "X-Stainless-Runtime-Version: v26.12.1\r\n"
        "X-Stainless-Timeout: 600\r\n"
        "anthropic-beta: {}\r\n"
        "anthropic-dangerous-direct-browser-access: true\r\n"
        "anthropic-version: 2023-06-01\r\n",
        request.target,
        request.session_id,
        kBetas
    );
    if (!request.api_key.empty()) head += fmt::format("x-api-key: {}\r\n", request.api_key);
    if (!request.auth_token.empty()) {
        head += fmt::format("Authorization: Bearer {}\r\n", request.auth_token);
    }
    head += fmt::format(
        "x-app: cli\r\n"
        "Connection: keep-alive\r\n"
        "Host: {}\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "Content-Length: {}\r\n\r\n",
        request.host,
        body.size()
    );
    return head.append(body);
}

}  // namespace balancer::tests
