// A refresh, and processes that die: the control plane with -9 or by a signal at any step of it, the process that posts, a data
// plane. A new token that was received is in use afterwards, and no refresh token is posted twice.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "tests/scenario/process_fleet.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/fake_idp.hpp"
#include "tests/support/silent_listener.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* kOauth = "    auth_type: oauth\n";

std::set<std::string> as_set(const std::vector<std::string>& tokens) {
    return {tokens.begin(), tokens.end()};
}

class RefreshKilled : public testing::Test {
  protected:
    std::string yaml(const std::string& settings = {}) const {
        return to_yaml({
            {{"claude", claude_.base_url(), "", kOauth}, {"spare", spare_.base_url()}},
            {},
            fmt::format(
                "  oauth:\n    authorize_url: {}\n    redirect_uri: http://localhost/oauth/callback\n{}",
                idp_.authorize_url(),
                settings.empty() ? fmt::format("    token_url: {}\n", idp_.token_url()) : settings
            ),
            "DEBUG",
        });
    }

    // With an account that is logged in and serves.
    void start(std::size_t data_planes = 1) {
        fleet_ = std::make_unique<ProcessFleet>(yaml(), data_planes);
        log_in();
    }

    void log_in() {
        RawResponse redirect = send("/oauth/authorize?account=joe");
        ASSERT_EQ(redirect.status, 302U) << redirect.body;
        std::optional<Consent> consent = idp_.consent(redirect.header("location"));
        ASSERT_TRUE(consent) << idp_.why_refused();
        RawResponse done = send(consent->redirect.substr(consent->redirect.find("/oauth/callback")));
        ASSERT_EQ(done.status, 200U) << done.body;
        ASSERT_TRUE(Fleet::eventually([&] { return served_by() == "claude/joe"; }));
    }

    RawResponse send(const std::string& path) const {
        std::uint16_t port = fleet_->port(0);
        return exchange_raw(port, fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", path, port));
    }

    std::string served_by(std::size_t index = 0) {
        return used(fleet_->ask(in_session(fmt::format("session-{}", ++sessions_)), index));
    }

    json account() {
        fleet_->ctl({"-o", "json", "oauth", "status"}, said_);
        json shown = json::parse(said_, nullptr, false);
        return shown.is_object() && shown.contains("accounts") && !shown["accounts"].empty() ? shown["accounts"][0] : json::object();
    }
    std::string state() { return account().value("state", ""); }

    // Asks for a refresh; what becomes of the question is another matter.
    std::thread ask_for_refresh() {
        return std::thread([this] {
            std::string said;
            fleet_->ctl({"--timeout", "20", "oauth", "refresh", "joe"}, said);
        });
    }

    std::filesystem::path folder() const { return fleet_->folder() / "control-plane" / "refresh"; }
    std::size_t answers() const {
        std::size_t count = 0;
        std::error_code none;
        for (const auto& file : std::filesystem::directory_iterator(folder(), none)) {
            if (file.path().filename().string().find('.') == std::string::npos) ++count;
        }
        return count;
    }

    // Data planes send an access token that was none of `before`.
    bool serves_with_another_than(const std::set<std::string>& before) {
        return Fleet::eventually([&] {
            if (served_by() != "claude/joe") return false;
            return !before.contains(claude_.requests().back().header("authorization").substr(7));
        });
    }

    // The processes that post for it. A sanitizer's runtime may have others, which name functions for it.
    std::vector<pid_t> posting() const {
        std::vector<pid_t> found = children_of(fleet_->control_plane_pid());
        std::erase_if(found, [](pid_t pid) {
            std::stringstream words;
            words << std::ifstream(fmt::format("/proc/{}/cmdline", pid)).rdbuf();
            return words.str().find("--post-refresh") == std::string::npos;
        });
        return found;
    }

    void expect_nothing_lost() {
        EXPECT_EQ(idp_.families_revoked(), 0U);
        for (const std::string& token : idp_.refresh_tokens()) EXPECT_LE(idp_.posts_of(token), 1U);
        // Whoever holds the newest refresh token gets another one for it; nobody else does.
        EXPECT_EQ(fleet_->ctl({"oauth", "refresh", "joe"}, said_), 0) << said_;
        EXPECT_EQ(idp_.families_revoked(), 0U);
        for (const std::string& token : idp_.refresh_tokens()) EXPECT_LE(idp_.posts_of(token), 1U);
        EXPECT_EQ(answers(), 0U) << "an answer that is in use is not kept twice";
    }

    FakeIdp idp_;
    FakeProvider claude_{{}, accepting(idp_)};
    FakeProvider spare_;
    std::unique_ptr<ProcessFleet> fleet_;
    std::string said_;
    int sessions_ = 0;
};

TEST_F(RefreshKilled, BetweenThePostAndItsAnswer) {
    start();
    std::set<std::string> before = as_set(idp_.access_tokens());
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, milliseconds(4000)}});
    std::thread asked = ask_for_refresh();
    ASSERT_TRUE(idp_.wait_for_posts(2));
    fleet_->kill_control_plane();
    asked.join();
    // It is up before the answer comes, and waits for it.
    fleet_->start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return account().value("generation", 0) == 2; })) << said_;
    EXPECT_EQ(state(), "OK") << said_;
    EXPECT_TRUE(serves_with_another_than(before));
    expect_nothing_lost();
}

