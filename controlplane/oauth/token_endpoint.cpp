#include "controlplane/oauth/token_endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/redact.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kAnswerBytesMax = 256 << 10;
constexpr std::size_t kTokenBytesMax = 16 << 10;
constexpr std::size_t kNameBytesMax = 200;
constexpr std::size_t kWordsMax = 300;
// An answer without a lifetime (RFC 6749 only recommends one): better a token for an hour than a token lost.
constexpr double kLifetimeUntold = 3600;
constexpr double kLifetimeMin = 60;
constexpr double kLifetimeMax = 400.0 * 86'400;
constexpr std::int64_t kRetryAfterMax = 86'400;

// A number in (0, 65535], or nothing.
std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

HttpRequest token_request(const OAuthSettings& settings, std::string body) {
    // The settings have been checked.
    Result<HttpRequest> made = request_to(settings.token_url);
    HttpRequest request = made ? *std::move(made) : HttpRequest();
    request.method = "POST";
    request.headers.emplace_back("content-type", "application/json");
    request.headers.emplace_back("accept", "application/json");
    request.headers.emplace_back("user-agent", "claude-code-provider-balancer/" BALANCER_VERSION);
    request.body = std::move(body);
    request.proxy = settings.proxy;
    request.ca_pem = settings.ca_pem;
    request.timeout = settings.timeout;
    request.answer_bytes_max = kAnswerBytesMax;
    return request;
}

std::string text_at(const Json& object, const char* key) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return {};
    return found->get<std::string>();
}

// A name that people see.
std::string name_at(const Json& object, const char* section, const char* key) {
    auto found = object.find(section);
    if (found == object.end() || !found->is_object()) return {};
    std::string name = text_at(*found, key);
    if (name.size() > kNameBytesMax) return {};
    for (char& c : name) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return name;
}

}  // namespace

bool is_token(std::string_view text) {
    return !text.empty() && text.size() <= kTokenBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7F;
    });
}

namespace {

std::string shortened(std::string words, std::string_view secret = {}) {
    constexpr std::string_view kMark = "[redacted]";
    for (std::size_t at = 0; !secret.empty() && (at = words.find(secret, at)) != words.npos; at += kMark.size()) {
        words.replace(at, secret.size(), kMark);
    }
    std::string out = redact(std::string_view(words).substr(0, kWordsMax));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = ' ';
    }
    return out;
}

TokenOutcome outcome(TokenResult result, std::string words) {
    TokenOutcome out;
    out.result = result;
    out.words = std::move(words);
    return out;
}

TokenOutcome issued(const Json& body) {
    std::string access = text_at(body, "access_token");
    std::string refresh = text_at(body, "refresh_token");
    if (!is_token(access) || (!refresh.empty() && !is_token(refresh))) {
        return outcome(TokenResult::kUnknown, "the token endpoint's answer holds no access token");
    }
    TokenOutcome out;
    out.result = TokenResult::kIssued;
    out.grant.access_token = SecretBytes(access);
    out.grant.refresh_token = SecretBytes(refresh);
    wipe(access);
    wipe(refresh);
    double seconds = kLifetimeUntold;
    if (auto told = body.find("expires_in"); told != body.end() && told->is_number()) seconds = told->get<double>();
    out.grant.expires_in = Milliseconds(
        static_cast<std::int64_t>(std::clamp(seconds, kLifetimeMin, kLifetimeMax) * 1000)
    );
    std::string scope = text_at(body, "scope");
    for (std::size_t at = 0; at < scope.size() && out.grant.scopes.size() < 50;) {
        std::size_t end = std::min(scope.find(' ', at), scope.size());
        if (end > at) out.grant.scopes.push_back(scope.substr(at, end - at));
        at = end + 1;
    }
    out.grant.email = name_at(body, "account", "email_address");
    out.grant.account_uuid = name_at(body, "account", "uuid");
    out.grant.organization = name_at(body, "organization", "name");
    out.grant.organization_uuid = name_at(body, "organization", "uuid");
    return out;
}

