#include "tests/support/fake_idp.hpp"

#include <fmt/format.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/file.hpp"
#include "base/net.hpp"
#include "base/query.hpp"
#include "tests/support/loopback_server.hpp"

namespace balancer::tests {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr const char* kAuthorizePath = "/oauth/authorize";
constexpr const char* kTokenPath = "/v1/oauth/token";
constexpr const char* kConsentPage =
    "<!doctype html><title>Consent</title><p>Claude Code wants to use your account.</p>"
    "<form method=post><button id=allow name=answer value=allow>Allow</button>"
    "<button id=deny name=answer value=deny>Deny</button></form>";

struct Code {
    std::string challenge;
    std::string redirect_uri;
    std::string state;
    std::string scope;
    IdpProfile profile;
};

struct Family {
    IdpProfile profile;
    std::string scope;
    std::string refresh_token;  // the current one
    bool revoked = false;
};

struct Access {
    std::size_t family = 0;
    Clock::time_point dies;
    bool revoked = false;
};

struct Decision {
    unsigned status = 200;
    std::string body;
};

Decision refuse(const char* error, const std::string& words) {
    return {400, Json{{"error", error}, {"error_description", words}}.dump()};
}

std::string text_of(const Json& body, const char* key) {
    return body.contains(key) && body[key].is_string() ? body[key].get<std::string>() : std::string();
}

}  // namespace

struct FakeIdp::Impl {
    FakeIdpOptions options;
    std::optional<net::ssl::context> tls;

    mutable std::mutex mutex;
    mutable std::condition_variable arrived;
    std::string refused;
    std::map<std::string, Code> codes;
    std::vector<Family> families;
    std::map<std::string, std::size_t> refresh;  // every one ever issued, to its family
    std::map<std::string, Access> access;
    std::deque<IdpAnswer> script;
    std::vector<TokenPost> posts;
    std::function<void(const TokenPost&)> on_post;
    std::size_t revoked_families = 0;

    LoopbackServer server;  // last: its thread uses the others

    explicit Impl(FakeIdpOptions given) : options(std::move(given)) {}

    std::string base_url() const {
        return options.tls ? fmt::format("https://localhost:{}", server.port()) : "http://" + server.address();
    }

    std::optional<Consent> consent(const std::string& url, const IdpProfile& profile) {
        std::lock_guard lock(mutex);
        auto fail = [this](std::string why) {
            refused = std::move(why);
            return std::nullopt;
        };
        std::size_t mark = url.find('?');
        if (mark == url.npos) return fail("no query");
        QueryFields fields = parse_query(std::string_view(url).substr(mark + 1));
        auto field = [&](const char* name) { return find_query(fields, name).value_or(""); };
        if (field("client_id") != options.client_id) return fail("another client");
        if (field("response_type") != "code") return fail("response_type");
        if (field("code_challenge_method") != "S256") return fail("code_challenge_method");
        if (field("code_challenge").size() != 43) return fail("code_challenge");
        if (field("state").size() < 22) return fail("state");
        if (field("redirect_uri").empty()) return fail("redirect_uri");
        Consent consent;
        consent.code = "code-" + random_hex(16);
        consent.state = field("state");
        consent.redirect = field("redirect_uri") + "?" +
                           encode_query({{"code", consent.code}, {"state", consent.state}});
        codes[consent.code] = Code{
            field("code_challenge"), field("redirect_uri"), consent.state, field("scope"), profile
        };
        return consent;
    }

    static std::optional<std::string> redirect_of(const std::optional<Consent>& given) {
        return given ? std::optional(given->redirect) : std::nullopt;
    }

    // RFC 6749 section 4.1.2.1.
    static std::optional<std::string> denial(std::string_view url) {
        QueryFields fields = parse_query(url.substr(std::min(url.find('?'), url.size() - 1) + 1));
        std::optional<std::string> redirect = find_query(fields, "redirect_uri");
        if (!redirect) return std::nullopt;
        return *redirect + "?" +
               encode_query({
                   {"error", "access_denied"},
                   {"error_description", "The user said no."},
                   {"state", find_query(fields, "state").value_or("")},
               });
    }

