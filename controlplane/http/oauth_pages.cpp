#include "controlplane/http/oauth_pages.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/ascii.hpp"
#include "base/html_page.hpp"
#include "base/query.hpp"
#include "base/redact.hpp"
#include "base/utf8.hpp"
#include "controlplane/http/json_answer.hpp"
#include "controlplane/http/oauth_status.hpp"

namespace balancer::controlplane {
namespace {

using Json = nlohmann::ordered_json;
using Done = std::function<void(v1::ManageResponse)>;

constexpr std::string_view kRefresh = "/oauth/refresh/";
constexpr std::string_view kTokens = "/oauth/tokens";
// Of what a provider says about an error.
constexpr std::size_t kErrorBytesMax = 100;
constexpr std::size_t kWordsBytesMax = 300;
constexpr auto kMinutesValid = std::chrono::duration_cast<std::chrono::minutes>(PendingLogins::kValid).count();

bool wants_json(const v1::ManageRequest& request) {
    if (find_query(parse_query(request.query()), "format") == "json") return true;
    std::string accept = to_lower(request.accept());
    std::size_t json = accept.find("application/json");
    return json != std::string::npos && json < accept.find("text/html");
}

v1::ManageResponse error(unsigned status, std::string words) {
    return respond(status, Json{{"error", std::move(words)}});
}

// What the browser shows at the end of a login.
v1::ManageResponse page(unsigned status, std::string_view title, std::string_view words) {
    v1::ManageResponse response;
    response.set_status(status);
    response.set_content_type("text/html; charset=utf-8");
    response.set_body(html_page(title, words));
    return response;
}

// As the operator wrote it, else ignoring case.
std::string account_named(const Custody& custody, const std::string& text) {
    if (custody.find(text) != nullptr) return text;
    for (const Account* account : custody.accounts()) {
        if (to_lower(account->name) == to_lower(text)) return account->name;
    }
    return text;
}

v1::ManageResponse authorize(ControlPlane& control_plane, const v1::ManageRequest& request) {
    std::string account = find_query(parse_query(request.query()), "account").value_or("");
    Result<LoginStarted> login = control_plane.custody().begin_login(
        LoginWay::kClientPort, std::move(account), request.host()
    );
    if (!login) return error(400, login.error().text());
    if (!wants_json(request)) {
        v1::ManageResponse response;
        response.set_status(302);
        response.set_content_type("text/plain; charset=utf-8");
        response.set_body("The login goes on at the provider.\n");
        response.set_location(login->url);
        return response;
    }
    return respond(
        200,
        Json{
            {"status", "success"},
            {"login_url", login->url},
            {"state", login->state},
            {"redirect_uri", login->redirect_uri},
            {"expires_in_minutes", kMinutesValid},
        }
    );
}

v1::ManageResponse generate_url(ControlPlane& control_plane, const v1::ManageRequest& request) {
    std::string account = find_query(parse_query(request.query()), "account").value_or("");
    Result<LoginStarted> login = control_plane.custody().begin_login(
        LoginWay::kClientPort, std::move(account), request.host()
    );
    if (!login) return error(400, login.error().text());
    return respond(
        200,
        Json{
            {"status", "success"},
            {"login_url", login->url},
            {"instructions",
             {{"step_1", "Open login_url in a browser."},
              {"step_2", "Log in and allow the access."},
              {"step_3", "Copy the whole code that is shown, CODE#STATE."},
              {"step_4", "Send it to POST /oauth/exchange-code."}}},
            {"callback_format", "CODE#STATE"},
            {"exchange_example",
             R"(curl -X POST http://HOST:PORT/oauth/exchange-code -H 'content-type: application/json' -d '{"code": "CODE#STATE", "account_email": "NAME"}')"},
            {"expires_in_minutes", kMinutesValid},
            {"state", login->state},
        }
    );
}

Json logged_in_json(const Account& account) {
    return Json{
        {"status", "success"},
        {"message", fmt::format("account '{}' is logged in", account.name)},
        {"account_email", account.name},
        {"expires_at", account.expires_at / 1000},
        {"scopes", account.scopes},
        {"account_name", account.organization},
    };
}

// "use": nobody may notice for days that no provider uses the account.
std::string use_words(const ControlPlane& control_plane, const Account& account) {
    std::vector<std::string> providers = control_plane.providers_of(account.name);
    if (providers.empty()) {
        return "No provider of the configuration uses it yet: it takes one with auth_type: oauth, and in its accounts, if it "
               "names any.";
    }
    std::string names;
    for (const std::string& provider : providers) names += (names.empty() ? "" : ", ") + provider;
    return fmt::format("Used by {}.", names);
}

// RFC 6749 section 4.1.2.1 and 4.1.2.
void callback(ControlPlane& control_plane, const v1::ManageRequest& request, const Done& done) {
    QueryFields fields = parse_query(request.query());
    bool json = wants_json(request);
    auto fail = [done, json](const std::string& words) {
        if (json) return done(error(400, words));
        done(page(400, "Not logged in", words + ". A login begins at /oauth/authorize, or with: balancerctl oauth login"));
    };
    PastedCode pasted{find_query(fields, "code").value_or(""), find_query(fields, "state").value_or("")};
    if (std::optional<std::string> refused = find_query(fields, "error")) {
        // Words of whoever made this address are shown only if it knows the state of a login.
        if (Result<void> known = control_plane.custody().abandon_login(pasted.state); !known) {
            return fail("The address tells of an error, but " + known.error().text());
        }
        std::string words = find_query(fields, "error_description").value_or("");
        return fail(fmt::format(
            "The provider did not give access: {}{}{}",
            utf8_prefix(*refused, kErrorBytesMax),
            words.empty() ? "" : ": ",
            utf8_prefix(words, kWordsBytesMax)
        ));
    }
    if (pasted.code.empty() || pasted.state.empty()) return fail("This address lacks the code or the state of a login");
    control_plane.custody().finish_login(
        std::move(pasted), {}, [&control_plane, done, json, fail](Result<const Account*> result) {
            if (!result) return fail("It did not work: " + result.error().text());
            const Account& account = **result;
            if (json) return done(respond(200, logged_in_json(account)));
            done(page(
                200,
                "Logged in",
                fmt::format("Account '{}' is logged in. {} You can close this page.", account.name, use_words(control_plane, account))
            ));
        }
    );
}

void exchange_code(ControlPlane& control_plane, const v1::ManageRequest& request, const Done& done) {
    nlohmann::json body = nlohmann::json::parse(request.body(), nullptr, false);
    auto text = [&body](const char* key) {
        return body.contains(key) && body[key].is_string() ? body[key].get<std::string>() : std::string();
    };
    if (!body.is_object()) return done(error(400, "the body is no JSON object with `code`"));
    Result<PastedCode> pasted = parse_pasted(text("code"));
    if (!pasted) return done(error(400, pasted.error().text()));
    std::string account = account_named(control_plane.custody(), text("account_email"));
    control_plane.custody().finish_login(*std::move(pasted), std::move(account), [done](Result<const Account*> result) {
        done(result ? respond(200, logged_in_json(**result)) : error(400, result.error().text()));
    });
}

void refresh(ControlPlane& control_plane, const std::string& name, const Done& done) {
    Custody& custody = control_plane.custody();
    if (custody.find(name) == nullptr) {
        return done(respond(
            404,
            Json{
                {"error", fmt::format("there is no account '{}'", name)},
                {"details", "GET /oauth/status names those that there are"},
            }
        ));
    }
    custody.refresh(name, RefreshCause::kAsked, [done](Result<const Account*> result) {
        if (!result) {
            bool not_now = is_not_now(result.error());
            return done(respond(
                not_now ? 409 : 502,
                Json{{"error", not_now ? "no refresh now" : "the refresh failed"}, {"details", result.error().text()}}
            ));
        }
        const Account& account = **result;
        UnixMs now = unix_now();
        Milliseconds left(account.expires_at - now);
        done(respond(
            200,
            Json{
                {"status", "success"},
                {"message", fmt::format("account '{}' has a new access token", account.name)},
                {"account_email", account.name},
                {"account_id", account.account_uuid},
                {"expires_at", account.expires_at / 1000},
                {"expires_in_seconds", left.count() / 1000},
                {"expires_in_minutes", left.count() / 60'000},
                {"expires_in_human", duration_words(left)},
                {"access_token_preview", "sha256:" + fingerprint(account.access_token.view())},
                {"scopes", account.scopes},
                {"refreshed_at", now / 1000},
            }
        ));
    });
}

v1::ManageResponse forget(ControlPlane& control_plane, const std::string& name) {
    Result<unsigned> forgotten = control_plane.custody().forget(name);
    if (!forgotten) return error(500, forgotten.error().text());
    if (*forgotten == 0 && !name.empty()) return error(404, fmt::format("there is no account '{}'", name));
    return respond(
        200,
        Json{
            {"status", "success"},
            {"message",
             name.empty() ? fmt::format("{} accounts are logged out", *forgotten)
                          : fmt::format("account '{}' is logged out", name)},
        }
    );
}

}  // namespace

bool is_oauth_path(const std::string& path) {
    return path.starts_with("/oauth/") || path == "/callback";
}

void serve_oauth(ControlPlane& control_plane, const v1::ManageRequest& request, Done done) {
    const std::string& path = request.path();
    auto account_behind = [&](std::string_view prefix) {
        return account_named(control_plane.custody(), percent_decoded(path.substr(prefix.size())));
    };
    auto only = [&](const char* method) {
        if (request.method() == method) return true;
        done(respond_not_allowed(request, method));
        return false;
    };
    if (path == "/oauth/authorize") {
        if (only("GET")) done(authorize(control_plane, request));
    } else if (path == "/oauth/generate-url") {
        if (only("GET")) done(generate_url(control_plane, request));
    } else if (path == "/oauth/callback" || path == "/callback") {
        if (only("GET")) callback(control_plane, request, done);
    } else if (path == "/oauth/exchange-code") {
        if (only("POST")) exchange_code(control_plane, request, done);
    } else if (path == "/oauth/status") {
        if (only("GET")) done(respond(200, oauth_status_json(control_plane, unix_now())));
    } else if (path.starts_with(kRefresh) && path.size() > kRefresh.size()) {
        if (only("POST")) refresh(control_plane, account_behind(kRefresh), done);
    } else if (path == kTokens) {
        if (only("DELETE")) done(forget(control_plane, {}));
    } else if (path.starts_with(kTokens) && path.size() > kTokens.size() + 1 && path[kTokens.size()] == '/') {
        if (only("DELETE")) done(forget(control_plane, account_behind(std::string(kTokens) + "/")));
    } else {
        done(respond_error(404, "not_found_error", fmt::format("there is nothing at {}", path)));
    }
}

}  // namespace balancer::controlplane
