// An identity provider with OAuth 2.0 and PKCE, as Claude's: refresh tokens are single-use and rotate, and one that comes
// twice revokes its whole family.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/fake_provider.hpp"
#include "tests/support/http_text.hpp"
#include "tests/support/test_ca.hpp"

namespace balancer::tests {

// How one token request is dealt with.
struct IdpAnswer {
    enum class Kind {
        kWell,
        kStatus,       // `status` and `body`; nothing is issued, and the token stays good
        kLost,         // processed, then the connection is reset without an answer
        kBroken,       // processed, then a 200 whose JSON is cut
        kWithout,      // processed, then a 200 without a refresh token
        kHang,         // not processed, and no answer
    };
    Kind kind = Kind::kWell;
    unsigned status = 200;
    std::string body = {};
    HeaderLines headers = {};
    std::chrono::milliseconds delay{0};  // before it is answered, behind its processing
    std::optional<std::string> expires_in = {};  // JSON in place of the number that is right; empty: not told
};

struct IdpProfile {
    std::string account_uuid = "acc-0001";
    std::string email = "joe@example.com";
    std::string organization_uuid = "org-0001";
    std::string organization = "Joe's Team";
};

// One request at the token endpoint.
struct TokenPost {
    std::string grant_type;
    std::string refresh_token;  // of a refresh
    std::string body;
    HeaderLines headers;
};

struct FakeIdpOptions {
    std::string address = "127.0.0.1:0";
    std::optional<Identity> tls{};
    std::string client_id = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";
    std::chrono::milliseconds expires_in{28'800'000};
    // Tokens die so much earlier than the answer says: a clock that goes wrong.
    std::chrono::milliseconds dies_earlier{0};
    bool sends_profile = true;
};

// What the browser brings back.
struct Consent {
    std::string code;
    std::string state;
    std::string redirect;     // redirect_uri with code and state
    std::string pasted() const { return code + "#" + state; }
};

// HTTP/1.1 on its own thread. Every method is thread-safe.
class FakeIdp {
  public:
    explicit FakeIdp(FakeIdpOptions options = {});
    ~FakeIdp();
    FakeIdp(const FakeIdp&) = delete;
    FakeIdp& operator=(const FakeIdp&) = delete;

    std::string base_url() const;       // http://127.0.0.1:N, or https://localhost:N
    std::string token_url() const;      // …/v1/oauth/token
    std::string authorize_url() const;  // …/oauth/authorize: a page with a button to allow, and one to deny

    // Somebody consents at the authorize URL. Nothing: the URL is not one that this provider takes, as why_refused() says.
    std::optional<Consent> consent(const std::string& url, const IdpProfile& profile = {});
    std::string why_refused() const;

    // The next token requests, in this order; behind them all is well.
    void answer_next(std::vector<IdpAnswer> answers);
    void set_expires_in(std::chrono::milliseconds expires_in);
    // On the provider's thread, when a request has been processed and not answered.
    void set_on_post(std::function<void(const TokenPost&)> on_post);

    std::vector<TokenPost> posts() const;
    std::size_t posts_of(const std::string& refresh_token) const;
    std::size_t refreshes() const;       // refresh requests, whatever became of them
    std::size_t families_revoked() const;
    bool wait_for_posts(std::size_t count, std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

    // As the API would judge it.
    bool accepts(const std::string& access_token) const;
    void revoke_access(const std::string& access_token);   // the access token only
    void revoke_logins();                                  // everything
    // That a refresh would be answered with a new one.
    bool is_current(const std::string& refresh_token) const;
    // Every secret that was ever issued, for canary tests.
    std::vector<std::string> refresh_tokens() const;
    std::vector<std::string> access_tokens() const;

    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// A provider that takes the access tokens of this one, and no others.
FakeProviderOptions accepting(const FakeIdp& idp);

}  // namespace balancer::tests
