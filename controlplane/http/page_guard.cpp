#include "controlplane/http/page_guard.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>

#include "base/ascii.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kShownBytesMax = 200;

bool is_way_back(std::string_view path) {
    return path == "/oauth/callback" || path == "/callback";
}

bool changes_something(const v1::ManageRequest& request) {
    if (request.method() != "GET" && request.method() != "HEAD") return true;
    return request.path() == "/oauth/authorize" || request.path() == "/oauth/generate-url";
}

// "host:port" of a URL or an origin; "null", an opaque origin, is nobody's.
std::string_view authority_of(std::string_view url) {
    std::size_t scheme = url.find("://");
    if (scheme == url.npos) return {};
    url.remove_prefix(scheme + 3);
    return url.substr(0, url.find_first_of("/?#"));
}

// Without the port, and an IPv6 address without its brackets.
std::string_view host_of(std::string_view authority) {
    if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
    return authority.substr(0, authority.find(':'));
}

bool is_address(std::string_view host) {
    boost::system::error_code error;
    boost::asio::ip::make_address(host, error);
    return !error;
}

bool is_of_another_page(const v1::ManageRequest& request) {
    const std::string& site = request.fetch_site();
    if (!site.empty() && site != "same-origin" && site != "none") return true;
    if (request.origin().empty()) return false;
    return to_lower(authority_of(request.origin())) != to_lower(request.host());
}

bool is_known_host(const std::string& authority, std::string_view redirect_uri) {
    if (authority.empty()) return true;  // no browser leaves it out
    std::string host = to_lower(host_of(authority));
    return host == "localhost" || is_address(host) || host == to_lower(host_of(authority_of(redirect_uri)));
}

}  // namespace

std::string why_refused(const v1::ManageRequest& request, std::string_view redirect_uri) {
    if (is_way_back(request.path())) return {};
    if (changes_something(request) && is_of_another_page(request)) {
        return fmt::format(
            "a page of another origin ({}) asks for {} {}, which only you may do: type the address into the browser "
            "yourself, or use curl or balancerctl",
            request.origin().empty() ? "sec-fetch-site: " + request.fetch_site().substr(0, kShownBytesMax)
                                     : request.origin().substr(0, kShownBytesMax),
            request.method(),
            request.path()
        );
    }
    bool guarded = request.path().starts_with("/oauth/");
    if (guarded && request.client_key_name().empty() && !is_known_host(request.host(), redirect_uri)) {
        return fmt::format(
            "'{}' is no name that this balancer was given, so it may be that of a web page that asks in its reader's "
            "place: use localhost or the IP address instead, or balancerctl oauth; or turn client keys on "
            "(settings.auth), with which any name is good; or name it in settings.oauth.redirect_uri",
            request.host().substr(0, kShownBytesMax)
        );
    }
    return {};
}

}  // namespace balancer::controlplane
