// Accounts of a subscription: login over the client port, tokens on the data planes, refreshes, windows, and who may use them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "base/query.hpp"
#include "tests/scenario/login_fixture.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

constexpr const char* kOauth = "    auth_type: oauth\n";

class OAuth : public LoginFixture {
  protected:
    void start(unsigned data_planes = 1, const std::string& extra = {}, const std::string& settings = {}) {
        start_fleet(
            {{"claude", claude_.base_url(), extra, kOauth}, {"spare", spare_.base_url()}},
            "    redirect_uri: http://localhost/oauth/callback\n" + settings,
            {data_planes, 1}
        );
    }

    // As a browser goes: to the provider, and back to the client port.
    RawResponse log_in(const std::string& account = {}, const IdpProfile& profile = {}) {
        RawResponse redirect = send("GET", "/oauth/authorize" + (account.empty() ? "" : "?account=" + account));
        EXPECT_EQ(redirect.status, 302U) << redirect.body;
        std::optional<Consent> consent = idp_.consent(redirect.header("location"), profile);
        if (!consent) {
            ADD_FAILURE() << idp_.why_refused();
            return {};
        }
        std::string back = fmt::format("http://localhost:{}", fleet_->port());
        EXPECT_TRUE(consent->redirect.starts_with(back + "/oauth/callback?")) << consent->redirect;
        return send("GET", consent->redirect.substr(back.size()), {}, "Accept: text/html\r\n");
    }

    // A request of a session of its own.
    RawResponse ask(std::size_t index = 0, const std::string& session = {}) {
        return fleet_->ask(in_session(session.empty() ? fmt::format("session-{}", ++sessions_) : session), index);
    }

    bool served_by(const std::string& provider, std::size_t index = 0) {
        return Fleet::eventually([&] { return used(ask(index)) == provider; });
    }

    FakeProvider claude_{{}, accepting(idp_)};
    FakeProvider spare_;
    int sessions_ = 0;
};

TEST_F(OAuth, ServesFromTheLoginOn) {
    start();
    EXPECT_EQ(used(ask()), "spare") << "off until somebody logs in";
    RawResponse page = log_in();
    EXPECT_EQ(page.status, 200U) << page.body;
    EXPECT_NE(page.header("content-type").find("text/html"), std::string::npos);
    EXPECT_NE(page.body.find("joe@example.com"), std::string::npos) << page.body;
    EXPECT_NE(page.body.find("Used by claude"), std::string::npos) << page.body;
    EXPECT_EQ(page.header("cache-control"), "no-store");
    ASSERT_TRUE(served_by("claude/joe@example.com"));
    RecordedRequest sent = claude_.requests().back();
    EXPECT_TRUE(idp_.accepts(sent.header("authorization").substr(7)));
    EXPECT_FALSE(sent.has_header("x-api-key")) << "the client's own credential stays here";
    EXPECT_NE(sent.header("anthropic-beta").find("oauth-2025-04-20"), std::string::npos);
    json shown = status();
    EXPECT_EQ(shown["summary"]["total_tokens"], 1);
    EXPECT_EQ(shown["summary"]["healthy_tokens"], 1);
    EXPECT_EQ(shown["tokens"][0]["account_email"], "joe@example.com");
    EXPECT_EQ(shown["tokens"][0]["providers"], json::array({"claude"}));
    EXPECT_EQ(shown["active_token"]["account_email"], "joe@example.com");
}

