// Several accounts of one provider: which session goes to which, what holds one, and where their tokens never go.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/scenario/login_fixture.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;

// What an answer tells of the account's windows.
HeaderLines windows(const std::string& status, const std::string& claim, UnixMs reset, const std::string& five_hour) {
    return {
        {"anthropic-ratelimit-unified-status", status},
        {"anthropic-ratelimit-unified-representative-claim", claim},
        {"anthropic-ratelimit-unified-reset", std::to_string(reset / 1000)},
        {"anthropic-ratelimit-unified-5h-utilization", five_hour},
        {"anthropic-ratelimit-unified-7d-utilization", "0.1"},
    };
}

class Accounts : public LoginFixture {
  protected:
    // The provider `claude`, and `others` behind it.
    void start(unsigned data_planes, std::vector<ProviderText> others = {}, const std::string& settings = {}) {
        others.insert(others.begin(), {"claude", claude_.base_url(), {}, "    auth_type: oauth\n"});
        start_fleet(std::move(others), settings, {data_planes, 1});
    }

    // Its access token.
    std::string log_in(const std::string& account) {
        std::vector<std::string> before = idp_.access_tokens();
        json begun = json::parse(send("GET", "/oauth/generate-url?account=" + account).body);
        std::optional<Consent> consent = idp_.consent(
            begun["login_url"].get<std::string>(), {"uuid-" + account, account + "@example.com", "o", "O"}
        );
        EXPECT_TRUE(consent) << idp_.why_refused();
        if (!consent) return {};
        json body{{"code", consent->pasted()}, {"account_email", account}};
        RawResponse done = send("POST", "/oauth/exchange-code", body.dump());
        EXPECT_EQ(done.status, 200U) << done.body;
        wait_for_sync();
        for (const std::string& token : idp_.access_tokens()) {
            if (std::find(before.begin(), before.end(), token) == before.end()) return token;
        }
        return {};
    }

    // Every data plane has what was published last.
    void wait_for_sync() {
        ASSERT_TRUE(Fleet::eventually([&] {
            ctl({"-o", "json", "status"});
            json status = json::parse(said_, nullptr, false);
            if (!status.is_object() || !status.contains("data_planes_connected")) return false;
            return status["data_planes_connected"] == status.value("data_planes_in_sync", json());
        })) << said_;
    }

    json account(const std::string& name) {
        json tokens = status()["tokens"];
        for (const json& one : tokens) {
            if (one["account_email"] == name) return one;
        }
        return {};
    }

    std::string new_session() { return fmt::format("session-{}", ++sessions_); }

    static ClaudeCodeRequest request(const std::string& session, const std::string& model) {
        ClaudeCodeRequest request = in_session(session);
        if (!model.empty()) request.model = model;
        return request;
    }

    std::string ask(const std::string& session, const std::string& model = {}, std::size_t index = 0) {
        RawResponse answer = fleet_->ask(request(session, model), index);
        EXPECT_EQ(answer.status, 200U) << answer.body;
        return used(answer);
    }

    std::string ask_pinned(const std::string& session) {
        std::string body = R"({"model":"m","max_tokens":5,"provider":"claude","messages":[{"role":"user","content":"x"}]})";
        return used(exchange_raw(fleet_->port(), claude_code_request(in_session(session), body)));
    }

    using Served = std::map<std::string, std::string>;  // sessions, and who serves them

    Served serve(int sessions, const std::function<std::string(const std::string&)>& ask_in) {
        Served served;
        for (int i = 0; i < sessions; ++i) {
            std::string session = new_session();
            served[session] = ask_in(session);
        }
        return served;
    }
    Served serve_model(int sessions, const std::string& model, std::size_t index = 0) {
        return serve(sessions, [&](const std::string& session) { return ask(session, model, index); });
    }
    Served serve(int sessions) { return serve_model(sessions, {}); }

    static int count(const Served& served, const std::string& provider) {
        return static_cast<int>(std::count_if(served.begin(), served.end(), [&](const auto& one) {
            return one.second == provider;
        }));
    }
    static std::string one_of(const Served& served, const std::string& provider) {
        for (const auto& [session, by] : served) {
            if (by == provider) return session;
        }
        ADD_FAILURE() << "no session with " << provider;
        return {};
    }

    // The next answer, to a session of that account, is `step`. Returns who has served it in the end.
    std::string tell(const std::string& session, Step step, const std::string& model = {}) {
        claude_.set_script(script_of({std::move(step), Step{}}));
        std::string by = ask(session, model);
        claude_.set_script({});
        return by;
    }

    FakeProvider claude_{{}, accepting(idp_)};
    FakeProvider keyed_;
    FakeProvider elsewhere_;
    int sessions_ = 0;
};

