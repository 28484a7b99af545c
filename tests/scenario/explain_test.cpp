// `balancerctl explain`: what became of a request, asked of whichever data plane has served it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/scenario/balancerctl.hpp"
#include "tests/scenario/data_plane_process.hpp"
#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

using Json = nlohmann::json;

class Explain : public testing::Test {
  protected:
    // Its exit code; what it says is in said_.
    int ctl(const Fleet& fleet, std::vector<std::string> words) {
        std::ostringstream out;
        int code = balancerctl(
            fleet.control_plane_addresses().grpc, fleet.control_plane_dir(), std::move(words), out, out
        );
        said_ = out.str();
        return code;
    }
    int explain(const Fleet& fleet, const std::string& id) { return ctl(fleet, {"explain", id}); }
    Json record(const Fleet& fleet, const std::string& id) {
        EXPECT_EQ(ctl(fleet, {"-o", "json", "explain", id}), 0) << said_;
        Json answer = Json::parse(said_, nullptr, false);
        if (!answer.contains("records") || answer["records"].empty()) return Json::object();
        return answer["records"][0];
    }
    bool says(const std::string& words) const { return said_.find(words) != std::string::npos; }

    static Script failing(unsigned status, const std::string& words) {
        Step step = status_step(status);
        step.error = ErrorSpec{"", words};
        return script_of({step});
    }
    static std::string id_of(const RawResponse& answer) {
        return std::string(answer.header("x-balancer-request-id"));
    }

    FakeProvider a_;
    FakeProvider b_;
    FakeProvider c_;
    std::string said_;

    std::string yaml() const {
        ConfigText text{{{"alpha", a_.base_url()}, {"beta", b_.base_url()}, {"gamma", c_.base_url()}}};
        return to_yaml(text);
    }
};

TEST_F(Explain, WhatIsUnderWayIsListedWithWhoReadsIt) {
    Step step;
    step.delay = milliseconds(3000);
    a_.set_script(script_of({step}));
    Fleet fleet(yaml(), {2, 2});
    std::vector<RawClient> clients;
    for (bool stream : {true, false, true}) {
        Result<RawClient> client = RawClient::connect(fleet.port(1));
        ASSERT_TRUE(client);
        ASSERT_TRUE(client->send(claude_code_request(stream ? streamed() : unstreamed())));
        ASSERT_TRUE(a_.wait_for_requests(1));
        clients.push_back(*std::move(client));
    }
    auto list = [&] {
        EXPECT_EQ(ctl(fleet, {"-o", "json", "requests"}), 0) << said_;
        return Json::parse(said_, nullptr, false)["records"];
    };
    Json records;
    ASSERT_TRUE(Fleet::eventually([&] {
        records = list();
        bool all = records.size() == 3 && records[0]["readers"] == 2;
        // A worker knows whose answer it will be once the other one has told it.
        return all && records[1]["coalesced_with"] != "" && records[2]["coalesced_with"] != "";
    })) << said_;
    EXPECT_EQ(records[0]["dp_id"], "dp2");
    EXPECT_EQ(records[0]["provider"], "alpha");
    EXPECT_EQ(records[0]["coalesced_with"], "");
    for (int i : {1, 2}) EXPECT_EQ(records[i]["coalesced_with"], records[0]["request_id"]);
    EXPECT_EQ(ctl(fleet, {"requests"}), 0);
    EXPECT_TRUE(says("reads " + records[0]["request_id"].get<std::string>())) << said_;
    EXPECT_TRUE(says("waits for an identical request's answer")) << said_;
    for (RawClient& client : clients) EXPECT_EQ(client.read_response()->status, 200U);
    ASSERT_EQ(explain(fleet, records[1]["request_id"]), 0);
    EXPECT_TRUE(says("answered from the call of " + records[0]["request_id"].get<std::string>())) << said_;
    ASSERT_EQ(explain(fleet, records[0]["request_id"]), 0);
    EXPECT_TRUE(says("2 other requests")) << said_;
    EXPECT_TRUE(Fleet::eventually([&] { return list().empty(); }));
}