TEST_F(OAuth, TheOriginalsEndpointsKeepTheirShapes) {
    start();
    json url = json::parse(send("GET", "/oauth/generate-url").body);
    EXPECT_EQ(url["expires_in_minutes"], 10);
    EXPECT_TRUE(url["instructions"].contains("step_4"));
    Consent consent = *idp_.consent(url["login_url"].get<std::string>());
    // A code without its state could be anybody's.
    RawResponse half = send("POST", "/oauth/exchange-code", json{{"code", consent.code}, {"account_email", "joe"}}.dump());
    EXPECT_EQ(half.status, 400U);
    EXPECT_NE(json::parse(half.body)["error"].get<std::string>().find("state is missing"), std::string::npos);
    RawResponse done = send("POST", "/oauth/exchange-code", json{{"code", consent.pasted()}, {"account_email", "joe"}}.dump());
    ASSERT_EQ(done.status, 200U) << done.body;
    json body = json::parse(done.body);
    EXPECT_EQ(body["status"], "success");
    EXPECT_EQ(body["account_email"], "joe");
    EXPECT_GT(body["expires_at"], unix_now() / 1000 + 7 * 3600);
    EXPECT_EQ(body["scopes"].size(), 3U);
    EXPECT_EQ(send("POST", "/oauth/exchange-code", json{{"code", consent.pasted()}}.dump()).status, 400U) << "once";
    EXPECT_EQ(send("POST", "/oauth/exchange-code", "[]").status, 400U);

    RawResponse refreshed = send("POST", "/oauth/refresh/JOE");
    ASSERT_EQ(refreshed.status, 200U) << refreshed.body;
    EXPECT_EQ(json::parse(refreshed.body)["account_email"], "joe");
    EXPECT_EQ(send("POST", "/oauth/refresh/nobody").status, 404U);
    EXPECT_EQ(send("GET", "/oauth/refresh/joe").status, 405U);
    EXPECT_EQ(send("DELETE", "/oauth/tokens/nobody").status, 404U);
    EXPECT_EQ(send("DELETE", "/oauth/tokens/Joe").status, 200U);
    EXPECT_EQ(status()["summary"]["total_tokens"], 0);
    EXPECT_EQ(send("DELETE", "/oauth/tokens").status, 200U);
    EXPECT_EQ(send("GET", "/oauth/nothing").status, 404U);

    json other = json::parse(send("GET", "/oauth/authorize?format=json").body);
    EXPECT_EQ(
        find_query(parse_query(other["login_url"].get<std::string>()), "state").value_or(""), other["state"].get<std::string>()
    );
    EXPECT_EQ(json::parse(send("GET", "/oauth/authorize", {}, "Accept: application/json\r\n").body)["status"], "success");
}

TEST_F(OAuth, TheWayBackTellsWhatWentWrong) {
    start();
    RawResponse forged = send("GET", "/oauth/callback?code=c&state=forged");
    EXPECT_EQ(forged.status, 400U);
    EXPECT_NE(forged.body.find("no login with this state"), std::string::npos) << forged.body;
    std::string state = json::parse(send("GET", "/oauth/authorize?format=json").body)["state"];
    RawResponse refused = send(
        "GET", "/oauth/callback?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state=" + state
    );
    EXPECT_EQ(refused.status, 400U);
    EXPECT_NE(refused.body.find("access_denied"), std::string::npos);
    EXPECT_EQ(refused.body.find("<script>"), std::string::npos) << refused.body;
    EXPECT_EQ(send("GET", "/callback").status, 400U);
    EXPECT_EQ(idp_.posts().size(), 0U);
}

TEST_F(OAuth, OnlyWhoHasAClientKeyBeginsALoginAndTheBrowserNeedsNoneToEndIt) {
    start(1, {}, "  auth:\n    enabled: true\n    api_key: client-key-of-joe\n");
    for (const char* path : {"/oauth/authorize", "/oauth/generate-url", "/oauth/status"}) {
        EXPECT_EQ(send("GET", path).status, 401U) << path;
    }
    EXPECT_EQ(send("DELETE", "/oauth/tokens").status, 401U);
    const std::string key = "x-api-key: client-key-of-joe\r\n";
    json begun = json::parse(send("GET", "/oauth/authorize?format=json", {}, key).body);
    Consent consent = *idp_.consent(begun["login_url"].get<std::string>());
    std::string path = consent.redirect.substr(consent.redirect.find("/oauth/callback"));
    EXPECT_EQ(send("GET", path).status, 200U);
    EXPECT_EQ(json::parse(send("GET", "/oauth/status", {}, key).body)["summary"]["total_tokens"], 1);
}

