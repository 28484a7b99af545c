// What five data planes make of a provider together: the promises that the quorum, the account's
// word, the leased probe and the suspect rule were made for.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kDataPlanes = 5;

// Provider "a" goes first, "b" is behind it. Each request is a session of its own.
class FleetHealth : public testing::Test {
  protected:
    void start(const std::string& settings, unsigned data_planes = kDataPlanes) {
        fleet_ = std::make_unique<Fleet>(
            to_yaml({{{"a", a_.base_url()}, {"b", b_.base_url()}}, {}, settings}),
            FleetOptions{data_planes, 1}
        );
    }

    RawResponse answer(std::size_t index, const std::string& model = "") {
        ClaudeCodeRequest request = in_session(unstreamed(), fmt::format("s{}", ++sessions_));
        if (!model.empty()) request.model = model;
        return fleet_->ask(request, index);
    }
    std::string ask(std::size_t index, const std::string& model = "") {
        return answer(index, model).header("x-provider-used");
    }

    // Every data plane sees so many providers fit for use.
    bool all_see(int count) {
        return Fleet::eventually([&] {
            for (std::size_t i = 0; i < kDataPlanes; ++i) {
                if (available(*fleet_, i) != count) return false;
            }
            return true;
        });
    }
    nlohmann::json a() const { return provider_view(*fleet_, "a"); }
    Metrics control_plane_metrics() const {
        return parse_metrics(fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body);
    }

    FakeProvider a_;
    FakeProvider b_;
    std::unique_ptr<Fleet> fleet_;
    int sessions_ = 0;
};

TEST_F(FleetHealth, OneBrokenReplicaBenchesNobodyElse) {
    a_.set_script(script_of({failing(500, "only for one")}));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 300\n");
    for (unsigned failures = 1; failures <= 2; ++failures) {
        EXPECT_EQ(ask(0), "b");
        ASSERT_TRUE(wait_for_failures(*fleet_, "a", failures));
    }
    ASSERT_TRUE(Fleet::eventually([&] { return available(*fleet_, 0) == 1; }));
    a_.set_script(script_of({saying("well")}));
    for (std::size_t i = 1; i < kDataPlanes; ++i) EXPECT_EQ(ask(i), "a") << i;
    EXPECT_EQ(ask(0), "b") << "for itself it acts on what it saw";
    EXPECT_EQ(a()["circuit"], "closed");
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("at dp1"));
}

