// The token endpoint: what is asked, and what an answer means. Nothing is sent here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/http_client.hpp"
#include "base/result.hpp"
#include "base/secret_bytes.hpp"
#include "controlplane/oauth/oauth_settings.hpp"
#include "controlplane/oauth/pending_logins.hpp"

namespace balancer::controlplane {

// Where `url` leads; an error says what is wrong with it, for the configuration.
Result<HttpRequest> request_to(const std::string& url);

// RFC 6749 section 4.1.3, as JSON, which is what Claude's endpoint takes.
HttpRequest exchange_request(const OAuthSettings& settings, const PendingLogin& login, const std::string& code);

// RFC 6749 section 6.
HttpRequest refresh_request(const OAuthSettings& settings, const SecretBytes& refresh_token);

// It can stand in a header line: printable ASCII without blanks, 1 byte to 8 KiB.
bool is_token(std::string_view text);

// What was issued.
struct TokenGrant {
    SecretBytes access_token;
    SecretBytes refresh_token;  // empty: the old one stays
    Milliseconds expires_in{0};
    std::vector<std::string> scopes;  // none: not told
    std::string email;
    std::string account_uuid;
    std::string organization;
    std::string organization_uuid;
};

// How a token request ended, by what may be done next.
enum class TokenResult {
    kIssued,
    kNotSent,       // nobody has seen the request
    kTurnedAway,    // seen and not processed: it may be sent again, later
    kInvalidGrant,  // the code or the refresh token is of no use (any more)
    kUnknown,       // it may have been processed, and what was issued is lost
};

struct TokenOutcome {
    TokenResult result = TokenResult::kUnknown;
    TokenGrant grant;             // with kIssued
    std::string words;            // for people, else; no secret in it
    Milliseconds retry_after{0};  // as the endpoint told; 0: it did not
};

// `sent` as fetch() sets it. `secret` is what was sent, the code or the refresh token: some repeat it in their words.
TokenOutcome judge_token_answer(const Result<HttpResponse>& answer, bool sent, std::string_view secret);

}  // namespace balancer::controlplane
