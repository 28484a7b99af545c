#include "controlplane/config/moved_credentials.hpp"

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "controlplane/config/find_provider.hpp"
#include "controlplane/config/problem_list.hpp"
#include "controlplane/oauth/token_endpoint.hpp"
#include "model/url.hpp"

namespace balancer::controlplane {
namespace {

std::string origin(bool tls, const std::string& host, std::uint16_t port) {
    std::string shown = host.find(':') == host.npos ? to_lower(host) : fmt::format("[{}]", to_lower(host));
    std::string text = fmt::format("{}://{}", tls ? "https" : "http", shown);
    if (port != (tls ? 443 : 80)) text += fmt::format(":{}", port);
    return text;
}

// Both have been checked when they were loaded.
std::string origin_of(const v1::Provider& provider) {
    Result<Endpoint> endpoint = parse_base_url(provider.base_url());
    return endpoint ? origin(endpoint->tls, endpoint->host, endpoint->port) : std::string();
}

std::string token_origin_of(const OAuthSettings& settings) {
    Result<HttpRequest> request = request_to(settings.token_url);
    return request ? origin(request->tls, request->host, request->port) : std::string();
}

bool is_oauth(const v1::Provider& provider) {
    return provider.auth_type() == v1::AUTH_TYPE_OAUTH;
}

}  // namespace

std::vector<MovedCredential> moved_credentials(const LoadedConfig& from, const LoadedConfig& to) {
    std::vector<MovedCredential> moved;
    auto consider = [&](std::string what, std::string before, std::string after) {
        if (before != after) moved.push_back({std::move(what), std::move(before), std::move(after)});
    };
    for (const v1::Provider& after : to.config.providers()) {
        const v1::Provider* before = find_provider(from.config, after.name());
        if (before == nullptr || is_oauth(*before) != is_oauth(after)) continue;
        bool holds = is_oauth(after) || (!before->credential_ref().empty() && !after.credential_ref().empty());
        if (!holds) continue;
        const char* what = is_oauth(after) ? "the access tokens of provider " : "the credential of provider ";
        consider(what + in_quotes(after.name()), origin_of(*before), origin_of(after));
    }
    consider("the refresh tokens of accounts", token_origin_of(from.oauth), token_origin_of(to.oauth));
    return moved;
}

std::string to_string(const MovedCredential& moved) {
    return fmt::format("{} will from now on go to {} rather than to {}", moved.what, moved.to, moved.from);
}

}  // namespace balancer::controlplane