    // A new pair for the family; the answer that tells it.
    Decision issue(std::size_t family) {
        Family& owner = families[family];
        owner.refresh_token = "sk-ant-ort01-" + random_hex(24);
        refresh[owner.refresh_token] = family;
        std::string token = "sk-ant-oat01-" + random_hex(24);
        access[token] = Access{family, Clock::now() + options.expires_in - options.dies_earlier, false};
        Json body{
            {"token_type", "Bearer"},
            {"access_token", token},
            {"expires_in", std::chrono::duration<double>(options.expires_in).count()},
            {"refresh_token", owner.refresh_token},
            {"scope", owner.scope},
        };
        if (options.sends_profile) {
            body["organization"] = {
                {"uuid", owner.profile.organization_uuid}, {"name", owner.profile.organization}
            };
            body["account"] = {
                {"uuid", owner.profile.account_uuid}, {"email_address", owner.profile.email}
            };
        }
        return {200, body.dump()};
    }

    Decision exchange(const Json& body) {
        auto found = codes.find(text_of(body, "code"));
        if (found == codes.end()) return refuse("invalid_grant", "Invalid 'code' in request.");
        Code code = found->second;
        codes.erase(found);  // single use, whatever becomes of it
        if (to_base64url(sha256(text_of(body, "code_verifier"))) != code.challenge) {
            return refuse("invalid_grant", "Invalid 'code_verifier' in request.");
        }
        if (text_of(body, "redirect_uri") != code.redirect_uri) {
            return refuse("invalid_request", "Invalid 'redirect_uri' in request.");
        }
        if (text_of(body, "state") != code.state) return refuse("invalid_request", "Invalid 'state' in request.");
        families.push_back(Family{code.profile, code.scope, {}, false});
        return issue(families.size() - 1);
    }

    Decision rotate(const std::string& token) {
        auto found = refresh.find(token);
        if (found == refresh.end()) return refuse("invalid_grant", "Refresh token not found or invalid");
        Family& family = families[found->second];
        if (family.revoked) return refuse("invalid_grant", "Refresh token revoked");
        if (family.refresh_token != token) {
            revoke(found->second);
            return refuse("invalid_grant", "Refresh token was used before");
        }
        return issue(found->second);
    }

    void revoke(std::size_t family) {
        families[family].revoked = true;
        ++revoked_families;
        for (auto& [token, entry] : access) entry.revoked = entry.revoked || entry.family == family;
    }

    Decision decide(const TokenPost& post, const Json& body) {
        if (text_of(body, "client_id") != options.client_id) return refuse("invalid_client", "Unknown client");
        if (post.grant_type == "authorization_code") return exchange(body);
        if (post.grant_type == "refresh_token") return rotate(post.refresh_token);
        return refuse("unsupported_grant_type", "Unknown grant_type");
    }

    // What is answered; nothing: no answer at all.
    struct Outcome {
        IdpAnswer how;
        Decision decision;
    };
    Outcome take_post(const Request& request) {
        Outcome outcome;
        TokenPost post;
        post.body = request.body();
        for (const auto& field : request) {
            post.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
        }
        Json body = Json::parse(post.body, nullptr, false);
        std::function<void(const TokenPost&)> hook;
        {
            std::lock_guard lock(mutex);
            if (!script.empty()) {
                outcome.how = script.front();
                script.pop_front();
            }
            if (body.is_object()) {
                post.grant_type = text_of(body, "grant_type");
                post.refresh_token = text_of(body, "refresh_token");
            }
            bool processed = outcome.how.kind != IdpAnswer::Kind::kStatus &&
                             outcome.how.kind != IdpAnswer::Kind::kHang;
            if (!body.is_object()) {
                outcome.decision = refuse("invalid_request", "not JSON");
            } else if (processed) {
                outcome.decision = decide(post, body);
            } else {
                outcome.decision = {outcome.how.status, outcome.how.body};
            }
            posts.push_back(post);
            hook = on_post;
        }
        arrived.notify_all();
        if (hook) hook(post);
        return outcome;
    }