TEST_F(Explain, TellsWhoFailedWhoAnsweredAndWhoWasLeftOut) {
    a_.set_script(failing(529, "Overloaded, says alpha. Bearer sk-ant-canary-0123456789"));
    Fleet fleet(yaml(), {2, 2});
    ASSERT_EQ(ctl(fleet, {"providers", "disable", "gamma", "--wait"}), 0) << said_;
    RawResponse answer = fleet.ask(in_session("session-of-joe", true), 1);
    ASSERT_EQ(answer.status, 200);
    ASSERT_EQ(explain(fleet, id_of(answer)), 0) << said_;
    SCOPED_TRACE(said_);
    EXPECT_TRUE(said_.starts_with("alpha failed (overloaded, 529), then beta answered with 200"));
    EXPECT_TRUE(says("dp2, worker dp2/"));
    EXPECT_TRUE(says("session-of-joe"));
    EXPECT_TRUE(says("revision 2"));
    EXPECT_TRUE(says("failed: overloaded, 529: Overloaded, says alpha."));
    EXPECT_TRUE(says("left out: it is disabled or drained"));
    EXPECT_FALSE(says("canary"));
    // On one screen.
    EXPECT_LT(std::count(said_.begin(), said_.end(), '\n'), 24);

    Json json = record(fleet, id_of(answer));
    EXPECT_EQ(json["dp_id"], "dp2");
    EXPECT_EQ(json["provider"], "beta");
    EXPECT_EQ(json["outcome"], "ok");
    ASSERT_EQ(json["candidates"].size(), 3U);
    EXPECT_EQ(json["candidates"][0]["fate"], "FAILED");
    EXPECT_GE(json["candidates"][0]["connect_ms"].get<std::int64_t>(), 0);
    EXPECT_GE(json["candidates"][0]["first_byte_ms"].get<std::int64_t>(), 0);
    EXPECT_EQ(json["candidates"][1]["fate"], "ANSWERED");
    EXPECT_GE(json["candidates"][1]["duration_ms"].get<std::int64_t>(), 0);
    EXPECT_GT(json["bytes_out"].get<std::int64_t>(), 0);
    // The provider's own id of the answer leads there as well.
    EXPECT_EQ(record(fleet, json["upstream_request_id"])["request_id"], id_of(answer));
}

TEST_F(Explain, TellsWhoWasBenchedUntilWhenAndWhy) {
    a_.set_script(failing(401, "alpha does not know this key"));
    Fleet fleet(yaml());
    ASSERT_TRUE(Fleet::eventually([&] {
        RawResponse answer = fleet.ask(unstreamed());
        return explain(fleet, id_of(answer)) == 0 && says("left out: benched until ");
    })) << said_;
    SCOPED_TRACE(said_);
    EXPECT_TRUE(said_.starts_with("beta answered with 200"));
    EXPECT_TRUE(says("auth"));
    EXPECT_TRUE(says("alpha does not know this key"));
    EXPECT_TRUE(says("not asked"));  // gamma
}

// It was busy at its first turn, and those behind it could not take the request.
TEST_F(Explain, TellsOfTheSecondTurn) {
    Step slow;
    slow.delay = std::chrono::milliseconds(600);
    a_.set_script(script_of({slow, Step{}}));
    Fleet fleet(
        yaml_of(
            {{"alpha", a_.base_url(), "    max_concurrency: 1\n"}, openai_provider("beta", b_)},
            {},
            "  timeouts:\n    non_streaming: {connect_timeout: 60, read_timeout: 60, pool_timeout: 60}\n"
        ),
        {1, 1}
    );
    Result<RawClient> held = RawClient::connect(fleet.port());
    ASSERT_TRUE(held);
    ASSERT_TRUE(held->send(claude_code_request(in_session("held"))));
    ASSERT_TRUE(a_.wait_for_requests(1));
    Json body = Json::parse(claude_code_body(unstreamed()));
    body["messages"].back()["content"] = Json::array(
        {{{"type", "document"}, {"source", {{"type", "base64"}, {"media_type", "application/pdf"}, {"data", "JVBERi0="}}}}}
    );
    RawResponse answer = exchange_raw(fleet.port(), post_request("", body.dump()));
    ASSERT_EQ(answer.status, 200u) << answer.body;
    Json json = record(fleet, id_of(answer));
    ASSERT_EQ(json["candidates"].size(), 2U) << said_;
    EXPECT_EQ(json["candidates"][0]["fate"], "ANSWERED") << said_;
    EXPECT_EQ(json["candidates"][1]["fate"], "PASSED_OVER") << said_;
    ASSERT_TRUE(held->read_response());
}

