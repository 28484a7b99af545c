// The planes apart and together again: requests go on, and nobody stays behind.
#include <gtest/gtest.h>

#include "tests/scenario/fleet.hpp"

namespace balancer::tests {
namespace {

class Sync : public testing::Test {
  protected:
    FakeProvider a_;
    FakeProvider b_;

    std::string only(const std::string& name, const FakeProvider& provider) const {
        return to_yaml({{{name, provider.base_url()}}});
    }

    static bool served_by(const Fleet& fleet, std::size_t index, const std::string& name) {
        return fleet.ask(unstreamed(), index).header("x-provider-used") == name;
    }
};

TEST_F(Sync, DataPlanesServeOnWithoutTheControlPlaneAndCatchUpWhenItReturns) {
    Fleet fleet(only("a", a_), {2, 1});
    fleet.stop_control_plane();
    for (std::size_t index : {0u, 1u}) {
        EXPECT_EQ(fleet.ask(streamed(), index).status, 200u);
        EXPECT_EQ(fleet.get_at(fleet.admin_port(index), "/readyz").status, 200u);
    }
    RawResponse page = fleet.get("/providers");
    EXPECT_EQ(page.status, 503u);
    EXPECT_NE(page.body.find("CONTROL_PLANE_UNAVAILABLE"), std::string::npos);

    fleet.write_config(only("b", b_));
    fleet.start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, 0, "b") && served_by(fleet, 1, "b"); }));
    EXPECT_EQ(fleet.get("/providers").status, 200u);
}

TEST_F(Sync, AFailureOfTheLastControlPlaneLeavesLocalHealthAtWork) {
    a_.set_script(script_of({status_step(500)}));
    Fleet fleet(
        to_yaml(
            {{{"a", a_.base_url()}, {"b", b_.base_url()}},
             {},
             "  unhealthy_threshold: 1\n  failure_cooldown: 30\n"}
        ),
        {1, 2}
    );
    fleet.stop_control_plane();
    ClaudeCodeRequest request = unstreamed();
    EXPECT_EQ(fleet.ask(request).header("x-provider-used"), "b");
    // Benched by what this data plane saw itself: another session does not try it any more.
    EXPECT_TRUE(Fleet::eventually([&] {
        static int number = 0;
        request.session_id = "local-" + std::to_string(++number);
        std::size_t before = a_.request_count();
        return fleet.ask(request).status == 200 && a_.request_count() == before;
    }));
}

TEST_F(Sync, AChangedFileReachesEveryDataPlaneAndABadOneNone) {
    Fleet fleet(only("a", a_), {2, 1});
    fleet.write_config(only("b", b_));
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, 0, "b") && served_by(fleet, 1, "b"); }));
    fleet.write_config("providers: [{name: b, typ: anthropic}]\n");
    // The refusal is on the control plane's page before anything could have reached a data plane.
    EXPECT_TRUE(Fleet::eventually([&] {
        std::string metrics = fleet.get_at(fleet.control_plane_http_port(), "/metrics").body;
        return metrics.find("balancer_cp_config_last_reload_ok 0") != std::string::npos;
    }));
    EXPECT_TRUE(served_by(fleet, 0, "b"));
    EXPECT_TRUE(served_by(fleet, 1, "b"));
}

TEST_F(Sync, AStreamUnderWayOutlivesAReloadThatTakesItsProviderAway) {
    Step slow;
    slow.message.text = "one two three four five six";
    slow.message.event_gap = std::chrono::milliseconds(100);
    a_.set_script(script_of({slow}));
    Fleet fleet(only("a", a_));
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    Result<RawResponse> answer = client->read_head();
    ASSERT_TRUE(answer);
    fleet.write_config(only("b", b_));
    ASSERT_TRUE(Fleet::eventually([&] { return served_by(fleet, 0, "b"); }));
    client->read_body(*answer);
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(answer->body).ends_with("message_stop"));
}

TEST_F(Sync, ADataPlaneThatStopsLetsItsStreamsEnd) {
    Step slow;
    slow.message.text = "one two three";
    slow.message.event_gap = std::chrono::milliseconds(60);
    a_.set_script(script_of({slow}));
    Fleet fleet(only("a", a_), {1, 1});
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    Result<RawResponse> answer = client->read_head();
    ASSERT_TRUE(answer);
    fleet.stop_data_plane(0, std::chrono::seconds(20));
    client->read_body(*answer);
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_TRUE(event_names(answer->body).ends_with("message_stop"));
    EXPECT_FALSE(RawClient::connect(fleet.port(), std::chrono::milliseconds(500)));
}

TEST_F(Sync, WithoutASnapshotADataPlaneSaysSo) {
    Fleet fleet(only("a", a_), {1, 1});
    fleet.stop_control_plane();
    std::size_t late = fleet.add_data_plane();
    RawResponse answer = fleet.ask(streamed(), late);
    EXPECT_EQ(answer.status, 503u);
    EXPECT_NE(answer.body.find("NOT_READY"), std::string::npos);
    EXPECT_FALSE(answer.header("retry-after").empty());
    EXPECT_EQ(fleet.get_at(fleet.admin_port(late), "/readyz").status, 503u);
    EXPECT_EQ(fleet.get_at(fleet.admin_port(late), "/healthz").status, 200u);
    fleet.start_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] { return served_by(fleet, late, "a"); }));
    EXPECT_EQ(fleet.get_at(fleet.admin_port(late), "/readyz").status, 200u);
}

}  // namespace
}  // namespace balancer::tests