TEST_F(FleetHealth, ARealOutageIsSeenByAllWithinASecond) {
    // The figure is the rule's, not the machine's: the best of three counts.
    milliseconds best = milliseconds::max();
    for (int attempt = 0; attempt < 3 && best > milliseconds(1'000); ++attempt) {
        a_.set_script(script_of({failing(529, "Overloaded")}));
        start("  unhealthy_threshold: 2\n  failure_cooldown: 300\n");
        auto began = SteadyClock::now();
        std::vector<std::future<void>> clients;
        for (std::size_t i = 0; i < 3; ++i) {
            clients.push_back(std::async(std::launch::async, [this, i] {
                for (int n = 0; n < 3; ++n) {
                    ClaudeCodeRequest request =
                        in_session(unstreamed(), fmt::format("client-{}-{}", i, n));
                    EXPECT_EQ(fleet_->ask(request, i).header("x-provider-used"), "b");
                }
            }));
        }
        for (std::future<void>& client : clients) client.get();
        ASSERT_TRUE(Fleet::eventually([&] { return !a()["healthy"].get<bool>(); }));
        std::size_t paid = a_.request_count();
        for (std::size_t i = 0; i < kDataPlanes; ++i) {
            ASSERT_TRUE(Fleet::eventually([&] {
                std::size_t before = a_.request_count();
                EXPECT_EQ(ask(i), "b");
                return a_.request_count() == before;
            })) << i;
        }
        best = std::min(best, std::chrono::duration_cast<milliseconds>(SteadyClock::now() - began));
        EXPECT_LE(paid, 9u);
        std::string cause = a()["cause"];
        EXPECT_THAT(cause, HasSubstr("data planes saw overloaded (HTTP 529)"));
        EXPECT_THAT(cause, HasSubstr("open until "));
    }
    // A second on a quiet machine; a fleet in which nobody told the others would not be done at all.
    EXPECT_LE(best.count(), 4'000);
}

TEST_F(FleetHealth, ARevokedKeyCostsOneAttempt) {
    a_.set_script(script_of({failing(401, "invalid x-api-key")}));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 300\n");
    EXPECT_EQ(ask(2), "b");
    ASSERT_TRUE(all_see(1));
    for (std::size_t i = 0; i < kDataPlanes; ++i) EXPECT_EQ(ask(i), "b");
    EXPECT_EQ(a_.request_count(), 1u);
    EXPECT_THAT(a()["cause"].get<std::string>(), HasSubstr("dp3 was answered auth (HTTP 401)"));
}

TEST_F(FleetHealth, ALimitOnOneModelLeavesTheOthersOfItsProvider) {
    Step limited = failing(429, "opus is used up");
    limited.headers = {{"retry-after", "300"}};
    a_.set_script(script_of({limited, saying("haiku")}));
    start("  unhealthy_threshold: 2\n");
    EXPECT_EQ(ask(0, "claude-opus-4"), "b");
    ASSERT_TRUE(Fleet::eventually([&] { return a()["model_circuits"].size() == 1; }));
    EXPECT_EQ(a()["model_circuits"][0]["model"], "claude-opus-4");
    EXPECT_EQ(a()["model_circuits"][0]["circuit"], "open");
    EXPECT_EQ(a()["circuit"], "closed");
    ASSERT_TRUE(Fleet::eventually([&] {
        std::size_t before = a_.request_count();
        EXPECT_EQ(ask(4, "claude-opus-4"), "b");
        return a_.request_count() == before;
    })) << "the others have not heard of it";
    for (std::size_t i = 0; i < kDataPlanes; ++i) EXPECT_EQ(ask(i, "claude-haiku-4"), "a") << i;
}

TEST_F(FleetHealth, AfterItsTimeOneRequestOfTheFleetTriesAndTheSessionsComeBack) {
    a_.set_script(script_of(
        {failing(401, "not yet"), slowly(saying("back"), milliseconds(400)), saying("back")}
    ));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 1\n");
    EXPECT_EQ(ask(0), "b");
    ASSERT_TRUE(all_see(1));
    ASSERT_TRUE(Fleet::eventually([&] { return a()["circuit"] == "half_open"; }));
    std::vector<std::future<std::string>> clients;
    for (std::size_t i = 0; i < kDataPlanes; ++i) {
        for (int n = 0; n < 3; ++n) {
            clients.push_back(std::async(std::launch::async, [this, i, n] {
                ClaudeCodeRequest request =
                    in_session(unstreamed(), fmt::format("probe-{}-{}", i, n));
                return fleet_->ask(request, i).header("x-provider-used");
            }));
        }
    }
    int at_a = 0;
    for (std::future<std::string>& client : clients) at_a += client.get() == "a" ? 1 : 0;
    // Those that came behind the probe's end may be let in by the ramp.
    EXPECT_GE(at_a, 1);
    Metrics metrics = control_plane_metrics();
    EXPECT_EQ(metrics.sum("balancer_cp_probes_total", {{"result", "granted"}}), 1);
    EXPECT_EQ(metrics.sum("balancer_cp_probes_total", {{"result", "succeeded"}}), 1);
    ASSERT_TRUE(Fleet::eventually([&] { return a()["circuit"] == "closed"; }));
    ASSERT_TRUE(all_see(2));
    for (std::size_t i = 0; i < kDataPlanes; ++i) EXPECT_EQ(ask(i), "a") << i;
    EXPECT_EQ(
        metrics.sum("balancer_cp_provider_transitions_total", {{"provider", "a"}, {"to", "open"}}),
        1
    );
}

TEST_F(FleetHealth, WithoutTheControlPlaneEachTriesForItself) {
    a_.set_script(script_of({failing(401, "not yet"), saying("back")}));
    start("  unhealthy_threshold: 2\n  failure_cooldown: 1\n");
    EXPECT_EQ(ask(0), "b");
    ASSERT_TRUE(all_see(1));
    fleet_->stop_control_plane();
    for (std::size_t i = 0; i < kDataPlanes; ++i) {
        EXPECT_TRUE(Fleet::eventually([&] { return ask(i) == "a"; })) << i;
    }
}

TEST_F(FleetHealth, ASuspectTurnsUnreadyByLeaveAndComesBack) {
    start(
        "  unhealthy_threshold: 1000\n"
        "  limits: {retry_budget_percent: 100, retry_budget_min_per_second: 1000}\n",
        3
    );
    auto ready = [&](std::size_t index) {
        return fleet_->get_at(fleet_->admin_port(index), "/readyz");
    };
    // The providers fail whenever dp1 asks, and serve the others.
    ASSERT_TRUE(Fleet::eventually([&] {
        for (FakeProvider* provider : {&a_, &b_})
            provider->set_script(script_of({failing(500, "no")}));
        for (int i = 0; i < 4; ++i) answer(0);
        for (FakeProvider* provider : {&a_, &b_}) provider->set_script(script_of({saying("well")}));
        for (std::size_t index : {1u, 2u}) {
            for (int i = 0; i < 4; ++i) {
                EXPECT_EQ(answer(index).status, 200u);
                ClaudeCodeRequest pinned = unstreamed();
                RawResponse other = exchange_raw(
                    fleet_->port(index), request_with_fields(pinned, {{"provider", "b"}})
                );
                EXPECT_EQ(other.status, 200u);
            }
        }
        return ready(0).status == 503;
    })) << fleet_->get_at(fleet_->control_plane_http_port(), "/metrics").body
        << fleet_->get_at(fleet_->admin_port(0), "/metrics").body;
    EXPECT_THAT(ready(0).body, HasSubstr("standing aside"));
    EXPECT_THAT(ready(0).body, HasSubstr("a, b"));
    for (std::size_t index : {1u, 2u}) EXPECT_EQ(ready(index).status, 200u);
    EXPECT_EQ(control_plane_metrics().sum("balancer_cp_data_planes_suspect"), 1);
    EXPECT_EQ(answer(0).status, 200u) << "unready is not closed";
    fleet_->stop_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return ready(0).status == 200; })) << "the leave has ended";
}

}  // namespace
}  // namespace balancer::tests