TEST_F(Explain, TellsWhatTheClientWasToldWhenNobodyCould) {
    for (FakeProvider* provider : {&a_, &b_, &c_}) provider->set_script(failing(500, "Internal"));
    Fleet fleet(yaml());
    RawResponse answer = fleet.ask(unstreamed());
    ASSERT_EQ(answer.status, 503);
    ASSERT_EQ(explain(fleet, id_of(answer)), 0) << said_;
    SCOPED_TRACE(said_);
    EXPECT_TRUE(says("nobody was left who could serve it; the client got 503"));
    EXPECT_TRUE(says("All configured providers for model"));
    RawResponse lost = fleet.ask(for_model("unknown"));
    EXPECT_EQ(record(fleet, id_of(lost))["outcome"], "no_healthy_upstream");
}

TEST_F(Explain, FindsARequestThatIsUnderWay) {
    a_.set_script(script_of({break_step(Break::How::kHang, Break::After::kEvents, 4)}));
    Fleet fleet(yaml(), {1, 2});
    Result<RawClient> client = RawClient::connect(fleet.port());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->send(claude_code_request(streamed())));
    Result<RawResponse> head = client->read_head();
    ASSERT_TRUE(head);
    Json under_way = record(fleet, id_of(*head));
    EXPECT_EQ(under_way["phase"], "its answer is being relayed");
    EXPECT_EQ(under_way["candidates"][0]["fate"], "UNDER_WAY");
    ASSERT_EQ(explain(fleet, id_of(*head)), 0);
    EXPECT_TRUE(says("under way for ")) << said_;
    EXPECT_TRUE(says("(at alpha)")) << said_;
    // The client has enough of it.
    client = invalid("gone");
    ASSERT_TRUE(Fleet::eventually([&] {
        return record(fleet, id_of(*head))["outcome"] == "downstream_disconnect";
    }));
    ASSERT_EQ(explain(fleet, id_of(*head)), 0);
    EXPECT_TRUE(says("The client went away after ")) << said_;
}

TEST_F(Explain, AnUnknownRequestIsAPlainNo) {
    Fleet fleet(yaml(), {2, 1});
    EXPECT_EQ(explain(fleet, "bal_0000000000000000"), 1);
    SCOPED_TRACE(said_);
    EXPECT_TRUE(says("no data plane knows this request"));
    EXPECT_TRUE(says("dp1"));
    EXPECT_TRUE(says("remembers requests since"));
    fleet.stop_data_plane(1);
    ASSERT_TRUE(Fleet::eventually([&] { return explain(fleet, "bal_0000000000000000") == 4; })) << said_;
    EXPECT_TRUE(says("could not be asked: gone"));
    EXPECT_EQ(explain(fleet, "no id"), 1);
    EXPECT_TRUE(says("that is no id of a request"));
}

TEST_F(Explain, ADataPlaneThatHangsIsNamedAndDoesNotHideTheOthersAnswer) {
    Fleet fleet(yaml());
    RawResponse answer = fleet.ask(unstreamed());
    auto child = start_data_plane_process(fleet, "hung", fleet.control_plane_addresses().grpc);
    ASSERT_TRUE(Fleet::eventually([&] {
        return ctl(fleet, {"dataplanes", "list"}) == 0 && says("hung") && !says("behind");
    }));
    child->signal(SIGSTOP);
    EXPECT_EQ(explain(fleet, id_of(answer)), 0) << said_;
    EXPECT_TRUE(said_.starts_with("Alpha answered") || said_.starts_with("alpha answered")) << said_;
    EXPECT_EQ(explain(fleet, "bal_0000000000000000"), 4);
    EXPECT_TRUE(says("hung")) << said_;
    child->signal(SIGCONT);
}

}  // namespace
}  // namespace balancer::tests
