#include "tests/scenario/mixed_types.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/requests.hpp"

namespace balancer::tests {

ProviderText openai_provider(const std::string& name, const FakeProvider& provider, std::string extra) {
    // Most scenarios look at a stream while it comes.
    if (extra.find("streaming_mode:") == std::string::npos) extra += "    streaming_mode: direct\n";
    ProviderText text{name, provider.base_url() + "/v1", std::move(extra)};
    text.auth = "    auth_type: api_key\n    auth_value: sk-openai-key\n";
    text.type = "openai";
    return text;
}

std::string yaml_of(const std::vector<ProviderText>& providers, std::string routes, std::string settings) {
    return to_yaml({providers, std::move(routes), "  unhealthy_threshold: 1000\n" + settings});
}

std::string chat_body(bool stream, const std::string& model, const std::string& prompt) {
    return fmt::format(
        R"({{"model":"{}","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{}"}}]{}}})",
        model,
        prompt,
        stream ? ",\"stream\":true" : ""
    );
}

std::string chat_request(const std::string& body, const std::string& lines) {
    return post_request(lines, body, "/v1/chat/completions");
}

std::vector<std::string> stream_data(const std::string& body) {
    std::vector<std::string> data;
    for (const SseEvent& event : split_events(body)) data.push_back(event.data);
    return data;
}

std::string chat_text(const std::string& body) {
    std::string text;
    for (const std::string& data : stream_data(body)) {
        auto chunk = nlohmann::json::parse(data, nullptr, false);
        if (chunk.is_discarded()) {
            text += data;
        } else if (chunk.contains("choices") && !chunk["choices"].empty()) {
            const auto& delta = chunk["choices"][0]["delta"];
            if (delta.contains("content") && delta["content"].is_string()) text += delta["content"].get<std::string>();
        }
    }
    return text;
}

}  // namespace balancer::tests