TEST_F(Accounts, ShareNewSessionsByWhatEachHasLeftAndKeepThoseThatTheyHave) {
    start(1);
    for (const char* name : {"ann", "bob", "cid"}) log_in(name);
    Served first = serve(90);
    for (const char* name : {"claude/ann", "claude/bob", "claude/cid"}) EXPECT_GE(count(first, name), 12) << name;
    Step nearly;
    nearly.headers = windows("allowed_warning", "five_hour", unix_now() + 7'200'000, "0.97");
    EXPECT_EQ(tell(one_of(first, "claude/ann"), nearly), "claude/ann");
    ASSERT_TRUE(Fleet::eventually([&] { return account("ann")["windows"].is_object(); }));
    wait_for_sync();
    Served second = serve(90);
    EXPECT_LE(count(second, "claude/ann"), 12) << "2 expected";
    EXPECT_GE(count(second, "claude/bob"), 20);
    for (const auto& [session, by] : first) EXPECT_EQ(ask(session), by) << session;
}

TEST_F(Accounts, AHeldOneIsSkippedUntilItsReset) {
    start(2);
    for (const char* name : {"ann", "bob", "cid"}) log_in(name);
    Served first = serve(30);
    UnixMs reset = (unix_now() / 1000 + 5) * 1000;
    std::string moved = one_of(first, "claude/bob");
    std::string to = tell(moved, status_step(429, windows("rejected", "five_hour", reset, "1.01")));
    EXPECT_NE(to, "claude/bob");
    ASSERT_TRUE(Fleet::eventually([&] { return !account("bob")["held_until"].is_null(); }));
    wait_for_sync();
    for (std::size_t i = 0; unix_now() < reset; ++i) {
        std::string by = ask(new_session(), {}, i % 2);
        if (by == "claude/bob") EXPECT_GE(unix_now(), reset);
    }
    SteadyTime until = steady_now() + std::chrono::seconds(60);
    bool back = false;
    while (!back && steady_now() < until) back = ask(new_session(), {}, 1) == "claude/bob";
    EXPECT_TRUE(back);
    EXPECT_EQ(ask(moved), to) << "what has moved stays";
}

TEST_F(Accounts, PinnedSessionsStayWithTheirAccountToo) {
    start(1);
    for (const char* name : {"ann", "bob", "cid"}) log_in(name);
    auto pinned = [this](const std::string& session) { return ask_pinned(session); };
    Served first = serve(45, pinned);
    for (const char* name : {"claude/ann", "claude/bob", "claude/cid"}) EXPECT_GE(count(first, name), 4) << name;
    Step nearly;
    nearly.headers = windows("allowed_warning", "five_hour", unix_now() + 7'200'000, "0.97");
    claude_.set_script(script_of({nearly, Step{}}));
    EXPECT_EQ(ask_pinned(one_of(first, "claude/ann")), "claude/ann");
    ASSERT_TRUE(Fleet::eventually([&] { return account("ann")["windows"].is_object(); }));
    wait_for_sync();
    for (const auto& [session, by] : first) EXPECT_EQ(ask_pinned(session), by) << session;
    EXPECT_LE(count(serve(45, pinned), "claude/ann"), 10);
}

TEST_F(Accounts, AUsedUpWindowOfOneFamilyHoldsItForTheWholeFleet) {
    start(2);
    for (const char* name : {"ann", "bob"}) log_in(name);
    Served first = serve_model(20, "claude-opus-4-1");
    UnixMs reset = unix_now() + 2 * 86'400'000LL;
    Step used_up = status_step(429, windows("rejected", "seven_day_opus", reset, "0.1"));
    EXPECT_EQ(tell(one_of(first, "claude/ann"), used_up, "claude-opus-4-1"), "claude/bob");
    ASSERT_TRUE(Fleet::eventually([&] { return account("ann")["windows"].is_object(); }));
    wait_for_sync();
    for (std::size_t index : {0U, 1U}) {
        // Another model of the family, of which nobody has heard anything.
        EXPECT_EQ(count(serve_model(20, "claude-opus-4-5", index), "claude/bob"), 20);
        EXPECT_GT(count(serve_model(20, "claude-sonnet-4-5", index), "claude/ann"), 0);
    }
    EXPECT_TRUE(account("ann")["held_until"].is_null());
    EXPECT_EQ(account("ann")["held_models"][0]["family"], "opus") << account("ann");
    EXPECT_EQ(account("ann")["held_models"][0]["until"], reset / 1000);
    EXPECT_EQ(ctl({"events", "--type", "account_held"}), 0);
    EXPECT_NE(said_.find("its window for opus models is used up"), std::string::npos) << said_;
}

