#include "controlplane/test_answer.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/http_date.hpp"
#include "base/redact.hpp"
#include "base/utf8.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kQuotedMax = 300;
constexpr int kModelsMax = 1000;

std::string replaced_all(std::string text, const std::string& what, std::string_view by) {
    for (std::size_t at = 0; !what.empty() && (at = text.find(what, at)) != std::string::npos;) {
        text.replace(at, what.size(), by);
        at += by.size();
    }
    return text;
}

// A line of what the provider said: its error's message, or the start of its body.
std::string words_of(const HttpResponse& answer) {
    Json body = Json::parse(answer.body, nullptr, false);
    if (body.is_object() && body.contains("error")) {
        const Json& error = body["error"];
        if (error.is_object() && error.contains("message") && error["message"].is_string()) {
            return error["message"].get<std::string>();
        }
        if (error.is_string()) return error.get<std::string>();
    }
    return answer.body;
}

std::string shown(std::string text, const HttpRequest& request) {
    // A provider may repeat the key that it refuses, and a gateway any header.
    for (const auto& [name, value] : request.headers) {
        if (name == "host" || name.starts_with("content-") || name == "accept-encoding" ||
            name == "anthropic-version" || name == "anthropic-beta" || name == "user-agent") {
            continue;
        }
        text = replaced_all(std::move(text), value, "[redacted]");
        constexpr std::string_view kScheme = "Bearer ";
        if (value.starts_with(kScheme)) {
            text = replaced_all(std::move(text), value.substr(kScheme.size()), "[redacted]");
        }
    }
    text = redact(text);
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    if (text.size() > kQuotedMax) {
        cut_utf8(text, kQuotedMax);
        text += "...";
    }
    return text;
}

std::string advice(v1::ProviderProbe probe, unsigned status) {
    if (status >= 300 && status < 400) return "; it sends requests elsewhere, which are not followed: correct base_url";
    if (status == 401 || status == 403) return "; the credential is not accepted: is it right?";
    if (status == 404 && probe == v1::PROVIDER_PROBE_MESSAGE) {
        return "; is the base_url right, and does it know this model (--model NAME)?";
    }
    if (status == 429 || status == 529) return "; it answers, but has no room now";
    return {};
}

// A stream that came to its end, in either API's words.
bool is_whole_stream(const HttpResponse& answer) {
    return answer.header("content-type").starts_with("text/event-stream") &&
           (answer.body.find("message_stop") != std::string::npos || answer.body.find("[DONE]") != std::string::npos);
}

// In words what a good answer says; empty: it is none.
std::string good_words(v1::ProviderProbe probe, const HttpResponse& answer, v1::TestProviderResponse& out) {
    if (probe == v1::PROVIDER_PROBE_STREAM) return is_whole_stream(answer) ? "it streams" : "";
    const Json body = Json::parse(answer.body, nullptr, false);
    if (!body.is_object() || body.contains("error")) return {};
    if (probe == v1::PROVIDER_PROBE_COUNT_TOKENS) {
        return body.contains("input_tokens") && body["input_tokens"].is_number() ? "it counts" : "";
    }
    if (probe != v1::PROVIDER_PROBE_MODELS) return "it answers";
    if (!body.contains("data") || !body["data"].is_array()) return {};
    for (const Json& model : body["data"]) {
        const bool named = model.is_object() && model.contains("id") && model["id"].is_string();
        if (named && out.models_size() < kModelsMax) out.add_models(model["id"].get<std::string>());
    }
    return fmt::format("it has {} models", body["data"].size());
}

const char* wanted(v1::ProviderProbe probe) {
    switch (probe) {
        case v1::PROVIDER_PROBE_STREAM: return "whole stream";
        case v1::PROVIDER_PROBE_COUNT_TOKENS: return "count";
        case v1::PROVIDER_PROBE_MODELS: return "list of models";
        default: return "message";
    }
}

}  // namespace

v1::TestProviderResponse describe_test(
    v1::ProviderProbe probe,
    const HttpRequest& request,
    const Result<HttpResponse>& answer,
    Milliseconds latency,
    UnixMs now
) {
    v1::TestProviderResponse out;
    out.set_latency_ms(static_cast<std::uint32_t>(latency.count()));
    out.set_url(fmt::format(
        "{}://{}:{}{}", request.tls ? "https" : "http", request.host, request.port, request.target
    ));
    if (!answer) {
        out.set_message(shown(answer.error().text(), request));
        return out;
    }
    out.set_http_status(answer->status);
    std::string_view id = answer->header("request-id");
    out.set_upstream_request_id(std::string(id.empty() ? answer->header("x-request-id") : id));
    if (UnixMs date = parse_http_date(answer->header("date")); date != 0) out.set_clock_ahead_ms(date - now);
    if (answer->status != 200) {
        out.set_message(shown(words_of(*answer), request) + advice(probe, answer->status));
        return out;
    }
    std::string good = good_words(probe, *answer, out);
    out.set_ok(!good.empty());
    out.set_message(
        out.ok() ? std::move(good) : fmt::format("200, but no {}: {}", wanted(probe), shown(words_of(*answer), request))
    );
    return out;
}

}  // namespace balancer::controlplane
