// What the original's tests never covered of selection and reloads: strategies, sticky expiry, hot
// reload (docs/original-tests.md).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;

// Three providers of one route, in this order of priority.
class OriginalSelection : public testing::Test {
  protected:
    std::string yaml(const std::string& settings) const {
        return to_yaml(
            {{{"a", providers_[0].base_url()},
              {"b", providers_[1].base_url()},
              {"c", providers_[2].base_url()}},
             {},
             settings}
        );
    }

    // One worker: what has reached the data plane holds for the next request.
    void start(const std::string& settings) {
        fleet_ = std::make_unique<Fleet>(yaml(settings), FleetOptions{1, 1});
    }

    std::string ask(const std::string& session) {
        return fleet_->ask(in_session(unstreamed(), session)).header("x-provider-used");
    }

    std::string ask_anew() { return ask(fmt::format("new-{}", ++sessions_)); }

    RawResponse reload() const {
        return exchange_raw(
            fleet_->port(),
            "POST /providers/reload HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        );
    }

    // True when the data plane serves a configuration with that app_name.
    bool in_force(const std::string& app_name) const {
        return fleet_->get("/").body.find(app_name) != std::string::npos;
    }

    std::array<FakeProvider, 3> providers_;
    std::unique_ptr<Fleet> fleet_;
    int sessions_ = 0;
};

TEST_F(OriginalSelection, RoundRobinTakesTurns) {
    start("  selection_strategy: round_robin\n");
    std::map<std::string, int> turns;
    for (int i = 0; i < 9; ++i) ++turns[ask_anew()];
    EXPECT_EQ(turns, (std::map<std::string, int>{{"a", 3}, {"b", 3}, {"c", 3}}));
}

TEST_F(OriginalSelection, WithoutStickinessASessionTakesTurnsToo) {
    start("  selection_strategy: round_robin\n  sticky_provider_duration: 0\n");
    std::map<std::string, int> turns;
    for (int i = 0; i < 6; ++i) ++turns[ask("one")];
    EXPECT_EQ(turns, (std::map<std::string, int>{{"a", 2}, {"b", 2}, {"c", 2}}));
}

TEST_F(OriginalSelection, RoundRobinLeavesTheBenchedOneOut) {
    providers_[1].set_script(script_of({failing(500, "broken")}));
    start("  selection_strategy: round_robin\n  unhealthy_threshold: 1\n");
    while (providers_[1].request_count() == 0) ask_anew();
    ASSERT_TRUE(wait_for_health(*fleet_, "b", false));
    std::map<std::string, int> turns;
    for (int i = 0; i < 6; ++i) ++turns[ask_anew()];
    EXPECT_EQ(turns, (std::map<std::string, int>{{"a", 3}, {"c", 3}}));
}

TEST_F(OriginalSelection, RandomReachesEveryone) {
    start("  selection_strategy: random\n");
    std::map<std::string, int> drawn;
    // One of three is missed by 80 draws once in 10^13 runs.
    for (int i = 0; i < 80; ++i) ++drawn[ask_anew()];
    EXPECT_EQ(drawn.size(), 3u);
    EXPECT_FALSE(drawn.contains(""));
}

TEST_F(OriginalSelection, StickinessGoesBeforeEveryStrategy) {
    for (const char* strategy : {"priority", "round_robin", "random"}) {
        SCOPED_TRACE(strategy);
        start(fmt::format("  selection_strategy: {}\n", strategy));
        std::string first = ask("one");
        for (int i = 0; i < 6; ++i) EXPECT_EQ(ask("one"), first);
    }
}

TEST_F(OriginalSelection, StickinessExpiresWithoutRequests) {
    providers_[0].set_script(script_of({failing(500, "for once"), saying("well")}));
    start("  unhealthy_threshold: 100\n  sticky_provider_duration: 2\n");
    EXPECT_EQ(ask("one"), "b");
    EXPECT_EQ(ask("one"), "b") << "the session went back although b had served it";
    auto last = std::chrono::steady_clock::now();
    // The table keeps whole seconds.
    ASSERT_TRUE(Fleet::eventually([&] {
        return std::chrono::steady_clock::now() - last > milliseconds(3001);
    }));
    EXPECT_EQ(ask("one"), "a");
}

TEST_F(OriginalSelection, TheGlobalScopeIsOneForEverybody) {
    providers_[0].set_script(script_of({failing(500, "for once"), saying("well")}));
    start("  unhealthy_threshold: 100\n  sticky_scope: global\n");
    EXPECT_EQ(ask("one"), "b");
    EXPECT_EQ(ask("another"), "b");
    start("  unhealthy_threshold: 100\n  sticky_scope: session\n");
    EXPECT_EQ(ask("another"), "a");
}

TEST_F(OriginalSelection, AHotReloadKeepsHealth) {
    providers_[0].set_script(script_of({failing(500, "broken")}));
    std::string settings = "  unhealthy_threshold: 1\n  failure_cooldown: 300\n";
    start(settings);
    EXPECT_EQ(ask_anew(), "b");
    ASSERT_TRUE(wait_for_health(*fleet_, "a", false));
    fleet_->write_config(yaml(settings + "  app_name: second-edition\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return in_force("second-edition"); }));
    EXPECT_EQ(ask_anew(), "b");
    EXPECT_EQ(providers_[0].request_count(), 1u) << "the bench was forgotten";
    EXPECT_EQ(provider_view(*fleet_, "a")["failure_count"], 1);
}

TEST_F(OriginalSelection, AHotReloadKeepsStickiness) {
    providers_[0].set_script(script_of({failing(500, "for once"), saying("well")}));
    start("  unhealthy_threshold: 100\n");
    EXPECT_EQ(ask("one"), "b");
    fleet_->write_config(yaml("  unhealthy_threshold: 100\n  app_name: second-edition\n"));
    ASSERT_TRUE(Fleet::eventually([&] { return in_force("second-edition"); }));
    EXPECT_EQ(ask("one"), "b");
    EXPECT_EQ(ask("another"), "a");
}

TEST_F(OriginalSelection, AHotReloadLetsRunningAnswersEnd) {
    Step slow = saying("one two three four five six");
    slow.message.event_gap = milliseconds(60);
    providers_[0].set_script(script_of({slow}));
    start("");
    Result<RawClient> client = RawClient::connect(fleet_->port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    ASSERT_TRUE(providers_[0].wait_for_requests(1));
    // The provider that is answering is not even configured any more.
    fleet_->write_config(
        to_yaml({{{"b", providers_[1].base_url()}}, {}, "  app_name: second-edition\n"})
    );
    ASSERT_TRUE(Fleet::eventually([&] { return in_force("second-edition"); }));
    Result<RawResponse> answer = client->read_response();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_EQ(answer_text(*answer), "one two three four five six");
    EXPECT_EQ(ask_anew(), "b");
}

TEST_F(OriginalSelection, ReloadTakesAGoodFile) {
    start("");
    fleet_->write_config(to_yaml({{{"b", providers_[1].base_url()}}}));
    RawResponse answer = reload();
    EXPECT_EQ(answer.status, 200u);
    nlohmann::json body = nlohmann::json::parse(answer.body);
    EXPECT_EQ(body["status"], "success");
    EXPECT_EQ(body["providers_count"], 1);
    EXPECT_EQ(body["healthy_providers"], 1);
    EXPECT_TRUE(Fleet::eventually([&] { return ask_anew() == "b"; }));
}

TEST_F(OriginalSelection, ReloadSaysWhenNothingHasChanged) {
    start("");
    RawResponse answer = reload();
    EXPECT_EQ(answer.status, 200u);
    nlohmann::json body = nlohmann::json::parse(answer.body);
    EXPECT_EQ(body["status"], "success");
    EXPECT_EQ(body["changed"], false);
    EXPECT_EQ(body["providers_count"], 3);
}

TEST_F(OriginalSelection, ReloadRefusesABadFileAndKeepsTheOldOne) {
    start("");
    fleet_->write_config(yaml("  unhealthy_treshold: 1\n  app_name: never-in-force\n"));
    RawResponse answer = reload();
    EXPECT_EQ(answer.status, 500u);
    nlohmann::json body = nlohmann::json::parse(answer.body);
    EXPECT_EQ(body["status"], "error");
    EXPECT_THAT(body["problems"].dump(), HasSubstr("unhealthy_threshold"));
    EXPECT_EQ(available(*fleet_), 3);
    EXPECT_FALSE(in_force("never-in-force"));
    EXPECT_EQ(ask_anew(), "a");
    fleet_->write_config(yaml("  app_name: mended\n"));
    EXPECT_EQ(reload().status, 200u);
    EXPECT_TRUE(Fleet::eventually([&] { return in_force("mended"); }));
}

}  // namespace
}  // namespace balancer::tests
