#include "controlplane/test_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/redact.hpp"
#include "base/utf8.hpp"
#include "model/url.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kQuotedMax = 300;

const v1::Credential* find_credential(
    const v1::CredentialSection& credentials, const std::string& ref
) {
    for (const v1::Credential& credential : credentials.credentials()) {
        if (!ref.empty() && credential.ref() == ref) return &credential;
    }
    return nullptr;
}

void set(HttpHeaders& headers, const std::string& name, const std::string& value) {
    auto known = std::find_if(headers.begin(), headers.end(), [&](const auto& header) {
        return header.first == name;
    });
    if (known != headers.end()) {
        known->second = value;
    } else {
        headers.emplace_back(name, value);
    }
}

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

std::string advice(unsigned status) {
    if (status >= 300 && status < 400) return "; it sends requests elsewhere, which are not followed: correct base_url";
    if (status == 401 || status == 403) return "; the credential is not accepted: is it right?";
    if (status == 404)
        return "; is the base_url right, and does it know this model (--model NAME)?";
    if (status == 429 || status == 529) return "; it answers, but has no room now";
    return {};
}

}  // namespace

std::string model_for(const v1::ConfigSection& config, std::string_view provider) {
    for (const v1::Route& route : config.routes()) {
        for (const v1::RouteTarget& target : route.targets()) {
            if (target.provider() != provider || !target.enabled()) continue;
            if (!target.model().empty()) return target.model();
            if (route.pattern().find('*') == std::string::npos) return route.pattern();
        }
    }
    return {};
}

Result<HttpRequest> make_test_request(
    const v1::Provider& provider,
    const v1::CredentialSection& credentials,
    const std::string& model,
    Milliseconds timeout
) {
    const std::string& name = provider.name();
    if (!provider.proxy_url().empty()) {
        return invalid(fmt::format(
            "'{}' is behind a proxy, which the control plane cannot use for a test: send a request "
            "through a data plane, with \"provider\": \"{}\" in its body",
            name,
            name
        ));
    }
    const v1::Credential* credential = find_credential(credentials, provider.credential_ref());
    if (credential == nullptr) {
        return invalid(fmt::format(
            "'{}' has no credential of its own to test with{}",
            name,
            provider.auth_type() == v1::AUTH_TYPE_PASSTHROUGH ? ": it gets the client's" : ""
        ));
    }
    Result<Endpoint> endpoint = parse_base_url(provider.base_url());
    if (!endpoint) return endpoint.error();
    const bool openai = provider.type() == v1::PROVIDER_TYPE_OPENAI;
    HttpRequest request;
    request.tls = endpoint->tls;
    request.host = endpoint->host;
    request.port = endpoint->port;
    request.method = "POST";
    request.target = endpoint->path_prefix + (openai ? "/chat/completions" : "/v1/messages");
    request.ca_pem = provider.ca_pem();
    request.timeout = timeout;
    request.body =
        Json{
            {"model", model},
            {"max_tokens", 1},
            {"messages", Json::array({Json{{"role", "user"}, {"content", "ping"}}})},
        }
            .dump(-1, ' ', false, Json::error_handler_t::replace);
    set(request.headers, "host", endpoint->authority);
    set(request.headers, "user-agent", "balancer-controlplane/" BALANCER_VERSION);
    set(request.headers, "content-type", "application/json");
    set(request.headers, "accept-encoding", "identity");
    if (!openai) set(request.headers, "anthropic-version", "2023-06-01");
    // The API takes no access token of an account without it.
    if (provider.auth_type() == v1::AUTH_TYPE_OAUTH) set(request.headers, "anthropic-beta", "oauth-2025-04-20");
    set(request.headers, credential->header_name(), credential->header_value());
    // Those of the configuration go over everything, as in a data plane.
    for (const v1::Header& header : provider.headers()) {
        set(request.headers, header.name(), header.value());
    }
    return request;
}

v1::TestProviderResponse describe_test(
    const HttpRequest& request, const Result<HttpResponse>& answer, Milliseconds latency
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
    out.set_ok(answer->status == 200);
    if (out.ok()) {
        Json body = Json::parse(answer->body, nullptr, false);
        out.set_ok(body.is_object() && !body.contains("error"));
        out.set_message(
            out.ok() ? "it answers" : "200, but no message: " + shown(words_of(*answer), request)
        );
        return out;
    }
    out.set_message(shown(words_of(*answer), request) + advice(answer->status));
    return out;
}

}  // namespace balancer::controlplane
