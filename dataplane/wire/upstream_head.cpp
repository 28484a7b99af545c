#include "dataplane/wire/upstream_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

bool passes(const HeaderField& field, const UpstreamRequest& request) {
    if (is_ours(field.name) || is_hop_by_hop(field.name, request.client.fields)) return false;
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

void append_openai_head(std::string& out, const UpstreamRequest& request) {
    const Provider& provider = request.provider;
    out.append("POST ").append(provider.endpoint.path_prefix).append("/chat/completions HTTP/1.1\r\n");
    line(out, "host", provider.endpoint.authority);
    for (const auto& [name, value] : {
             std::pair<std::string_view, std::string_view>("content-type", "application/json"),
             {"accept", request.stream ? "text/event-stream" : "application/json"},
             {"user-agent", "claude-code-provider-balancer/" BALANCER_VERSION},
         }) {
        if (!overridden(name, provider)) line(out, name, value);
    }
    for (const HeaderField& field : request.client.fields) {
        if (!is_credential(field.name) || !passes(field, request)) continue;
        out.append("authorization: Bearer ").append(bearer_value(field.value)).append("\r\n");
        break;
    }
    provider_lines(out, provider);
    line(out, "accept-encoding", "identity");
    fmt::format_to(std::back_inserter(out), "content-length: {}\r\n\r\n", request.content_length);
}

}  // namespace

void append_upstream_head(std::string& out, const UpstreamRequest& request) {
    if (request.provider.type == ProviderType::kOpenai) return append_openai_head(out, request);
    const RequestHead& client = request.client;
    const Provider& provider = request.provider;
    out.append(client.method).append(" ").append(provider.endpoint.path_prefix);
    out.append(client.path).append(client.query).append(" HTTP/1.1\r\n");
    line(out, "host", provider.endpoint.authority);
    bool has_version = false;
    for (const HeaderField& field : client.fields) {
        if (!passes(field, request)) continue;
        has_version = has_version || equals_lower(field.name, "anthropic-version");
        line(out, field.name, field.value);
    }
    has_version = has_version || overridden("anthropic-version", provider);
    provider_lines(out, provider);
    if (!has_version) line(out, "anthropic-version", "2023-06-01");
    line(out, "accept-encoding", "identity");
    fmt::format_to(std::back_inserter(out), "content-length: {}\r\n\r\n", request.content_length);
}

}  // namespace balancer::wire