TEST_F(RefreshKilled, TheAnswerComesWhenNobodyIsThere) {
    start();
    std::set<std::string> before = as_set(idp_.access_tokens());
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, milliseconds(500)}});
    std::thread asked = ask_for_refresh();
    ASSERT_TRUE(idp_.wait_for_posts(2));
    std::vector<pid_t> posting = this->posting();
    ASSERT_EQ(posting.size(), 1U);
    // Whoever may look at it, as root may here, sees no secret in its arguments and environment.
    std::string place = fmt::format("/proc/{}/", posting[0]);
    std::stringstream shown;
    shown << std::ifstream(place + "cmdline").rdbuf() << std::ifstream(place + "environ").rdbuf();
    EXPECT_NE(shown.str().find("--post-refresh"), std::string::npos);
    fleet_->kill_control_plane();
    asked.join();
    EXPECT_EQ(served_by(), "claude/joe") << "with the token of before";
    ASSERT_TRUE(Fleet::eventually([&] { return answers() == 1; }));
    for (const std::string& token : idp_.refresh_tokens()) {
        EXPECT_EQ(shown.str().find(token), std::string::npos);
        EXPECT_EQ(files_holding(fleet_->folder(), token), std::vector<std::string>());
    }
    for (const std::string& token : idp_.access_tokens()) {
        EXPECT_EQ(files_holding(fleet_->folder(), token), std::vector<std::string>());
    }
    fleet_->start_control_plane();
    EXPECT_TRUE(serves_with_another_than(before));
    EXPECT_EQ(state(), "OK") << said_;
    expect_nothing_lost();
}

// As systemctl stop and a container's end do it: everybody gets the signal.
TEST_F(RefreshKilled, StoppedBySigterm) {
    start();
    std::set<std::string> before = as_set(idp_.access_tokens());
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, milliseconds(4000)}});
    std::thread asked = ask_for_refresh();
    ASSERT_TRUE(idp_.wait_for_posts(2));
    for (pid_t one : posting()) ::kill(one, SIGTERM);
    fleet_->stop_control_plane();
    asked.join();
    fleet_->start_control_plane();
    EXPECT_TRUE(serves_with_another_than(before));
    EXPECT_EQ(state(), "OK") << said_;
    expect_nothing_lost();
}

TEST_F(RefreshKilled, BeforeAnybodyHasSeenThePost) {
    SilentListener nobody;
    start();
    fleet_->write_config(yaml(fmt::format("    token_url: {}/v1/oauth/token\n    timeout: 3\n", nobody.base_url())));
    ASSERT_EQ(fleet_->ctl({"config", "reload"}, said_), 0) << said_;
    std::thread asked = ask_for_refresh();
    ASSERT_TRUE(Fleet::eventually([&] { return !posting().empty(); }));
    ASSERT_TRUE(Fleet::eventually([&] { return state() == "REFRESHING"; })) << said_;
    fleet_->kill_control_plane();
    asked.join();
    fleet_->write_config(yaml());
    fleet_->start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return state() == "OK"; })) << said_;
    EXPECT_TRUE(account().value("lastRefresh", account().value("last_refresh", "")).starts_with("failed: ")) << said_;
    EXPECT_EQ(idp_.refreshes(), 0U);
    expect_nothing_lost();
}

// The one that is left: nobody knows then, and the access token in use is not put at risk.
TEST_F(RefreshKilled, TheProcessThatPostsIsKilledItself) {
    start();
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, milliseconds(1000)}});
    std::thread asked = ask_for_refresh();
    ASSERT_TRUE(idp_.wait_for_posts(2));
    for (pid_t one : posting()) ::kill(one, SIGKILL);
    asked.join();
    EXPECT_EQ(state(), "UNCERTAIN") << said_;
    EXPECT_EQ(served_by(), "claude/joe");
    fleet_->kill_control_plane();
    fleet_->start_control_plane();
    EXPECT_EQ(state(), "UNCERTAIN") << said_;
    EXPECT_TRUE(Fleet::eventually([&] { return served_by() == "claude/joe"; }));
    EXPECT_EQ(idp_.refreshes(), 1U);
    EXPECT_EQ(idp_.families_revoked(), 0U);
}

