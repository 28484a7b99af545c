// How a login begins and ends at the client port, what is told of it, and tokens that are taken over from the original.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/utf8.hpp"
#include "tests/scenario/login_fixture.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

class Logins : public LoginFixture {
  protected:
    void start(const std::string& settings = {}) {
        start_fleet(
            {{"claude", claude_.base_url(), {}, "    auth_type: oauth\n"}, {"spare", spare_.base_url()}},
            "    redirect_uri: http://localhost/oauth/callback\n" + settings,
            {1, 1}
        );
    }

    // Begins a login and consents to it; where the browser is sent to then, at the client port.
    std::string way_back(const std::string& account = {}) {
        std::string query = account.empty() ? "" : "?account=" + account;
        std::optional<Consent> consent = idp_.consent(send("GET", "/oauth/authorize" + query).header("location"));
        if (!consent) ADD_FAILURE() << idp_.why_refused();
        return consent ? consent->redirect.substr(consent->redirect.find("/oauth/callback")) : "";
    }

    std::string state() { return json::parse(send("GET", "/oauth/authorize?format=json").body)["state"]; }
    bool said(const std::string& words) const { return said_.find(words) != std::string::npos; }

    FakeProvider claude_;
    FakeProvider spare_;
};

TEST_F(Logins, EveryPageIsMadeForBrowsersAndForNobodyElse) {
    start();
    std::string back = way_back();
    for (const std::string& path : {back, back, std::string("/oauth/authorize"), std::string("/callback?code=c&state=s")}) {
        RawResponse page = send("GET", path, {}, "Accept: text/html,*/*\r\n");
        EXPECT_EQ(page.header("cache-control"), "no-store") << path;
        EXPECT_EQ(page.header("referrer-policy"), "no-referrer") << path;
        EXPECT_EQ(page.header("x-content-type-options"), "nosniff") << path;
        EXPECT_TRUE(page.header("content-security-policy").starts_with("default-src 'none';")) << path;
        if (page.status == 302) continue;
        EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8") << path;
        EXPECT_NE(page.body.find(page.status == 200 ? "Logged in" : "Not logged in"), std::string::npos) << page.body;
    }
    EXPECT_EQ(status()["summary"]["total_tokens"], 1);
}

// Whoever looks a link over before it is opened must not spend the code.
TEST_F(Logins, OnlyAGetEndsALogin) {
    start();
    std::string back = way_back();
    for (const char* method : {"HEAD", "POST", "OPTIONS"}) {
        RawResponse refused = send(method, back);
        EXPECT_EQ(refused.status, 405U) << method;
        EXPECT_EQ(refused.header("allow"), "GET") << method;
        EXPECT_EQ(refused.body.empty(), std::string(method) == "HEAD") << method;
    }
    EXPECT_EQ(send("GET", back).status, 200U);
}

TEST_F(Logins, AnErrorOfTheProviderEndsTheLoginThatItNames) {
    start();
    std::string denied = "/oauth/callback?error=access_denied&error_description=The+user+said+%C3%BC%FF&state=" + state();
    RawResponse page = send("GET", denied);
    EXPECT_EQ(page.status, 400U);
    EXPECT_NE(page.body.find("access_denied: The user said ü\uFFFD"), std::string::npos) << page.body;
    EXPECT_EQ(to_utf8(page.body), page.body);
    EXPECT_NE(page.body.find("/oauth/authorize"), std::string::npos) << "what to do";
    EXPECT_NE(send("GET", denied).body.find("has come back before"), std::string::npos);
    // Anybody can make somebody open an address.
    RawResponse forged = send("GET", "/oauth/callback?error=e&error_description=Call+this+number&state=forged");
    EXPECT_EQ(forged.status, 400U);
    EXPECT_EQ(forged.body.find("Call this number"), std::string::npos) << forged.body;
    RawResponse long_one = send("GET", "/oauth/callback?error=e&error_description=" + std::string(5000, 'x') + "&state=" + state());
    EXPECT_LT(long_one.body.size(), 2000U);
}

