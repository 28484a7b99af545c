// Both planes' /metrics: the families that are promised, their values, and labels that nobody
// outside can multiply.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;

class MetricsPages : public testing::Test {
  protected:
    static void expect_families(
        const Metrics& metrics, const std::map<std::string, std::string>& families
    ) {
        EXPECT_TRUE(metrics.problems.empty()) << testing::PrintToString(metrics.problems);
        for (const auto& [name, type] : families) {
            auto found = metrics.types.find(name);
            EXPECT_TRUE(found != metrics.types.end()) << name;
            if (found != metrics.types.end()) EXPECT_EQ(found->second, type) << name;
        }
    }

    static std::set<std::string> series(const Metrics& metrics) {
        std::set<std::string> names;
        for (const Sample& sample : metrics.samples) {
            std::string name = sample.family;
            for (const auto& [label, value] : sample.labels)
                name += fmt::format(" {}={}", label, value);
            names.insert(name);
        }
        return names;
    }

    Metrics control_plane() const {
        return parse_metrics(fleet_.get_at(fleet_.control_plane_http_port(), "/metrics").body);
    }

    FakeProvider first_;
    FakeProvider second_;
    Fleet fleet_{to_yaml(
        {{{"first", first_.base_url()}, {"second", second_.base_url()}},
         {},
         "  unhealthy_threshold: 1000\n  sticky_provider_duration: 0\n"}
    )};
};

TEST_F(MetricsPages, BothPlanesNameWhatIsPromised) {
    first_.set_script(script_of({status_step(500), Step{}}));
    EXPECT_EQ(fleet_.ask(streamed()).status, 200u);
    EXPECT_EQ(fleet_.ask(streamed()).status, 200u);
    // A request is counted once its answer is out: a moment after the client has it.
    EXPECT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet_).sum("balancer_dp_requests_total", {{"outcome", "ok"}}) == 2;
    }));
    Metrics metrics = read_metrics(fleet_);
    expect_families(
        metrics,
        {{"balancer_dp_requests_total", "counter"},
         {"balancer_dp_attempts_total", "counter"},
         {"balancer_dp_failovers_total", "counter"},
         {"balancer_dp_first_byte_seconds", "histogram"},
         {"balancer_dp_answer_seconds", "histogram"},
         {"balancer_dp_requests_in_flight", "gauge"},
         {"balancer_dp_upstream_connections_idle", "gauge"},
         {"balancer_dp_upstream_connections_made_total", "counter"},
         {"balancer_dp_upstream_connections_reused_total", "counter"},
         {"balancer_dp_snapshot_seq", "gauge"},
         {"balancer_dp_snapshot_age_seconds", "gauge"},
         {"balancer_dp_ready", "gauge"}}
    );
    EXPECT_EQ(metrics.sum("balancer_dp_requests_total", {{"outcome", "ok"}}), 2);
    EXPECT_EQ(
        metrics.sum(
            "balancer_dp_attempts_total", {{"provider", "first"}, {"failure", "upstream_5xx"}}
        ),
        1
    );
    EXPECT_EQ(metrics.sum("balancer_dp_attempts_total", {{"failure", "none"}}), 2);
    EXPECT_EQ(metrics.sum("balancer_dp_failovers_total", {{"provider", "first"}}), 1);
    EXPECT_EQ(metrics.sum("balancer_dp_failovers_total", {{"provider", "second"}}), 0);
    EXPECT_EQ(metrics.sum("balancer_dp_first_byte_seconds_count", {{"provider", "first"}}), 2);
    EXPECT_EQ(
        metrics.sum(
            "balancer_dp_first_byte_seconds_bucket", {{"provider", "first"}, {"le", "+Inf"}}
        ),
        2
    );
    EXPECT_EQ(metrics.sum("balancer_dp_answer_seconds_count", {{"provider", "second"}}), 1);
    EXPECT_EQ(metrics.sum("balancer_dp_requests_in_flight"), 0);

    Metrics control = control_plane();
    expect_families(
        control,
        {{"balancer_cp_snapshot_seq", "gauge"},
         {"balancer_cp_snapshot_epoch", "gauge"},
         {"balancer_cp_data_planes_connected", "gauge"},
         {"balancer_cp_config_reloads_total", "counter"},
         {"balancer_cp_provider_attempts_total", "counter"},
         {"balancer_cp_provider_failures_total", "counter"}}
    );
    EXPECT_EQ(control.sum("balancer_cp_data_planes_connected"), 1);
    EXPECT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet_).sum("balancer_dp_snapshot_seq") ==
                   control_plane().sum("balancer_cp_snapshot_seq") &&
               control_plane().sum("balancer_cp_data_planes_in_sync") == 1;
    }));
    // Counters travel with the reports.
    EXPECT_TRUE(Fleet::eventually([&] {
        return control_plane().sum("balancer_cp_provider_attempts_total") == 3;
    }));
}

TEST_F(MetricsPages, StreamsInFlightAreSeen) {
    first_.set_script(script_of({break_step(How::kHang, After::kEvents, 6)}));
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    ASSERT_TRUE(client->read_head());
    Metrics metrics = read_metrics(fleet_);
    EXPECT_EQ(metrics.sum("balancer_dp_requests_in_flight"), 1);
    EXPECT_EQ(metrics.sum("balancer_dp_answers_in_flight", {{"provider", "first"}}), 1);
    EXPECT_EQ(metrics.sum("balancer_dp_connections"), 1);
    client->close();
    EXPECT_TRUE(Fleet::eventually([&] {
        Metrics later = read_metrics(fleet_);
        return later.sum("balancer_dp_requests_in_flight") == 0 &&
               later.sum("balancer_dp_requests_total", {{"outcome", "downstream_disconnect"}}) == 1;
    }));
}

TEST_F(MetricsPages, NothingThatClientsChooseMakesANewSeries) {
    EXPECT_EQ(fleet_.ask(streamed()).status, 200u);
    EXPECT_EQ(fleet_.ask(unstreamed()).status, 200u);
    first_.set_script(script_of({status_step(500), Step{}}));
    EXPECT_EQ(fleet_.ask(unstreamed()).status, 200u);
    std::set<std::string> before = series(read_metrics(fleet_));
    std::set<std::string> control_before = series(control_plane());
    for (int i = 0; i < 40; ++i) {
        ClaudeCodeRequest request = i % 2 == 0 ? streamed() : unstreamed();
        request.model = fmt::format("model-{}", i);
        request.session_id = fmt::format("session-{}", i);
        request.api_key = fmt::format("key-{}", i);
        request.target = fmt::format("/v1/messages?x={}", i);
        EXPECT_EQ(fleet_.ask(request).status, 200u);
        exchange_raw(fleet_.port(), fmt::format("GET /path-{} HTTP/1.1\r\nHost: h\r\n\r\n", i));
        exchange_raw(fleet_.port(), fmt::format("METHOD{} / HTTP/1.1\r\nHost: h\r\n\r\n", i));
    }
    EXPECT_EQ(series(read_metrics(fleet_)), before);
    EXPECT_EQ(series(control_plane()), control_before);
    std::set<std::string> labels;
    for (const Sample& sample : read_metrics(fleet_).samples) {
        for (const auto& [label, value] : sample.labels) labels.insert(label);
    }
    EXPECT_EQ(
        labels,
        (std::set<std::string>{
            "encoding", "failure", "id", "le", "outcome", "provider", "result", "source", "version"})
    );
}

}  // namespace
}  // namespace balancer::tests