TEST_F(RefreshKilled, AnAnswerThatCannotBeWrittenGoesThroughThePipe) {
    start();
    std::set<std::string> before = as_set(idp_.access_tokens());
    idp_.answer_next({{IdpAnswer::Kind::kWell, 200, "", {}, milliseconds(500)}});
    std::thread asked = ask_for_refresh();
    ASSERT_TRUE(idp_.wait_for_posts(2));
    std::filesystem::remove_all(folder());
    asked.join();
    EXPECT_EQ(state(), "OK") << said_;
    EXPECT_TRUE(serves_with_another_than(before));
    expect_nothing_lost();
}

// Wherever it is then: before the claim, between any two steps, behind the publication.
TEST_F(RefreshKilled, AtAnyTime) {
    constexpr int kTimes = 12;
    start();
    std::mt19937 random(20260101);
    for (int i = 0; i < kTimes; ++i) {
        std::size_t posts = idp_.refreshes();
        std::thread asked = ask_for_refresh();
        // Every other time from the post on, when the answer comes at once.
        if (i % 2 == 1) idp_.wait_for_posts(posts + 2, milliseconds(5000));
        std::this_thread::sleep_for(milliseconds(random() % (i % 2 == 1 ? 100 : 400)));
        fleet_->kill_control_plane();
        asked.join();
        fleet_->start_control_plane();
        ASSERT_TRUE(Fleet::eventually([&] { return state() == "OK"; })) << i << ": " << said_;
        ASSERT_NO_FATAL_FAILURE(expect_nothing_lost());
        ASSERT_FALSE(HasFailure()) << i;
    }
    EXPECT_TRUE(Fleet::eventually([&] { return served_by() == "claude/joe"; }));
}

TEST_F(RefreshKilled, ADataPlaneThatIsStartedAgainServesAtOnceWithTheCurrentToken) {
    start();
    std::set<std::string> before = as_set(idp_.access_tokens());
    ASSERT_EQ(fleet_->ctl({"oauth", "refresh", "joe"}, said_), 0) << said_;
    ASSERT_TRUE(serves_with_another_than(before));
    fleet_->kill_data_plane(0);
    fleet_->start_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_->ready(0); }));
    EXPECT_EQ(served_by(), "claude/joe");
    EXPECT_FALSE(before.contains(claude_.requests().back().header("authorization").substr(7)));
    // And without a control plane, from its disk.
    ASSERT_TRUE(Fleet::eventually([&] {
        return parse_metrics(fleet_->metrics(0))
                   .sum("balancer_dp_last_known_good_writes_total", {{"result", "kept"}})
                   .value_or(0) >= 1;
    }));
    fleet_->kill_control_plane();
    fleet_->kill_data_plane(0);
    fleet_->start_data_plane(0);
    ASSERT_TRUE(Fleet::eventually([&] { return fleet_->ready(0); }));
    EXPECT_EQ(served_by(), "claude/joe");
    EXPECT_FALSE(before.contains(claude_.requests().back().header("authorization").substr(7)));
}

// The token endpoint tells how long a token lives, not when it ends: whose clock is right does not matter.
class RefreshAtTheWrongTime : public RefreshKilled, public testing::WithParamInterface<std::chrono::hours> {};

TEST_P(RefreshAtTheWrongTime, AccountsServeAndAreRefreshed) {
    fleet_ = std::make_unique<ProcessFleet>(yaml(), 1);
    fleet_->control_plane_host().set_clock(GetParam());
    log_in();
    std::set<std::string> before = as_set(idp_.access_tokens());
    EXPECT_EQ(fleet_->ctl({"oauth", "refresh", "joe"}, said_), 0) << said_;
    EXPECT_TRUE(serves_with_another_than(before));
    // Refused in spite of what the clocks say: another one is got at once.
    before = as_set(idp_.access_tokens());
    for (const std::string& token : before) idp_.revoke_access(token);
    EXPECT_TRUE(serves_with_another_than(before));
    EXPECT_EQ(idp_.refreshes(), 2U);
    // The clock is set right, by as much.
    fleet_->control_plane_host().set_clock(std::chrono::seconds(0));
    fleet_->kill_control_plane();
    fleet_->start_control_plane();
    EXPECT_EQ(state(), "OK") << said_;
    EXPECT_TRUE(Fleet::eventually([&] { return served_by() == "claude/joe"; }));
    EXPECT_EQ(idp_.refreshes(), 2U);
    expect_nothing_lost();
}

INSTANTIATE_TEST_SUITE_P(
    EitherWay, RefreshAtTheWrongTime, testing::Values(std::chrono::hours(1), std::chrono::hours(-1)),
    [](const auto& info) { return info.param.count() > 0 ? "Ahead" : "Behind"; }
);

}  // namespace
}  // namespace balancer::tests