TEST_F(Logins, WrongMethodsAreToldTheRightOne) {
    start();
    const std::vector<std::pair<std::string, std::string>> paths = {
        {"/oauth/authorize", "GET"}, {"/oauth/callback", "GET"}, {"/callback", "GET"}, {"/oauth/generate-url", "GET"},
        {"/oauth/status", "GET"}, {"/oauth/exchange-code", "POST"}, {"/oauth/refresh/joe", "POST"}, {"/oauth/tokens", "DELETE"},
        {"/oauth/tokens/joe", "DELETE"},
    };
    for (const auto& [path, right] : paths) {
        for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
            if (method == right) continue;
            RawResponse refused = send(method, path);
            EXPECT_EQ(refused.status, 405U) << method << ' ' << path;
            EXPECT_EQ(refused.header("allow"), right) << method << ' ' << path;
        }
    }
    for (const char* path : {"/oauth/", "/oauth/refresh/", "/oauth/tokens/", "/oauth/authorize/", "/oauth/nothing"}) {
        EXPECT_EQ(send("GET", path).status, 404U) << path;
    }
}

TEST_F(Logins, NamesInPathsAndQueriesArePercentEncoded) {
    start();
    ASSERT_EQ(send("GET", way_back("joe%2Btag%40example.com")).status, 200U);
    ASSERT_EQ(send("GET", way_back("Zo%C3%AB+K")).status, 200U);
    json shown = status();
    ASSERT_EQ(shown["tokens"].size(), 2U);
    EXPECT_EQ(shown["tokens"][0]["account_email"], "Zoë K");
    EXPECT_EQ(shown["tokens"][1]["account_email"], "joe+tag@example.com");
    EXPECT_EQ(send("POST", "/oauth/refresh/joe%2btag%40example.com").status, 200U);
    EXPECT_EQ(send("POST", "/oauth/refresh/JOE+tag@example.com").status, 200U) << "a plus in a path is a plus";
    EXPECT_EQ(send("POST", "/oauth/refresh/joe%20tag%40example.com").status, 404U);
    for (const char* bad : {"%FF", "%", "a%2Fb", "%00", "..%2F..%2Fx", "joe/x"}) {
        EXPECT_EQ(send("POST", std::string("/oauth/refresh/") + bad).status, 404U) << bad;
    }
    for (const char* bad : {"a%2Fb", "%00", "%0A"}) {
        EXPECT_EQ(send("GET", std::string("/oauth/authorize?account=") + bad).status, 400U) << bad;
        EXPECT_EQ(send("GET", std::string("/oauth/generate-url?account=") + bad).status, 400U) << bad;
    }
    EXPECT_EQ(send("DELETE", "/oauth/tokens/Zo%C3%AB%20K").status, 200U);
    EXPECT_EQ(send("DELETE", "/oauth/tokens/joe%2Btag%40example.com").status, 200U);
    EXPECT_EQ(status()["summary"]["total_tokens"], 0);
}

TEST_F(Logins, WhatIsNoTextOrTooLargeIsRefusedAndNotRelayed) {
    start();
    RawResponse large = exchange_raw(
        fleet_->port(), "POST /oauth/exchange-code HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"
    );
    EXPECT_EQ(large.status, 413U);
    EXPECT_EQ(send("GET", "/oauth/status", {}, "Accept: \xFF\xFE\r\n").status, 200U);
    for (const char* body : {"", "{", "[]", "{}", R"({"code":7})", R"({"code":""})", R"({"code":"abc"})", "{\"code\":\"\xFF#\xFF\"}"}) {
        RawResponse refused = send("POST", "/oauth/exchange-code", body);
        EXPECT_EQ(refused.status, 400U) << body;
        EXPECT_TRUE(json::parse(refused.body)["error"].is_string()) << refused.body;
    }
    EXPECT_EQ(idp_.posts().size(), 0U);
}

TEST_F(Logins, WithoutTheControlPlaneEveryPathSaysSo) {
    start();
    std::string back = way_back();
    fleet_->stop_control_plane();
    for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
             {"GET", "/oauth/authorize"}, {"GET", back}, {"GET", "/oauth/status"}, {"POST", "/oauth/exchange-code"},
             {"POST", "/oauth/refresh/joe"}, {"DELETE", "/oauth/tokens"}}) {
        RawResponse away = send(method, path);
        EXPECT_EQ(away.status, 503U) << path;
        EXPECT_NE(away.body.find("the control plane cannot be reached"), std::string::npos) << away.body;
        EXPECT_EQ(away.body.find("code-"), std::string::npos) << away.body;
    }
}