TEST_F(OAuth, OthersThanClaudeCodeAreServedByOthers) {
    start();
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    std::string foreign = claude_code_request(in_session("s"));
    std::size_t agent = foreign.find("User-Agent: claude-cli/");
    ASSERT_NE(agent, std::string::npos);
    foreign.replace(agent, 23, "User-Agent: curl/");
    EXPECT_EQ(used(exchange_raw(fleet_->port(), foreign)), "spare");
    std::size_t before = claude_.request_count();
    EXPECT_EQ(used(exchange_raw(fleet_->port(), foreign)), "spare");
    EXPECT_EQ(claude_.request_count(), before);
}

TEST_F(OAuth, UnlessTheOperatorAllowsIt) {
    start(1, {}, "    allow_other_clients: true\n");
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    std::string foreign = claude_code_request(in_session("s"));
    foreign.replace(foreign.find("User-Agent: claude-cli/"), 23, "User-Agent: curl/");
    EXPECT_EQ(used(exchange_raw(fleet_->port(), foreign)), "claude/joe");
}

TEST_F(OAuth, SessionsStayWithTheirAccountAndMoveWhenItsWindowIsUsedUp) {
    start(2);
    log_in("ann", {"uuid-ann", "ann@example.com", "o", "O"});
    log_in("bob", {"uuid-bob", "bob@example.com", "o", "O"});
    ASSERT_EQ(status()["tokens"][0]["account_email"], "ann");
    ASSERT_TRUE(served_by("claude/ann"));
    ASSERT_TRUE(served_by("claude/ann", 1));
    ASSERT_TRUE(served_by("claude/bob", 1));
    std::string mine = "mine";
    while (used(ask(0, mine)) != "claude/ann") mine += "'";
    for (int i = 0; i < 5; ++i) EXPECT_EQ(used(ask(0, mine)), "claude/ann");
    // Ann's 5-hour window ends: one data plane is told, and none asks her again.
    std::int64_t reset = unix_now() / 1000 + 7200;
    Step used_up = status_step(
        429,
        {{"anthropic-ratelimit-unified-status", "rejected"},
         {"anthropic-ratelimit-unified-representative-claim", "five_hour"},
         {"anthropic-ratelimit-unified-reset", std::to_string(reset)},
         {"anthropic-ratelimit-unified-5h-utilization", "1.01"},
         {"anthropic-ratelimit-unified-7d-utilization", "0.4"}}
    );
    claude_.set_script(script_of({used_up, Step{}}));
    EXPECT_EQ(used(ask(0, mine)), "claude/bob");
    EXPECT_TRUE(Fleet::eventually([&] { return !status()["tokens"][0]["held_until"].is_null(); }));
    EXPECT_EQ(status()["tokens"][0]["held_until"], reset);
    EXPECT_DOUBLE_EQ(status()["tokens"][0]["windows"]["five_hour"]["used"].get<double>(), 1.01);
    // Some sessions are Ann's by lot: that none goes to her tells that the other data plane knows.
    ASSERT_TRUE(Fleet::eventually([&] {
        for (int i = 0; i < 10; ++i) {
            if (used(ask(1)) != "claude/bob") return false;
        }
        return true;
    }));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(used(ask(1)), "claude/bob");
    EXPECT_EQ(used(ask(0, mine)), "claude/bob");
    Metrics metrics = parse_metrics(fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body);
    EXPECT_EQ(metrics.sum("balancer_cp_account_window_used_ratio", {{"account", "ann"}, {"window", "seven_day"}}), 0.4);
    EXPECT_EQ(metrics.sum("balancer_cp_account_held_until_timestamp_seconds", {{"account", "ann"}}), static_cast<double>(reset));
}

