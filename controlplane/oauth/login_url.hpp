// Where a login begins and ends: the authorize URL, the redirect URI, and what is pasted.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "controlplane/oauth/oauth_settings.hpp"
#include "controlplane/oauth/pending_logins.hpp"

namespace balancer::controlplane {

// With Claude's parameters, in the order in which Claude Code sends them.
std::string authorize_url(const OAuthSettings& settings, const PendingLogin& login);

// True for http://127.0.0.1, http://[::1] and http://localhost, with any port and path (RFC 8252 section 7.3).
bool is_loopback_uri(std::string_view uri);

// The redirect URI of one login. A loopback one that names no port gets that of `host`, the host header of the request that
// asks for the login: the balancer's own port, through which the browser comes back. Without one it stays as it is.
std::string redirect_uri_for(const OAuthSettings& settings, std::string_view host);

struct PastedCode {
    std::string code;
    std::string state;
};

// CODE#STATE as the provider's page shows it, or the whole URL that the browser was sent to. Blanks around it do no harm.
// An error says what is missing.
Result<PastedCode> parse_pasted(std::string_view text);

}  // namespace balancer::controlplane
