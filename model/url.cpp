#include "model/url.hpp"

#include <fmt/format.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <optional>

namespace balancer {
namespace {

namespace urls = boost::urls;

std::optional<urls::url_view> parse(std::string_view text) {
    auto parsed = urls::parse_uri(boost::core::string_view(text.data(), text.size()));
    if (!parsed || !parsed->has_authority() || parsed->encoded_host().empty()) return std::nullopt;
    return *parsed;
}

std::string str(boost::core::string_view text) { return std::string(text.data(), text.size()); }

// The port as it is written, or `usual`; 0 when it is none. (Boost.URL 1.81 wraps numbers above 65535.)
std::uint16_t port_of(const urls::url_view& url, std::uint16_t usual) {
    if (!url.has_port()) return usual;
    std::string text = str(url.port());
    std::uint16_t port = 0;
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
    return problem == std::errc() && end == text.data() + text.size() ? port : std::uint16_t{0};
}

std::string host_of(const urls::url_view& url) { return str(url.encoded_host_address()); }

}  // namespace

Result<Endpoint> parse_base_url(std::string_view text) {
    std::optional<urls::url_view> url = parse(text);
    if (!url) {
        return invalid(
            fmt::format("'{}' is not a URL; write it like https://api.anthropic.com", text)
        );
    }
    std::string scheme = str(url->scheme());
    if (scheme != "http" && scheme != "https") {
        return invalid(fmt::format("'{}' must begin with http:// or https://", text));
    }
    if (url->has_userinfo() || url->has_query() || url->has_fragment()) {
        return invalid("a base URL has no user, query or fragment; give credentials in auth_value");
    }
    Endpoint endpoint;
    endpoint.tls = scheme == "https";
    endpoint.host = host_of(*url);
    std::uint16_t usual = endpoint.tls ? 443 : 80;
    endpoint.port = port_of(*url, usual);
    if (endpoint.port == 0) return invalid(fmt::format("'{}' has no usable port", text));
    endpoint.path_prefix = str(url->encoded_path());
    while (endpoint.path_prefix.ends_with('/')) endpoint.path_prefix.pop_back();
    endpoint.authority = str(url->encoded_host());
    if (endpoint.port != usual) endpoint.authority += fmt::format(":{}", endpoint.port);
    return endpoint;
}

Result<ProxySpec> parse_proxy_url(std::string_view text) {
    std::optional<urls::url_view> url = parse(text);
    ProxySpec proxy;
    std::string scheme = url ? str(url->scheme()) : std::string();
    if (scheme == "http") {
        proxy.kind = ProxyKind::kHttpConnect;
    } else if (scheme == "socks5" || scheme == "socks5h") {
        proxy.kind = ProxyKind::kSocks5;
    } else if (scheme == "https") {
        return invalid(
            "a proxy that is itself spoken to over TLS (https://) is not supported: give it as http:// or socks5:// if it "
            "listens for one of these"
        );
    } else {
        // The text may hold a password: it is not repeated.
        return invalid(
            "a proxy is http://HOST:PORT or socks5://HOST:PORT, with user:password@ before HOST if "
            "it asks for it"
        );
    }
    proxy.host = host_of(*url);
    proxy.port = port_of(*url, proxy.kind == ProxyKind::kHttpConnect ? 8080 : 1080);
    if (proxy.port == 0) return invalid("the proxy's URL has no usable port");
    if (url->has_userinfo()) {
        proxy.user = url->user();
        proxy.password = url->password();
    }
    return proxy;
}

}  // namespace balancer
