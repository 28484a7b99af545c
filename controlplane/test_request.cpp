#include "controlplane/test_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/url.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::ordered_json;

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

// Tokens of anthropic-beta that current releases of Claude Code send with a prompt.
constexpr const char* kClaudeCodeBetas =
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,advanced-tool-use-2025-11-20,"
    "effort-2025-11-24";
// The API takes no access token of an account without it.
constexpr const char* kOauthBeta = "oauth-2025-04-20";

// A reasoning model thinks before it says its one token, and some refuse a limit that leaves no room for it.
constexpr int kCompletionTokens = 16;

Json prompt(const v1::Provider& provider, const std::string& model, v1::ProviderProbe probe) {
    Json body{{"model", model}, {"messages", Json::array({Json{{"role", "user"}, {"content", "ping"}}})}};
    if (probe == v1::PROVIDER_PROBE_COUNT_TOKENS) return body;
    if (provider.capabilities().max_completion_tokens()) {
        body["max_completion_tokens"] = kCompletionTokens;
    } else {
        body["max_tokens"] = 1;
    }
    if (probe == v1::PROVIDER_PROBE_STREAM) body["stream"] = true;
    if (probe != v1::PROVIDER_PROBE_TOOLS) return body;
    const Json schema{{"type", "object"}, {"properties", Json::object()}};
    Json tool{{"name", "current_time"}, {"description", "Tells the time."}};
    if (provider.type() == v1::PROVIDER_TYPE_OPENAI) {
        tool["parameters"] = schema;
        tool = Json{{"type", "function"}, {"function", std::move(tool)}};
    } else {
        tool["input_schema"] = schema;
    }
    body["tools"] = Json::array({std::move(tool)});
    return body;
}

std::string path_of(bool openai, v1::ProviderProbe probe) {
    if (probe == v1::PROVIDER_PROBE_MODELS) return openai ? "/models" : "/v1/models";
    if (probe == v1::PROVIDER_PROBE_COUNT_TOKENS) return "/v1/messages/count_tokens";
    return openai ? "/chat/completions" : "/v1/messages";
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
    v1::ProviderProbe probe,
    Milliseconds timeout
) {
    const v1::Credential* credential = find_credential(credentials, provider.credential_ref());
    if (credential == nullptr) {
        return invalid(fmt::format(
            "'{}' has no credential of its own to test with{}",
            provider.name(),
            provider.auth_type() == v1::AUTH_TYPE_PASSTHROUGH ? ": it gets the client's" : ""
        ));
    }
    Result<Endpoint> endpoint = parse_base_url(provider.base_url());
    if (!endpoint) return endpoint.error();
    const bool openai = provider.type() == v1::PROVIDER_TYPE_OPENAI;
    HttpRequest request;
    if (!provider.proxy_url().empty()) {
        Result<ProxySpec> proxy = parse_proxy_url(provider.proxy_url());
        if (!proxy) return proxy.error();
        request.proxy = *std::move(proxy);
    }
    request.tls = endpoint->tls;
    request.host = endpoint->host;
    request.port = endpoint->port;
    request.target = endpoint->path_prefix + path_of(openai, probe);
    request.ca_pem = provider.ca_pem();
    request.timeout = timeout;
    set(request.headers, "host", endpoint->authority);
    set(request.headers, "user-agent", "balancer-controlplane/" BALANCER_VERSION);
    set(request.headers, "accept-encoding", "identity");
    if (probe != v1::PROVIDER_PROBE_MODELS) {
        request.method = "POST";
        request.body = prompt(provider, model, probe).dump(-1, ' ', false, Json::error_handler_t::replace);
        set(request.headers, "content-type", "application/json");
    }
    if (!openai) set(request.headers, "anthropic-version", "2023-06-01");
    std::string betas = probe == v1::PROVIDER_PROBE_BETAS ? kClaudeCodeBetas : "";
    if (provider.auth_type() == v1::AUTH_TYPE_OAUTH) {
        betas = betas.empty() ? kOauthBeta : fmt::format("{},{}", kOauthBeta, betas);
    }
    if (!betas.empty()) set(request.headers, "anthropic-beta", betas);
    set(request.headers, credential->header_name(), credential->header_value());
    // Those of the configuration go over everything, as in a data plane.
    for (const v1::Header& header : provider.headers()) {
        set(request.headers, header.name(), header.value());
    }
    return request;
}

}  // namespace balancer::controlplane