TEST_F(OAuth, OnlyNamedAccountsServe) {
    start(1, "    accounts: [bob, ann]\n");
    log_in("ann", {"uuid-ann", "ann@example.com", "o", "O"});
    ASSERT_TRUE(served_by("claude/ann"));
    log_in("bob", {"uuid-bob", "bob@example.com", "o", "O"});
    ASSERT_TRUE(served_by("claude/bob"));
    log_in("zoe", {"uuid-zoe", "zoe@example.com", "o", "O"});
    EXPECT_EQ(status()["tokens"][2]["providers"], json::array());
    for (int i = 0; i < 20; ++i) EXPECT_NE(used(ask()), "claude/zoe");
}

// The client asks by the name of the configuration, whoever serves.
TEST_F(OAuth, ARequestMayAskForTheProviderByItsName) {
    start();
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    std::string body = R"({"model":"m","max_tokens":5,"provider":"claude","messages":[{"role":"user","content":"x"}]})";
    EXPECT_EQ(used(exchange_raw(fleet_->port(), claude_code_request(in_session("s"), body))), "claude/joe");
}

TEST_F(OAuth, AStormOfRefusalsFromTenDataPlanesIsOneRefresh) {
    constexpr unsigned kPlanes = 10;
    start(kPlanes);
    log_in("joe");
    for (unsigned i = 0; i < kPlanes; ++i) ASSERT_TRUE(served_by("claude/joe", i));
    idp_.revoke_access(idp_.access_tokens().front());
    std::vector<std::thread> clients;
    std::atomic<int> good{0};
    for (unsigned i = 0; i < kPlanes; ++i) {
        clients.emplace_back([&, i] {
            for (int n = 0; n < 5; ++n) {
                RawResponse answer = fleet_->ask(in_session(fmt::format("storm-{}-{}", i, n)), i);
                if (answer.status == 200) ++good;
            }
        });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(good, 50) << "the spare one took what the account could not";
    for (unsigned i = 0; i < kPlanes; ++i) EXPECT_TRUE(served_by("claude/joe", i)) << i;
    EXPECT_EQ(idp_.refreshes(), 1U);
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(OAuth, DataPlanesThatRestartServeOnWithTheNewestToken) {
    start();
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    const std::string old = claude_.requests().back().header("authorization");
    ASSERT_EQ(ctl({"oauth", "refresh", "joe"}), 0) << said_;
    auto serves_with_the_newest = [&] {
        return served_by("claude/joe") && claude_.requests().back().header("authorization") != old;
    };
    fleet_->restart_data_plane(0);
    EXPECT_TRUE(Fleet::eventually(serves_with_the_newest));
    // It writes down what it serves from, and then needs nobody.
    fleet_->stop_control_plane();
    fleet_->restart_data_plane(0);
    EXPECT_TRUE(Fleet::eventually(serves_with_the_newest));
    EXPECT_EQ(idp_.refreshes(), 1U) << "a restart asks for none";
}

TEST_F(OAuth, RequestsInFlightKeepTheirToken) {
    Step slow;
    slow.message.event_gap = milliseconds(100);
    slow.message.text = "one two three four five six seven eight nine ten";
    start();
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    claude_.set_script(script_of({slow}));
    RawResponse answer;
    std::size_t before = claude_.request_count();
    std::thread client([&] { answer = fleet_->ask(in_session("long", true)); });
    EXPECT_TRUE(claude_.wait_for_requests(before + 1));
    EXPECT_EQ(send("POST", "/oauth/refresh/joe").status, 200U);
    client.join();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_NE(answer.body.find("message_stop"), std::string::npos);
    EXPECT_EQ(status()["tokens"][0]["generation"], 2);
}

TEST_F(OAuth, ADeadLoginIsAnAlertAndANewOneMendsIt) {
    start();
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    idp_.revoke_logins();
    EXPECT_EQ(used(ask()), "spare");
    EXPECT_TRUE(Fleet::eventually([&] { return status()["tokens"][0]["state"] == "needs_login"; }));
    Metrics metrics = parse_metrics(fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body);
    EXPECT_EQ(metrics.sum("balancer_cp_account_needs_login", {{"account", "joe"}}), 1);
    EXPECT_EQ(ctl({"events", "--type", "account_needs_login"}), 0);
    EXPECT_NE(said_.find("balancerctl oauth login joe"), std::string::npos) << said_;
    EXPECT_EQ(ctl({"oauth", "status"}), 4);
    EXPECT_NE(said_.find("needs login"), std::string::npos) << said_;
    log_in("joe");
    EXPECT_TRUE(served_by("claude/joe"));
}

TEST_F(OAuth, BalancerctlLogsInShowsRefreshesAndLogsOut) {
    start();
    // The URL comes first and the code is read afterwards, so the code of another login is pasted here.
    json begun = json::parse(send("GET", "/oauth/generate-url?account=joe").body);
    Consent consent = *idp_.consent(begun["login_url"].get<std::string>());
    EXPECT_EQ(ctl({"oauth", "login", "joe"}, consent.pasted() + "\n"), 0) << said_;
    EXPECT_NE(said_.find("account 'joe' logged in"), std::string::npos) << said_;
    EXPECT_EQ(ctl({"oauth", "refresh", "joe"}), 0) << said_;
    EXPECT_EQ(ctl({"oauth", "status"}), 0) << said_;
    EXPECT_NE(said_.find("joe"), std::string::npos);
    EXPECT_NE(said_.find("REFRESHED"), std::string::npos) << said_;
    EXPECT_EQ(ctl({"-o", "json", "oauth", "status"}), 0);
    EXPECT_EQ(json::parse(said_)["accounts"][0]["generation"], 2) << said_;
    EXPECT_EQ(ctl({"oauth", "login"}, "\n"), 1);
    EXPECT_EQ(ctl({"oauth", "logout"}), 2);
    EXPECT_EQ(ctl({"oauth", "logout", "nobody"}), 1);
    EXPECT_EQ(ctl({"oauth", "logout", "joe"}), 0) << said_;
    EXPECT_EQ(status()["summary"]["total_tokens"], 0);
}

// What a browser says of the page that asks reaches the control plane.
TEST_F(OAuth, APageOfAnotherOriginDoesNothing) {
    start();
    log_in("joe");
    for (const char* line : {"Origin: https://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Origin: null\r\nSec-Fetch-Site: none\r\n"}) {
        for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
                 {"GET", "/oauth/authorize"}, {"GET", "/oauth/generate-url"}, {"POST", "/oauth/exchange-code"},
                 {"POST", "/oauth/refresh/joe"}, {"DELETE", "/oauth/tokens"}, {"POST", "/providers/reload"}}) {
            RawResponse refused = send(method, path, {}, line);
            EXPECT_EQ(refused.status, 403U) << method << " " << path << " " << line;
            EXPECT_NE(refused.body.find("type the address"), std::string::npos) << refused.body;
        }
    }
    EXPECT_EQ(status()["summary"]["total_tokens"], 1);
    EXPECT_EQ(idp_.refreshes(), 0U);
    EXPECT_EQ(send("GET", "/oauth/authorize", {}, "Sec-Fetch-Site: none\r\n").status, 302U);
    std::string own = fmt::format("Origin: http://127.0.0.1:{}\r\nSec-Fetch-Site: same-origin\r\n", fleet_->port());
    EXPECT_EQ(send("POST", "/oauth/refresh/joe", {}, own).status, 200U);
    RawResponse rebound = exchange_raw(fleet_->port(), "GET /oauth/status HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    EXPECT_EQ(rebound.status, 403U);
    EXPECT_EQ(rebound.body.find("joe"), std::string::npos) << rebound.body;
}

TEST_F(OAuth, LoginsBegunAtTheClientPortDoNotLockTheOperatorOut) {
    start();
    std::string url;
    for (int i = 0; i < 64; ++i) url = json::parse(send("GET", "/oauth/generate-url").body)["login_url"];
    EXPECT_EQ(send("GET", "/oauth/generate-url").status, 400U);
    EXPECT_EQ(ctl({"oauth", "login", "joe"}, idp_.consent(url)->pasted() + "\n"), 0) << said_;
    EXPECT_NE(said_.find("account 'joe' logged in"), std::string::npos) << said_;
}

TEST_F(OAuth, ARefreshThatIsUnderWayIsNoFailure) {
    start();
    log_in("joe");
    IdpAnswer slow;
    slow.delay = milliseconds(1'000);
    idp_.answer_next({slow});
    RawResponse first;
    std::thread client([&] { first = send("POST", "/oauth/refresh/joe"); });
    EXPECT_TRUE(idp_.wait_for_posts(2));
    RawResponse second = send("POST", "/oauth/refresh/joe");
    client.join();
    EXPECT_EQ(second.status, 409U);
    EXPECT_NE(second.body.find("under way"), std::string::npos) << second.body;
    EXPECT_EQ(first.status, 200U) << first.body;
    // One whose answer never came is posted again by an operator only.
    idp_.answer_next({{IdpAnswer::Kind::kLost}});
    EXPECT_EQ(send("POST", "/oauth/refresh/joe").status, 502U);
    std::size_t posts = idp_.posts().size();
    RawResponse asked = send("POST", "/oauth/refresh/joe");
    EXPECT_EQ(asked.status, 409U);
    EXPECT_NE(asked.body.find("balancerctl oauth refresh joe"), std::string::npos) << asked.body;
    EXPECT_EQ(idp_.posts().size(), posts);
}

// Refresh tokens are in the control plane and nowhere else: no log at debug level, no metric, no page, no file.
TEST_F(OAuth, RefreshTokensAreNowhere) {
    start(2);
    log_in("joe");
    ASSERT_TRUE(served_by("claude/joe"));
    send("POST", "/oauth/refresh/joe");
    idp_.answer_next({{IdpAnswer::Kind::kStatus, 400, R"({"error":"invalid_request"})"}, {IdpAnswer::Kind::kBroken}});
    send("POST", "/oauth/refresh/joe");
    send("POST", "/oauth/refresh/joe");
    idp_.revoke_logins();
    ask();
    std::string seen = send("GET", "/oauth/status").body + send("GET", "/providers").body;
    seen += fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body;
    for (unsigned i = 0; i < 2; ++i) seen += fleet_->get_at(fleet_->admin_port(i), "/metrics").body;
    ctl({"events"});
    seen += said_;
    ctl({"-o", "json", "oauth", "status"});
    seen += said_;
    ctl({"-o", "json", "config", "show"});
    seen += said_;
    ctl({"-o", "json", "providers", "list"});
    seen += said_;
    ASSERT_GE(idp_.refresh_tokens().size(), 3U);
    for (const std::string& token : idp_.refresh_tokens()) {
        EXPECT_EQ(seen.find(token), std::string::npos);
        EXPECT_EQ(files_holding(fleet_->folder(), token), std::vector<std::string>());
        for (const RecordedRequest& request : claude_.requests()) {
            for (const auto& [name, value] : request.headers) EXPECT_EQ(value.find(token), std::string::npos);
        }
    }
    // Access tokens go to their provider, and into no text.
    for (const std::string& token : idp_.access_tokens()) {
        EXPECT_EQ(seen.find(token), std::string::npos);
        EXPECT_EQ(files_holding(fleet_->folder(), token), std::vector<std::string>());
        for (const RecordedRequest& request : spare_.requests()) {
            for (const auto& [name, value] : request.headers) EXPECT_EQ(value.find(token), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace balancer::tests