// Neither by the planes nor, with their help, by the client.
TEST_F(Accounts, NobodyFollowsARedirect) {
    start(1, {}, "  unhealthy_threshold: 1000\n");
    std::string token = log_in("ann");
    Step away = status_step(307, {{"location", elsewhere_.base_url() + "/v1/messages?echo=" + token}});
    auto expect_nothing_lost = [&](const RawResponse& answer) {
        EXPECT_EQ(answer.status, 503U) << answer.body;
        EXPECT_EQ(answer.header("location"), "");
        EXPECT_EQ(answer.body.find(token), std::string::npos) << answer.body;
        EXPECT_EQ(elsewhere_.connection_count(), 0U);
    };
    Script everywhere = script_of({away});
    Match models;
    models.path = "/v1/models";
    everywhere.rules.push_back({models, {away}});
    claude_.set_script(everywhere);
    std::size_t before = claude_.request_count();
    for (bool stream : {false, true}) expect_nothing_lost(fleet_->ask(in_session(new_session(), stream)));
    EXPECT_EQ(claude_.request_count(), before + 2) << "each was asked, and only there";
    send("GET", "/v1/models");
    EXPECT_EQ(ctl({"providers", "test", "claude", "--model", "m"}), 1);
    EXPECT_NE(said_.find("correct base_url"), std::string::npos) << said_;
    EXPECT_EQ(said_.find(token), std::string::npos);
    EXPECT_EQ(files_holding(fleet_->folder(), token), std::vector<std::string>());

    // The token endpoint.
    idp_.answer_next({{IdpAnswer::Kind::kStatus, 307, "{}", {{"location", elsewhere_.base_url() + "/v1/oauth/token"}}}});
    EXPECT_EQ(send("POST", "/oauth/refresh/ann").status, 502U);
    EXPECT_EQ(send("POST", "/oauth/refresh/ann").status, 200U) << "nothing was used up";
    EXPECT_EQ(idp_.families_revoked(), 0U);
    EXPECT_EQ(elsewhere_.connection_count(), 0U);
}

TEST_F(Accounts, AKeyDoesNotFollowARedirectInTheOriginalsFailoverEither) {
    start(
        1,
        {{"keyed", keyed_.base_url()}, {"other", keyed_.base_url()}},
        "  failover: on_unhealthy\n  unhealthy_threshold: 1000\n"
    );
    keyed_.set_script(script_of({status_step(308, {{"location", elsewhere_.base_url()}})}));
    RawResponse answer = fleet_->ask(in_session(new_session()));
    EXPECT_EQ(answer.status, 503U) << answer.body;
    EXPECT_EQ(answer.header("location"), "");
    EXPECT_EQ(keyed_.request_count(), 1U);
    EXPECT_EQ(elsewhere_.connection_count(), 0U);
}

TEST_F(Accounts, ATestRequestIsMadeWithTheTokenOfAnAccount) {
    start(1, {{"spare", elsewhere_.base_url()}});
    EXPECT_EQ(ctl({"providers", "test", "claude", "--model", "m"}), 1);
    EXPECT_NE(said_.find("nobody is logged in"), std::string::npos) << said_;
    std::string ann = log_in("ann");
    std::string bob = log_in("bob");
    auto sent = [&] { return claude_.requests().back(); };
    EXPECT_EQ(ctl({"providers", "test", "claude", "--model", "m"}), 0) << said_;
    EXPECT_NE(said_.find("claude/ann"), std::string::npos) << said_;
    EXPECT_EQ(sent().header("authorization"), "Bearer " + ann);
    EXPECT_EQ(sent().header("anthropic-beta"), "oauth-2025-04-20");
    EXPECT_EQ(ctl({"providers", "test", "claude/bob", "--model", "m"}), 0) << said_;
    EXPECT_EQ(sent().header("authorization"), "Bearer " + bob);
    EXPECT_EQ(ctl({"providers", "test", "claude/zoe", "--model", "m"}), 1);
    // One that is used up is not the first choice; one that is refused says so, without its token.
    Step used_up = status_step(429, windows("rejected", "seven_day", unix_now() + 3'600'000, "1"));
    Served served = serve(20);
    tell(one_of(served, "claude/ann"), used_up);
    ASSERT_TRUE(Fleet::eventually([&] { return !account("ann")["held_until"].is_null(); }));
    EXPECT_EQ(ctl({"providers", "test", "claude", "--model", "m"}), 0) << said_;
    EXPECT_EQ(sent().header("authorization"), "Bearer " + bob);
    idp_.revoke_access(bob);
    EXPECT_EQ(ctl({"providers", "test", "claude/bob", "--model", "m"}), 1) << said_;
    EXPECT_EQ(said_.find(bob), std::string::npos) << said_;
    for (const RecordedRequest& request : elsewhere_.requests()) {
        for (const auto& [name, value] : request.headers) {
            EXPECT_EQ(value.find(ann), std::string::npos);
            EXPECT_EQ(value.find(bob), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace balancer::tests
