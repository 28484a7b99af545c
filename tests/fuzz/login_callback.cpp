// What a browser or a person brings back from a login: the query of the callback, pasted codes, account names in paths; and the
// page that repeats some of it.
#include <algorithm>

#include "base/check.hpp"
#include "base/html_page.hpp"
#include "base/query.hpp"
#include "base/utf8.hpp"
#include "controlplane/oauth/login_url.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using namespace balancer::controlplane;

void as_query(std::string_view bytes) {
    QueryFields fields = parse_query(bytes);
    std::size_t size = 0;
    for (const auto& [name, value] : fields) size += name.size() + value.size();
    BALANCER_CHECK(size <= bytes.size());
    // Fields without name and value are not written down as such.
    std::string written = encode_query(fields);
    BALANCER_CHECK(parse_query(written) == fields);
    BALANCER_CHECK(std::all_of(written.begin(), written.end(), [](char c) { return c > 0x20 && c < 0x7F && c != '#'; }));
    for (const auto& [name, value] : fields) BALANCER_CHECK(find_query(fields, name).has_value());
}

void as_pasted(std::string_view bytes) {
    Result<PastedCode> pasted = parse_pasted(bytes);
    if (!pasted) {
        BALANCER_CHECK(!pasted.error().text().empty());
        return;
    }
    BALANCER_CHECK(!pasted->code.empty() && !pasted->state.empty());
    BALANCER_CHECK(pasted->code.size() + pasted->state.size() < bytes.size());
    // What a provider's page shows for them is read as the same.
    bool plain = (pasted->code + pasted->state).find_first_of("#& \t\r\n") == std::string::npos &&
                 !pasted->code.starts_with("http");
    if (!plain) return;
    Result<PastedCode> again = parse_pasted(pasted->code + "#" + pasted->state);
    BALANCER_CHECK(again && again->code == pasted->code && again->state == pasted->state);
}

void as_host(std::string_view bytes) {
    OAuthSettings settings;
    settings.redirect_uri = "http://localhost/callback";
    std::string uri = redirect_uri_for(settings, bytes);
    BALANCER_CHECK(is_loopback_uri(uri) && uri.ends_with("/callback") && uri.size() <= settings.redirect_uri.size() + 6);
    settings.redirect_uri = std::string(bytes);
    BALANCER_CHECK(is_loopback_uri(bytes) || redirect_uri_for(settings, "127.0.0.1:9090") == bytes);
}

void as_words(std::string_view bytes) {
    std::string text = html_text(bytes);
    BALANCER_CHECK(text.find_first_of("<>\"'") == std::string::npos && to_utf8(text) == text);
    std::string page = html_page(bytes, bytes);
    BALANCER_CHECK(std::count(page.begin(), page.end(), '<') == std::count(page.begin(), page.end(), '>'));
    static const std::string kEmpty = html_page({}, {});
    BALANCER_CHECK(std::count(page.begin(), page.end(), '<') == std::count(kEmpty.begin(), kEmpty.end(), '<'));
    BALANCER_CHECK(page.size() == kEmpty.size() + 3 * text.size());
}

}  // namespace

void login_callback(std::string_view bytes) {
    as_query(bytes);
    as_pasted(bytes);
    as_host(bytes);
    as_words(bytes);
    BALANCER_CHECK(percent_decoded(bytes).size() <= bytes.size());
}

Target login_callback_target() {
    return {
        "login_callback",
        login_callback,
        {
            "code=abc&state=xyz",
            "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C%2Fscript%3E&state=x+y",
            "abc#xyz",
            "  abc&x=1#xyz&more=1\n",
            "http://localhost:9090/oauth/callback?code=abc&state=xyz#",
            "https://h/cb?state=%C3%BC&code=%zz",
            "http://[::1]/callback",
            "127.0.0.1:9090",
            "joe%40example.com",
            "<b title='x'>&amp;\xff</b>",
        },
        {"code=", "state=", "error=", "&", "=", "#", "?", "%", "%00", "%2", "%26", "+", " ", "\n", "http://", "https://", "localhost",
         "127.0.0.1", "[::1]", ":80", ":", "/", "@", "<", ">", "\"", "'", "\xc3", "\xff", std::string(1, '\0')},
    };
}

}  // namespace balancer::fuzz