// "invalid_grant: Refresh token not found". RFC 6749 section 5.2, or Anthropic's own error object.
std::string words_of(const Json& body, std::string_view secret, std::string& code) {
    if (!body.is_object()) return {};
    auto error = body.find("error");
    if (error == body.end()) return {};
    std::string words;
    if (error->is_string()) {
        code = error->get<std::string>();
        words = text_at(body, "error_description");
    } else if (error->is_object()) {
        code = text_at(*error, "type");
        words = text_at(*error, "message");
    }
    return words.empty() ? shortened(code, secret) : shortened(code + ": " + words, secret);
}

Milliseconds retry_after_of(const HttpResponse& answer) {
    std::string_view text = answer.header("retry-after");
    std::int64_t seconds = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (ec != std::errc() || end != text.data() + text.size() || seconds < 0) return Milliseconds(0);
    return std::chrono::seconds(std::min(seconds, kRetryAfterMax));
}

}  // namespace

Result<HttpRequest> request_to(const std::string& url) {
    constexpr std::string_view kHttps = "https://";
    constexpr std::string_view kHttp = "http://";
    HttpRequest request;
    std::string_view rest = url;
    request.tls = rest.starts_with(kHttps);
    if (!request.tls && !rest.starts_with(kHttp)) return invalid("it begins with neither https:// nor http://");
    rest.remove_prefix(request.tls ? kHttps.size() : kHttp.size());
    std::size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
    std::string_view authority = rest.substr(0, slash);
    request.target = std::string(rest.substr(slash));
    if (request.target.empty() || request.target[0] != '/') request.target.insert(0, "/");
    if (authority.find('@') != authority.npos) return invalid("user and password do not belong there");
    if (request.target.find('#') != std::string::npos) return invalid("it has a fragment");
    bool printable = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!printable) return invalid("it holds blanks or characters that a URL writes as %XX");
    request.headers = {{"host", std::string(authority)}};
    request.port = request.tls ? 443 : 80;
    std::size_t bracket = authority.find(']');
    std::size_t colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
    if (colon != authority.npos) {
        std::optional<std::uint16_t> port = port_of(authority.substr(colon + 1));
        if (!port) return invalid("its port is none");
        request.port = *port;
    }
    std::string_view host = authority.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host.empty()) return invalid("it names no host");
    request.host = std::string(host);
    return request;
}

HttpRequest exchange_request(const OAuthSettings& settings, const PendingLogin& login, const std::string& code) {
    nlohmann::ordered_json body{
        {"grant_type", "authorization_code"},
        {"client_id", settings.client_id},
        {"code", code},
        {"redirect_uri", login.redirect_uri},
        {"code_verifier", login.verifier},
        {"state", login.state},
    };
    return token_request(settings, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

HttpRequest refresh_request(const OAuthSettings& settings, const SecretBytes& refresh_token) {
    nlohmann::ordered_json body{
        {"grant_type", "refresh_token"},
        {"client_id", settings.client_id},
        {"refresh_token", std::string(refresh_token.view())},
    };
    return token_request(settings, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

TokenOutcome judge_token_answer(const Result<HttpResponse>& answer, bool sent, std::string_view secret) {
    if (!answer) {
        std::string words = "the token endpoint: " + shortened(answer.error().text());
        return outcome(sent ? TokenResult::kUnknown : TokenResult::kNotSent, std::move(words));
    }
    Json body = Json::parse(answer->body, nullptr, false);
    if (answer->status == 200 || answer->status == 201) {
        if (body.is_object()) return issued(body);
        return outcome(TokenResult::kUnknown, "the token endpoint's answer is cut, or no JSON");
    }
    std::string code;
    std::string said = words_of(body, secret, code);
    std::string words = fmt::format("the token endpoint answered {}", answer->status);
    if (!said.empty()) words += " (" + said + ")";
    if (code == "invalid_grant") return outcome(TokenResult::kInvalidGrant, std::move(words));
    TokenOutcome out;
    out.words = std::move(words);
    out.retry_after = retry_after_of(*answer);
    // Another success, or a server error, may come from behind the point where the old token was used up.
    bool refused = answer->status >= 300 && answer->status < 500;
    out.result = refused ? TokenResult::kTurnedAway : TokenResult::kUnknown;
    return out;
}

}  // namespace balancer::controlplane
