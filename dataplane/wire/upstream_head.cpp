#include "dataplane/wire/upstream_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dataplane/wire/beta_headers.hpp"
#include "dataplane/wire/forwarded.hpp"

namespace balancer::wire {
namespace {

void line(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

bool is_credential(std::string_view name) {
    return equals_lower(name, "authorization") || equals_lower(name, "x-api-key");
}

// Written by us, or meaningless to the next hop. The body is relayed and inspected as it is: no content coding.
bool is_ours(std::string_view name) {
    static constexpr std::array<std::string_view, 4> kOurs = {
        "host", "content-length", "accept-encoding", "expect"
    };
    return std::any_of(kOurs.begin(), kOurs.end(), [&](std::string_view ours) {
        return equals_lower(name, ours);
    });
}

bool overridden(std::string_view name, const Provider& provider) {
    return std::any_of(provider.headers.begin(), provider.headers.end(), [&](const auto& header) {
        return equals_lower(name, header.first);
    });
}

// Without this the API takes no access token of an account.
constexpr std::string_view kBetaField = "anthropic-beta";
constexpr std::string_view kOauthBeta = "oauth-2025-04-20";

bool needs_oauth_beta(const Provider& provider) {
    return provider.auth_type == AuthType::kOauth && !overridden(kBetaField, provider);
}

bool passes(const HeaderField& field, const UpstreamRequest& request) {
    if (is_ours(field.name) || is_hop_by_hop(field.name, request.client.fields)) return false;
    if (tells_of_client(field.name)) return false;
    if (overridden(field.name, request.provider)) return false;
    if (!is_credential(field.name)) return true;
    if (request.provider.auth_type != AuthType::kPassthrough) return false;
    const auto& ours = request.balancer_keys;
    return std::find(ours.begin(), ours.end(), field.value) == ours.end();
}

}  // namespace

std::string_view bearer_value(std::string_view authorization) {
    constexpr std::string_view kScheme = "bearer ";
    if (authorization.size() > kScheme.size() &&
        equals_lower(authorization.substr(0, kScheme.size()), kScheme)) {
        authorization.remove_prefix(kScheme.size());
    }
    while (authorization.starts_with(' ')) authorization.remove_prefix(1);
    return authorization;
}

namespace {

void provider_lines(std::string& out, const Provider& provider) {
    for (const auto& [name, value] : provider.headers) line(out, name, value);
    if (provider.credential && !overridden(provider.credential->header_name, provider)) {
        line(out, provider.credential->header_name, provider.credential->header_value);
    }
}

// Of a passthrough provider: what the client would send to it itself.
void client_credential_lines(
    std::string& out, const Provider& provider, std::span<const std::pair<std::string, std::string>> credentials
) {
    if (provider.auth_type != AuthType::kPassthrough) return;
    for (const auto& [name, value] : credentials) {
        if (provider.type == ProviderType::kOpenai) {
            out.append("authorization: Bearer ").append(bearer_value(value)).append("\r\n");
            return;
        }
        if (!overridden(name, provider)) line(out, name, value);
    }
}

// A line of the client's; of a beta list what the provider takes of it.
void client_line(std::string& out, std::string_view name, std::string_view value, const Provider& provider) {
    if (!provider.limited || !equals_lower(name, kBetaField)) return line(out, name, value);
    std::string betas = filter_betas(value, provider);
    if (!betas.empty()) line(out, name, betas);
}

std::string_view path_of(const UpstreamRequest& request) {
    if (format_of(request.provider) == Format::kOpenai) return "/chat/completions";
    return request.format == Format::kOpenai ? "/v1/messages" : request.client.path;
}

// Of a request in the provider's own format. True when an anthropic-version is among them.
bool client_lines(std::string& out, const UpstreamRequest& request) {
    bool has_version = false;
    bool needs_beta = needs_oauth_beta(request.provider);
    for (const HeaderField& field : request.client.fields) {
        if (!passes(field, request)) continue;
        has_version = has_version || equals_lower(field.name, "anthropic-version");
        if (!needs_beta || !equals_lower(field.name, kBetaField)) {
            client_line(out, field.name, field.value, request.provider);
            continue;
        }
        std::string betas =
            request.provider.limited ? filter_betas(field.value, request.provider) : std::string(field.value);
        if (betas.find(kOauthBeta) == std::string::npos) betas.append(betas.empty() ? "" : ",").append(kOauthBeta);
        needs_beta = false;
        line(out, field.name, betas);
    }
    if (needs_beta) line(out, kBetaField, kOauthBeta);
    return has_version;
}

// Of a converted one.
void own_lines(std::string& out, const UpstreamRequest& request) {
    for (const auto& [name, value] : {
             std::pair<std::string_view, std::string_view>("content-type", "application/json"),
             {"accept", request.stream ? "text/event-stream" : "application/json"},
             {"user-agent", "claude-code-provider-balancer/" BALANCER_VERSION},
         }) {
        if (!overridden(name, request.provider)) line(out, name, value);
    }
    bool bearer = format_of(request.provider) == Format::kOpenai;
    for (const HeaderField& field : request.client.fields) {
        if (!is_credential(field.name) || !passes(field, request)) continue;
        out.append(bearer ? "authorization: Bearer " : "x-api-key: ").append(bearer_value(field.value)).append("\r\n");
        break;
    }
}

}  // namespace

void append_models_head(
    std::string& out,
    const Provider& provider,
    std::span<const std::pair<std::string, std::string>> credentials,
    std::span<const std::pair<std::string, std::string>> api_fields
) {
    bool openai = provider.type == ProviderType::kOpenai;
    out.append("GET ").append(provider.endpoint.path_prefix);
    out.append(openai ? "/models HTTP/1.1\r\n" : "/v1/models?limit=1000 HTTP/1.1\r\n");
    line(out, "host", provider.endpoint.authority);
    for (const auto& [name, value] : {
             std::pair<std::string_view, std::string_view>("accept", "application/json"),
             {"user-agent", "claude-code-provider-balancer/" BALANCER_VERSION},
         }) {
        if (!overridden(name, provider)) line(out, name, value);
    }
    bool has_version = openai || overridden("anthropic-version", provider);
    bool clients = !openai && provider.auth_type == AuthType::kPassthrough;
    for (const auto& [name, value] : api_fields) {
        if (!clients || overridden(name, provider)) continue;
        client_line(out, name, value, provider);
        has_version = has_version || equals_lower(name, "anthropic-version");
    }
    if (!has_version) line(out, "anthropic-version", "2023-06-01");
    if (needs_oauth_beta(provider)) line(out, kBetaField, kOauthBeta);
    client_credential_lines(out, provider, credentials);
    provider_lines(out, provider);
    out.append("accept-encoding: identity\r\nconnection: close\r\n\r\n");
}

void append_upstream_head(std::string& out, const UpstreamRequest& request) {
    const RequestHead& client = request.client;
    const Provider& provider = request.provider;
    bool converted = format_of(provider) != request.format;
    out.append(client.method).append(" ").append(provider.endpoint.path_prefix).append(path_of(request));
    if (!converted) out.append(client.query);
    out.append(" HTTP/1.1\r\n");
    line(out, "host", provider.endpoint.authority);
    bool has_version = overridden("anthropic-version", provider);
    if (converted) {
        own_lines(out, request);
        if (needs_oauth_beta(provider)) line(out, kBetaField, kOauthBeta);
    } else if (client_lines(out, request)) {
        has_version = true;
    }
    provider_lines(out, provider);
    if (format_of(provider) == Format::kAnthropic && !has_version) line(out, "anthropic-version", "2023-06-01");
    line(out, "accept-encoding", "identity");
    fmt::format_to(std::back_inserter(out), "content-length: {}\r\n\r\n", request.content_length);
}

}  // namespace balancer::wire