    template <class Stream>
    net::awaitable<void> answer(Stream& stream, const Request& request) {
        Response response;
        response.version(11);
        response.keep_alive(false);
        std::string path = std::string(request.target()).substr(0, std::string(request.target()).find('?'));
        if (path == kAuthorizePath && request.method() == http::verb::get) {
            // Its forms come back to the same address.
            response.set(http::field::content_type, "text/html; charset=utf-8");
            response.body() = kConsentPage;
        } else if (path == kAuthorizePath && request.method() == http::verb::post) {
            std::string target(request.target());
            std::optional<std::string> back =
                request.body() == "answer=allow" ? redirect_of(consent(target, {})) : denial(target);
            response.result(back ? 303U : 400U);
            if (back) response.set(http::field::location, *back);
        } else if (path == kTokenPath && request.method() == http::verb::post) {
            Outcome outcome = take_post(request);
            const IdpAnswer& how = outcome.how;
            if (how.kind == IdpAnswer::Kind::kHang) {
                // Until the client gives up, or the provider stops.
                char byte = 0;
                co_await stream.async_read_some(net::buffer(&byte, 1), kNoThrow);
                co_return;
            }
            net::steady_timer timer(stream.get_executor(), how.delay);
            co_await timer.async_wait(kNoThrow);
            if (how.kind == IdpAnswer::Kind::kLost) co_return;
            response.result(outcome.decision.status);
            for (const auto& [name, value] : how.headers) response.set(name, value);
            response.set(http::field::content_type, "application/json");
            response.body() = outcome.decision.body;
            if (how.kind == IdpAnswer::Kind::kBroken) response.body().resize(response.body().size() / 2);
            if (how.kind == IdpAnswer::Kind::kWithout) {
                Json body = Json::parse(response.body());
                body.erase("refresh_token");
                response.body() = body.dump();
            }
            if (how.expires_in && outcome.decision.status == 200) {
                Json body = Json::parse(response.body());
                body.erase("expires_in");
                if (!how.expires_in->empty()) body["expires_in"] = Json::parse(*how.expires_in);
                response.body() = body.dump();
            }
        } else {
            response.result(404U);
        }
        response.prepare_payload();
        co_await http::async_write(stream, response, kNoThrow);
    }

    template <class Stream>
    net::awaitable<void> serve(Stream& stream) {
        beast::flat_buffer buffer;
        Request request;
        auto [ec, size] = co_await http::async_read(stream, buffer, request, kNoThrow);
        if (!ec) co_await answer(stream, request);
    }

    net::awaitable<void> serve_socket(std::shared_ptr<beast::tcp_stream> socket) {
        if (!tls) co_return co_await serve(*socket);
        beast::ssl_stream<beast::tcp_stream&> stream(*socket, *tls);
        auto [ec] = co_await stream.async_handshake(net::ssl::stream_base::server, kNoThrow);
        if (!ec) co_await serve(stream);
    }
};

FakeIdp::FakeIdp(FakeIdpOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
    if (impl_->options.tls) {
        impl_->tls.emplace(net::ssl::context::tls_server);
        impl_->tls->use_certificate_chain(net::buffer(impl_->options.tls->certificate_pem));
        impl_->tls->use_private_key(net::buffer(impl_->options.tls->key_pem), net::ssl::context::pem);
    }
    impl_->server.start(impl_->options.address, [impl = impl_.get()](net::ip::tcp::socket socket) {
        auto stream = std::make_shared<beast::tcp_stream>(std::move(socket));
        return LoopbackServer::Session{
            impl->serve_socket(stream),
            [weak = std::weak_ptr(stream)] {
                auto alive = weak.lock();
                if (!alive) return;
                ErrorCode ignored;
                alive->socket().close(ignored);
            },
        };
    });
}