TEST_F(Logins, StatusTellsWhatOperatorsAskFor) {
    claude_.set_script(script_of({status_step(
        429,
        {{"anthropic-ratelimit-unified-status", "rejected"},
         {"anthropic-ratelimit-unified-representative-claim", "seven_day"},
         {"anthropic-ratelimit-unified-reset", std::to_string(unix_now() / 1000 + 3 * 86'400 + 60)},
         {"anthropic-ratelimit-unified-5h-utilization", "0.42"},
         {"anthropic-ratelimit-unified-5h-reset", std::to_string(unix_now() / 1000 + 7'260)},
         {"anthropic-ratelimit-unified-7d-utilization", "1.0"},
         {"anthropic-ratelimit-unified-7d-reset", std::to_string(unix_now() / 1000 + 3 * 86'400 + 60)}}
    )}));
    start("    enable_auto_refresh: false\n");
    const std::string name = "joe@long.example.com";  // 20 bytes
    ASSERT_EQ(send("GET", way_back(name)).status, 200U);
    int session = 0;
    ASSERT_TRUE(Fleet::eventually([&] {
        fleet_->ask(in_session(fmt::format("s{}", ++session)));
        return !status()["tokens"][0]["held_until"].is_null();
    }));
    idp_.answer_next({{IdpAnswer::Kind::kStatus, 429, R"({"error":"slow_down"})"}});
    EXPECT_EQ(send("POST", "/oauth/refresh/" + name).status, 502U);
    json token = status()["tokens"][0];
    EXPECT_GE(token["token_age_seconds"], 0);
    EXPECT_GT(token["expires_in_seconds"], 7 * 3600);
    EXPECT_TRUE(token["refresh_due"].is_null()) << "nothing is refreshed by itself";
    EXPECT_NE(token["last_refresh"]["result"].get<std::string>().find("slow_down"), std::string::npos);
    EXPECT_GT(token["last_refresh"]["at"], 0);
    EXPECT_EQ(token["windows"]["five_hour"]["used"], 0.42);
    EXPECT_EQ(token["windows"]["seven_day"]["used"], 1.0);
    Metrics metrics = parse_metrics(fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body);
    for (const char* family : {"needs_login", "uncertain", "token_issued_timestamp_seconds", "token_expires_timestamp_seconds",
                               "last_refresh_timestamp_seconds", "refresh_failures", "refreshes_total",
                               "held_until_timestamp_seconds", "window_used_ratio"}) {
        EXPECT_TRUE(metrics.types.contains(fmt::format("balancer_cp_account_{}", family))) << family;
    }
    EXPECT_EQ(metrics.sum("balancer_cp_account_refresh_failures", {{"account", name}}), 1);

    EXPECT_EQ(ctl({"oauth", "status"}), 0);
    EXPECT_TRUE(said("used up") && said("failed") && said("42%, 2h") && said("100%, 3d") && said("slow_down")) << said_;
    std::istringstream lines(said_);
    std::string line;
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(std::getline(lines, line));
        EXPECT_LE(line.size(), 80U) << line;
    }
    EXPECT_EQ(ctl({"-o", "json", "oauth", "status"}), 0);
    EXPECT_EQ(json::parse(said_)["accounts"][0]["use"]["five_hour"], 0.42) << said_;
    EXPECT_EQ(ctl({"events", "--type", "account_held"}), 0);
    EXPECT_TRUE(said(name)) << said_;
    EXPECT_EQ(ctl({"events", "--type", "account_refresh_failed"}), 0);
    EXPECT_TRUE(said("slow_down")) << said_;
}

// A stand-in for the desktop's secret-tool, and for nothing else: the test's own folder is all of PATH.
class Import : public Logins {
  protected:
    void SetUp() override {
        start();
        tools_ = fleet_->folder() / "tools";
        std::filesystem::create_directory(tools_);
        path_before_ = ::getenv("PATH");
        ::setenv("PATH", tools_.c_str(), 1);
    }
    void TearDown() override { ::setenv("PATH", path_before_.c_str(), 1); }

    void install(const std::string& commands) {
        std::filesystem::path tool = tools_ / "secret-tool";
        std::filesystem::remove(tool);
        ASSERT_TRUE(write_file_atomically(tool.string(), "#!/bin/sh\n" + commands, 0755));
    }

    // As Python's keyring keeps it, under `service`.
    void keep(const json& entry, const std::string& service = "claude-code-balancer") {
        ASSERT_TRUE(write_file_atomically((tools_ / "entry").string(), entry.dump(), 0600));
        install(fmt::format(
            "[ \"$*\" = 'lookup service {} username oauth_tokens' ] || exit 1\nexec /bin/cat {}\n",
            service,
            (tools_ / "entry").string()
        ));
    }

    static json token(const std::string& email, const std::string& access, const std::string& refresh) {
        return json{
            {"access_token", access}, {"refresh_token", refresh}, {"expires_at", unix_now() / 1000 + 20'000},
            {"scopes", {"user:inference"}}, {"account_id", "1"}, {"account_email", email}, {"account_name", nullptr},
            {"usage_count", 3}, {"last_used", 1.5}, {"created_at", 1.5},
        };
    }

    std::filesystem::path tools_;
    std::string path_before_;
};

TEST_F(Import, TakesTheOriginalsTokensOverOnce) {
    // The original's login: the provider knows it, and the balancer does not.
    ASSERT_EQ(send("GET", way_back("original")).status, 200U);
    ASSERT_EQ(send("DELETE", "/oauth/tokens").status, 200U);
    const std::string refresh_token = idp_.refresh_tokens().front();
    keep({{"tokens", {token("joe@example.com", idp_.access_tokens().front(), refresh_token)}}, {"metadata", {{"last_saved", 1}}}});
    ASSERT_EQ(ctl({"oauth", "import"}), 0) << said_;
    EXPECT_TRUE(said("account 'joe@example.com' is imported") && said("Stop the original now")) << said_;
    EXPECT_FALSE(said(refresh_token));
    EXPECT_EQ(status()["tokens"][0]["scopes"], json::array({"user:inference"}));
    EXPECT_EQ(ctl({"oauth", "refresh", "joe@example.com"}), 0) << said_;
    EXPECT_FALSE(idp_.is_current(refresh_token)) << "the keyring's is spent from now on";
    // Again: it would put the spent one in the place of the new one.
    EXPECT_EQ(ctl({"oauth", "import"}), 1);
    EXPECT_TRUE(said("joe@example.com") && said("is logged in already") && said("oauth logout")) << said_;
    EXPECT_FALSE(said("Stop the original now")) << said_;
    EXPECT_EQ(ctl({"oauth", "refresh", "joe@example.com"}), 0) << said_;
    EXPECT_EQ(idp_.families_revoked(), 0U);
    EXPECT_EQ(status()["tokens"][0]["state"], "ok");
}

TEST_F(Import, NamesEachTokenThatItCannotTake) {
    json ended = token("ann@example.com", "access", "");
    ended["expires_at"] = 1e300;
    json old = token("bob@example.com", "access", "");
    old["expires_at"] = unix_now() / 1000 - 10;
    keep({{"tokens", {"none", token("", "a", "r"), token("x/y", "a", "r"), token("eve", "", "r"), old, ended}}}, "other");
    EXPECT_EQ(ctl({"oauth", "import"}), 1) << "another service's";
    EXPECT_TRUE(said("no entry of service 'claude-code-balancer'")) << said_;
    EXPECT_EQ(ctl({"oauth", "import", "--service", "other"}), 1) << "not all of them";
    EXPECT_TRUE(said("'x/y' is not imported") && said("'eve' is not imported: there is no access token")) << said_;
    EXPECT_TRUE(said("'bob@example.com' is not imported: its access token has ended")) << said_;
    EXPECT_TRUE(said("account 'ann@example.com' is imported")) << said_;
    EXPECT_EQ(status()["summary"]["total_tokens"], 1);
}

TEST_F(Import, SaysWhyThereIsNothing) {
    auto import = [this] {
        EXPECT_EQ(ctl({"oauth", "import"}), 1);
        return said_;
    };
    auto holds = [](const std::string& text, const char* words) { return text.find(words) != std::string::npos; };
    EXPECT_TRUE(holds(import(), "apt install libsecret-tools")) << said_;
    install("exit 1\n");
    EXPECT_TRUE(holds(import(), "no entry of service 'claude-code-balancer'")) << said_;
    install("exit 0\n");
    EXPECT_TRUE(holds(import(), "no entry of service")) << said_;
    install("echo 'Cannot autolaunch D-Bus without X11' >&2\nexit 1\n");
    EXPECT_TRUE(holds(import(), "secret-tool failed: Cannot autolaunch D-Bus without X11\n")) << said_;
    install("kill -9 $$\n");
    EXPECT_TRUE(holds(import(), "ended by signal 9")) << said_;
    for (const char* cut : {"{\\\"tokens\\\": [{\\\"access", "\\377\\376"}) {
        install(fmt::format("printf '%b' \"{}\"\n", cut));
        EXPECT_TRUE(holds(import(), "is no JSON")) << said_;
    }
    for (const char* empty : {"{}", "[]", "7", "{\\\"tokens\\\": []}", "{\\\"tokens\\\": 1}"}) {
        install(fmt::format("echo \"{}\"\n", empty));
        EXPECT_TRUE(holds(import(), "holds no tokens of the original")) << said_;
    }
    EXPECT_EQ(status()["summary"]["total_tokens"], 0);
}

}  // namespace
}  // namespace balancer::tests
