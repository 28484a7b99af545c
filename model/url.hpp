// Where to connect: base URLs of providers and URLs of outbound proxies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/proxy_spec.hpp"
#include "base/result.hpp"

namespace balancer {

// `https://api.example.com/anthropic` taken apart.
struct Endpoint {
    bool tls = false;
    std::string host;         // a name or an address, without brackets
    std::uint16_t port = 0;
    std::string path_prefix;  // "/anthropic" or empty; never ends with a slash
    std::string authority;    // the Host header: port only when it is not the scheme's own
};

// http or https; no user, query or fragment. The error says what is wrong and shows a good one.
Result<Endpoint> parse_base_url(std::string_view url);

// http://, socks5:// or socks5h:// (the proxy resolves names in every case), with user:password@ or without.
Result<ProxySpec> parse_proxy_url(std::string_view url);

}  // namespace balancer