FakeIdp::~FakeIdp() {
    stop();
}

void FakeIdp::stop() {
    impl_->server.stop();
}

std::string FakeIdp::base_url() const {
    return impl_->base_url();
}

std::string FakeIdp::token_url() const {
    return base_url() + kTokenPath;
}

std::string FakeIdp::authorize_url() const {
    return base_url() + kAuthorizePath;
}

std::optional<Consent> FakeIdp::consent(const std::string& url, const IdpProfile& profile) {
    return impl_->consent(url, profile);
}

std::string FakeIdp::why_refused() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->refused;
}

void FakeIdp::answer_next(std::vector<IdpAnswer> answers) {
    std::lock_guard lock(impl_->mutex);
    for (IdpAnswer& answer : answers) impl_->script.push_back(std::move(answer));
}

void FakeIdp::set_expires_in(std::chrono::milliseconds expires_in) {
    std::lock_guard lock(impl_->mutex);
    impl_->options.expires_in = expires_in;
}

void FakeIdp::set_on_post(std::function<void(const TokenPost&)> on_post) {
    std::lock_guard lock(impl_->mutex);
    impl_->on_post = std::move(on_post);
}

std::vector<TokenPost> FakeIdp::posts() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->posts;
}

std::size_t FakeIdp::posts_of(const std::string& refresh_token) const {
    std::lock_guard lock(impl_->mutex);
    std::size_t count = 0;
    for (const TokenPost& post : impl_->posts) {
        if (post.refresh_token == refresh_token) ++count;
    }
    return count;
}

std::size_t FakeIdp::refreshes() const {
    std::lock_guard lock(impl_->mutex);
    std::size_t count = 0;
    for (const TokenPost& post : impl_->posts) {
        if (post.grant_type == "refresh_token") ++count;
    }
    return count;
}

std::size_t FakeIdp::families_revoked() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->revoked_families;
}

bool FakeIdp::wait_for_posts(std::size_t count, std::chrono::milliseconds timeout) const {
    std::unique_lock lock(impl_->mutex);
    return impl_->arrived.wait_for(lock, timeout, [&] { return impl_->posts.size() >= count; });
}

bool FakeIdp::accepts(const std::string& access_token) const {
    std::lock_guard lock(impl_->mutex);
    auto found = impl_->access.find(access_token);
    return found != impl_->access.end() && !found->second.revoked && Clock::now() < found->second.dies;
}

void FakeIdp::revoke_access(const std::string& access_token) {
    std::lock_guard lock(impl_->mutex);
    auto found = impl_->access.find(access_token);
    if (found != impl_->access.end()) found->second.revoked = true;
}

void FakeIdp::revoke_logins() {
    std::lock_guard lock(impl_->mutex);
    for (std::size_t i = 0; i < impl_->families.size(); ++i) impl_->revoke(i);
}

bool FakeIdp::is_current(const std::string& refresh_token) const {
    std::lock_guard lock(impl_->mutex);
    auto found = impl_->refresh.find(refresh_token);
    if (found == impl_->refresh.end()) return false;
    const Family& family = impl_->families[found->second];
    return !family.revoked && family.refresh_token == refresh_token;
}

std::vector<std::string> FakeIdp::refresh_tokens() const {
    std::lock_guard lock(impl_->mutex);
    std::vector<std::string> tokens;
    for (const auto& [token, family] : impl_->refresh) tokens.push_back(token);
    return tokens;
}

std::vector<std::string> FakeIdp::access_tokens() const {
    std::lock_guard lock(impl_->mutex);
    std::vector<std::string> tokens;
    for (const auto& [token, entry] : impl_->access) tokens.push_back(token);
    return tokens;
}

FakeProviderOptions accepting(const FakeIdp& idp) {
    FakeProviderOptions options;
    options.accepts_token = [&idp](const std::string& token) { return idp.accepts(token); };
    return options;
}

}  // namespace balancer::tests
