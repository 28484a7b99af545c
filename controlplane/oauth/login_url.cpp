#include "controlplane/oauth/login_url.hpp"

#include "base/query.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kPastedBytesMax = 8192;
constexpr std::string_view kHttp = "http://";

// "localhost:9090" of "http://localhost:9090/path"; empty: the scheme is another one.
std::string_view authority_of(std::string_view uri) {
    if (!uri.starts_with(kHttp)) return {};
    uri.remove_prefix(kHttp.size());
    return uri.substr(0, uri.find_first_of("/?#"));
}

// Behind the host; npos: there is no port.
std::size_t colon_of(std::string_view authority) {
    std::size_t bracket = authority.find(']');
    return authority.find(':', bracket == authority.npos ? 0 : bracket);
}

bool is_loopback_host(std::string_view host) {
    return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    std::size_t first = text.find_first_not_of(kBlanks);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::string authorize_url(const OAuthSettings& settings, const PendingLogin& login) {
    std::string url = settings.authorize_url;
    url += url.find('?') == std::string::npos ? '?' : '&';
    url += encode_query({
        {"code", "true"},
        {"client_id", settings.client_id},
        {"response_type", "code"},
        {"redirect_uri", login.redirect_uri},
        {"scope", settings.scope},
        {"code_challenge", challenge_of(login.verifier)},
        {"code_challenge_method", "S256"},
        {"state", login.state},
    });
    return url;
}

bool is_loopback_uri(std::string_view uri) {
    std::string_view authority = authority_of(uri);
    return is_loopback_host(authority.substr(0, colon_of(authority)));
}

std::string redirect_uri_for(const OAuthSettings& settings, std::string_view host) {
    const std::string& uri = settings.redirect_uri;
    if (!is_loopback_uri(uri)) return uri;
    std::string_view authority = authority_of(uri);
    if (colon_of(authority) != authority.npos) return uri;
    std::size_t colon = colon_of(host);
    if (colon == host.npos) return uri;
    std::string_view port = host.substr(colon);
    if (port.size() < 2 || port.size() > 6 || port.find_first_not_of("0123456789", 1) != port.npos) return uri;
    std::string out = uri;
    return out.insert(kHttp.size() + authority.size(), port);
}

Result<PastedCode> parse_pasted(std::string_view text) {
    text = trimmed(text);
    if (text.empty()) return invalid("the code is missing: paste what the login page shows, CODE#STATE");
    if (text.size() > kPastedBytesMax) return invalid("this is too long for a code");
    PastedCode pasted;
    if (text.starts_with("http://") || text.starts_with("https://")) {
        std::size_t mark = text.find('?');
        if (mark == text.npos) return invalid("this URL has no code in it");
        std::string_view query = text.substr(mark + 1);
        QueryFields fields = parse_query(query.substr(0, query.find('#')));
        pasted.code = find_query(fields, "code").value_or("");
        pasted.state = find_query(fields, "state").value_or("");
    } else {
        std::size_t hash = text.find('#');
        pasted.code = text.substr(0, hash);
        if (hash != text.npos) pasted.state = text.substr(hash + 1);
        // Some copy the end of a URL.
        pasted.code.resize(std::min(pasted.code.find('&'), pasted.code.size()));
        pasted.state.resize(std::min(pasted.state.find('&'), pasted.state.size()));
    }
    if (pasted.code.empty()) return invalid("the code is missing: paste what the login page shows, CODE#STATE");
    if (pasted.state.empty()) {
        return invalid(
            "the state is missing: paste all of what the login page shows, CODE#STATE; the part behind # says "
            "which login it belongs to"
        );
    }
    return pasted;
}

}  // namespace balancer::controlplane
