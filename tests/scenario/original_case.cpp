#include "tests/scenario/original_case.hpp"

#include <fmt/format.h>

#include <future>

#include "base/clock.hpp"

namespace balancer::tests {
namespace {

using Json = nlohmann::ordered_json;

// As in the original's config.example.yaml.
constexpr const char* kOriginalSettings =
    "  sticky_scope: global\n"
    "  failure_cooldown: 300\n"
    "  unhealthy_exception_patterns: [connection, timeout, ssl, network]\n"
    "  unhealthy_response_body_patterns:\n"
    "    - '\"error\"\\s*:\\s*\"[^\"]*(insufficient|quota|balance)'\n"
    "    - 'insufficient\\s+credits?'\n"
    "    - 'rate\\s+limit'\n"
    "    - overloaded\n"
    "  unhealthy_http_codes: [402, 403, 404, 408, 429, 500, 502, 503, 504, 520, 521, 522, 523, "
    "524]\n";

Json parse(const std::string& body) {
    Json json = Json::parse(body, nullptr, false);
    return json.is_object() ? json : Json::object();
}

std::string error_field(const RawResponse& answer, const char* field) {
    Json json = parse(answer.body);
    if (!json.contains("error") || !json["error"].is_object()) return {};
    return json["error"].value(field, "");
}

}  // namespace

std::string original_yaml(const OriginalCase& original) {
    ConfigText text;
    text.providers = original.providers;
    text.routes = fmt::format("  {}:\n", ClaudeCodeRequest{}.model);
    int priority = 0;
    for (const ProviderText& provider : original.providers) {
        text.routes += fmt::format(
            "    - {{provider: {}, model: passthrough, priority: {}}}\n", provider.name, ++priority
        );
    }
    text.settings = kOriginalSettings;
    text.settings += fmt::format("  unhealthy_threshold: {}\n", original.threshold);
    text.settings += fmt::format("  failover: {}\n", original.failover);
    text.settings += original.more;
    return to_yaml(text);
}

Step saying(std::string text) {
    Step step;
    step.message.text = std::move(text);
    return step;
}

Step failing(unsigned status, std::string message) {
    Step step = status_step(status);
    step.error = ErrorSpec{{}, std::move(message)};
    return step;
}

Step slowly(Step step, milliseconds delay) {
    step.delay = delay;
    return step;
}

ClaudeCodeRequest in_session(ClaudeCodeRequest request, const std::string& session) {
    request.session_id = session;
    return request;
}

std::string request_with_fields(const ClaudeCodeRequest& head, const Json& fields) {
    Json body = Json::parse(claude_code_body(head));
    body.update(fields);
    return claude_code_request(head, body.dump());
}

std::vector<RawResponse> ask_together(
    const Fleet& fleet, const std::vector<ClaudeCodeRequest>& requests
) {
    std::vector<std::future<RawResponse>> running;
    for (const ClaudeCodeRequest& request : requests) {
        // ask() only reads the fleet's port.
        running.push_back(std::async(std::launch::async, [&fleet, request] {
            return fleet.ask(request);
        }));
    }
    std::vector<RawResponse> answers;
    for (std::future<RawResponse>& one : running) answers.push_back(one.get());
    return answers;
}

std::string error_type(const RawResponse& answer) {
    return error_field(answer, "type");
}

std::string error_message(const RawResponse& answer) {
    return error_field(answer, "message");
}

std::string answer_text(const RawResponse& answer) {
    std::string text;
    if (!answer.header("content-type").starts_with("text/event-stream")) {
        for (const Json& block : parse(answer.body).value("content", Json::array())) {
            text += block.value("text", "");
        }
        return text;
    }
    for (const SseEvent& event : split_events(answer.body)) {
        if (event.name == "content_block_delta")
            text += parse(event.data)["delta"].value("text", "");
    }
    return text;
}

nlohmann::json provider_view(const Fleet& fleet, const std::string& provider, std::size_t index) {
    auto json = nlohmann::json::parse(fleet.get("/providers", index).body, nullptr, false);
    if (!json.is_object()) return nullptr;
    for (const nlohmann::json& view : json.value("providers", nlohmann::json::array())) {
        if (view.value("name", "") == provider) return view;
    }
    return nullptr;
}

bool wait_for_failures(const Fleet& fleet, const std::string& provider, unsigned count) {
    return Fleet::eventually([&] {
        nlohmann::json view = provider_view(fleet, provider);
        if (view.is_null() || view["failure_count"] != count) return false;
        // Whole milliseconds: an attempt that begins in the last failure's own would belong to it.
        auto last_ms = static_cast<UnixMs>(view["last_failure_time"].get<double>() * 1000) + 1;
        return unix_now() > last_ms;
    });
}

bool wait_for_health(const Fleet& fleet, const std::string& provider, bool healthy) {
    return Fleet::eventually([&] {
        nlohmann::json view = provider_view(fleet, provider);
        return !view.is_null() && view["healthy"] == healthy;
    });
}

int available(const Fleet& fleet, std::size_t index) {
    return parse(fleet.get("/", index).body).value("providers_available", -1);
}

}  // namespace balancer::tests
