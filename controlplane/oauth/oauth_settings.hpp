// `settings.oauth`: how the control plane logs in and gets new tokens. The defaults are those of Claude Code's public client.
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/proxy_spec.hpp"

namespace balancer::controlplane {

struct OAuthSettings {
    bool persist = true;       // enable_persistence: logins outlive the process
    bool auto_refresh = true;  // enable_auto_refresh: new tokens before they are needed
    bool allow_other_clients = false;  // accounts serve requests that are not Claude Code's, too
    std::string service_name = "claude-code-balancer";  // of the original's keyring entry
    std::string authorize_url = "https://claude.ai/oauth/authorize";
    std::string token_url = "https://console.anthropic.com/v1/oauth/token";
    std::string client_id = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";
    std::string redirect_uri = "https://console.anthropic.com/oauth/code/callback";
    std::string scope = "org:create_api_key user:profile user:inference";
    std::optional<ProxySpec> proxy{};  // to the token endpoint
    std::string ca_pem{};              // trusted besides the system's roots, for the token endpoint
    Milliseconds timeout{30'000};      // of one request to the token endpoint

    bool operator==(const OAuthSettings&) const = default;
};

}  // namespace balancer::controlplane
