#include "controlplane/http/pages.hpp"

#include <nlohmann/json.hpp>

#include "controlplane/http/management.hpp"
#include "controlplane/http/metrics.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::controlplane {
namespace {

using nlohmann::json;
using test::config_yaml;
using test::replaced;

class PagesTest : public test::ControlPlaneTest {
  protected:
    v1::ManageResponse ask(const std::string& method, const std::string& path) {
        v1::ManageRequest request;
        request.set_method(method);
        request.set_path(path);
        return manage(*plane_, request);
    }

    ManagementResponse page(const std::string& path, const std::string& method = "GET") {
        return serve_page(*plane_, ManagementRequest{method, path, "", ""});
    }
};

TEST_F(PagesTest, ProvidersHasTheOriginalsShape) {
    start(config_yaml());
    v1::ManageResponse response = ask("GET", "/providers");
    EXPECT_EQ(response.status(), 200U);
    EXPECT_EQ(response.content_type(), "application/json");
    json body = json::parse(response.body());
    EXPECT_EQ(body["total_providers"], 3);
    EXPECT_EQ(body["healthy_providers"], 2);
    EXPECT_EQ(body["selection_strategy"], "priority");
    EXPECT_EQ(body["total_model_routes"], 2);
    json alpha = body["providers"][0];
    EXPECT_EQ(alpha["name"], "alpha");
    EXPECT_EQ(alpha["type"], "anthropic");
    EXPECT_EQ(alpha["base_url"], "http://127.0.0.1:7001");
    EXPECT_EQ(alpha["enabled"], true);
    EXPECT_EQ(alpha["healthy"], true);
    EXPECT_EQ(alpha["failure_count"], 0);
    EXPECT_EQ(alpha["last_failure_time"], 0.0);
    EXPECT_TRUE(alpha["proxy"].is_null());
    EXPECT_EQ(
        alpha["models"][0],
        (json{{"pattern", "*sonnet*"}, {"model", "passthrough"}, {"priority", 1}})
    );
    EXPECT_EQ(alpha["status"], "healthy");
    EXPECT_EQ(alpha["circuit"], "closed");
    EXPECT_EQ(body["providers"][1]["proxy"], "127.0.0.1:3128");
    EXPECT_EQ(body["providers"][2]["status"], "disabled");
    EXPECT_EQ(body["providers"][2]["healthy"], false);
    EXPECT_EQ(body["data_planes"]["connected"], 0);
    EXPECT_EQ(body["version"]["epoch"], 7);
}

TEST_F(PagesTest, ABenchedProviderIsUnhealthyWithCauseAndTime) {
    start(replaced(config_yaml(), "unhealthy_threshold: 2", "unhealthy_threshold: 1"));
    fail("beta", view("beta").provider().etag());
    json beta = json::parse(ask("GET", "/providers").body())["providers"][1];
    EXPECT_EQ(beta["status"], "unhealthy");
    EXPECT_EQ(beta["healthy"], false);
    EXPECT_EQ(beta["failure_count"], 1);
    double now = static_cast<double>(unix_now()) / 1000;
    EXPECT_NEAR(beta["last_failure_time"].get<double>(), now, 60);
    EXPECT_GT(beta["open_until"].get<double>(), now);
    EXPECT_NE(beta["cause"], "");
}

TEST_F(PagesTest, ProvidersGivesNoSecretAway) {
    start(config_yaml());
    EXPECT_EQ(ask("GET", "/providers").body().find("canary"), std::string::npos);
}

TEST_F(PagesTest, ReloadSaysWhatItDid) {
    start(config_yaml());
    json unchanged = json::parse(ask("POST", "/providers/reload").body());
    EXPECT_EQ(unchanged["status"], "success");
    EXPECT_EQ(unchanged["changed"], false);
    EXPECT_EQ(unchanged["providers_count"], 3);
    EXPECT_EQ(unchanged["healthy_providers"], 2);

    dir_.write("config.yaml", replaced(config_yaml(), "priority: 2", "priority: 4"));
    EXPECT_EQ(json::parse(ask("POST", "/providers/reload").body())["changed"], true);

    dir_.write("config.yaml", "providers: []\n");
    v1::ManageResponse refused = ask("POST", "/providers/reload");
    EXPECT_EQ(refused.status(), 500U);
    json body = json::parse(refused.body());
    EXPECT_EQ(body["status"], "error");
    ASSERT_FALSE(body["problems"].empty());
    EXPECT_NE(body["problems"][0].get<std::string>().find("config.yaml:"), std::string::npos);
}

TEST_F(PagesTest, OtherMethodsAndPathsAreRefusedInWords) {
    start(config_yaml());
    v1::ManageResponse get = ask("GET", "/providers/reload");
    EXPECT_EQ(get.status(), 405U);
    EXPECT_EQ(get.allow(), "POST");
    EXPECT_EQ(ask("DELETE", "/providers").status(), 405U);
    v1::ManageResponse missing = ask("GET", "/nothing");
    EXPECT_EQ(missing.status(), 404U);
    json body = json::parse(missing.body());
    EXPECT_EQ(body["type"], "error");
    EXPECT_EQ(body["error"]["type"], "not_found_error");
}

TEST_F(PagesTest, ReadyOnlyWithAConfigurationInForce) {
    plane_.emplace(
        context_, log_, store_, ControlPlane::Options{"none", dir_.path(), test::no_environment()}
    );
    EXPECT_EQ(page("/healthz").status, 200U);
    EXPECT_EQ(page("/readyz").status, 503U);
    start(config_yaml());
    EXPECT_EQ(page("/readyz").status, 200U);
    EXPECT_EQ(page("/other").status, 404U);
    EXPECT_EQ(page("/readyz", "POST").status, 405U);
}

TEST_F(PagesTest, MetricsTellStateAndNoSecret) {
    start(replaced(config_yaml(), "unhealthy_threshold: 2", "unhealthy_threshold: 1"));
    fail("beta", view("beta").provider().etag());
    fail("alpha", "an older etag");
    v1::ReportRequest report;
    v1::Counters& counters = *report.add_counters();
    counters.set_provider("alpha");
    counters.set_attempts(5);
    counters.set_successes(4);
    (*counters.mutable_failures())[v1::FAILURE_CLASS_UPSTREAM_5XX] = 1;
    plane_->on_report("dp-1", "instance-1", report);
    plane_->publisher().registry().signals_dropped("dp-1", "instance-1", 7);
    reload("broken");

    std::string text = page("/metrics").body;
    for (const char* line : {
             "balancer_cp_snapshot_epoch 7\n",
             "balancer_cp_config_reloads_total{result=\"refused\"} 1\n",
             "balancer_cp_config_last_reload_ok 0\n",
             "balancer_cp_provider_circuit{provider=\"beta\",state=\"open\"} 1\n",
             "balancer_cp_provider_circuit{provider=\"alpha\",state=\"closed\"} 1\n",
             "balancer_cp_provider_transitions_total{provider=\"beta\",to=\"open\"} 1\n",
             "balancer_cp_provider_spared{provider=\"alpha\"} 0\n",
             "balancer_cp_provider_models_open{provider=\"alpha\"} 0\n",
             "balancer_cp_data_planes_suspect 0\n",
             "balancer_cp_data_planes_standing_aside 0\n",
             "balancer_cp_data_planes_refusing 0\n",
             "balancer_cp_providers_left_out 0\n",
             "balancer_cp_sealed_records_locked{kind=\"provider_key\"} 0\n",
             "balancer_cp_sealing_key_age_seconds{key=\"0011223344556677\"}",
             "balancer_cp_probes_total{result=\"granted\"} 0\n",
             "balancer_cp_provider_failure_count{provider=\"beta\"} 1\n",
             "balancer_cp_provider_enabled{provider=\"gamma\"} 0\n",
             "balancer_cp_provider_attempts_total{provider=\"alpha\"} 5\n",
             "balancer_cp_provider_failures_total{provider=\"alpha\",class=\"upstream_5xx\"} 1\n",
             "balancer_cp_signals_received_total 2\n",
             "balancer_cp_signals_ignored_total 1\n",
             "balancer_cp_data_planes_connected 1\n",
             "balancer_cp_data_planes_in_sync 0\n",
             "balancer_cp_updates_refused_total 0\n",
             "balancer_cp_providers_left_out 0\n",
             "balancer_cp_signals_dropped_total 7\n",
         }) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "is missing from\n" << text;
    }
    EXPECT_EQ(text.find("canary"), std::string::npos);
}

TEST_F(PagesTest, MetricsTellHowWhatIsPublishedArrives) {
    start(config_yaml());
    connect();
    auto answer = [&](const std::function<void(v1::SyncRequest&, const v1::Update&)>& fill) {
        v1::SyncRequest message;
        fill(message, stream_->updates().back());
        plane_->publisher().registry().received(stream_id_, message);
    };
    answer([](v1::SyncRequest& message, const v1::Update& update) {
        message.mutable_ack()->set_nonce(update.nonce());
        *message.mutable_ack()->mutable_applied() = update.version();
        message.mutable_ack()->add_quarantined()->set_resource("provider/gamma");
    });
    std::string text = page("/metrics").body;
    for (const char* line : {
             "balancer_cp_data_planes_in_sync 1\n",
             "balancer_cp_providers_left_out 1\n",
             "balancer_cp_data_plane_lag_seconds{data_plane=\"dp-1\"} 0\n",
             "balancer_cp_data_plane_draining{data_plane=\"dp-1\"} 0\n",
         }) {
        EXPECT_NE(text.find(line), std::string::npos) << line << "is missing from\n" << text;
    }
    ASSERT_TRUE(set_enabled("gamma", true).has_value());
    answer([](v1::SyncRequest& message, const v1::Update& update) {
        message.mutable_nack()->set_nonce(update.nonce());
        *message.mutable_nack()->mutable_rejected() = update.version();
        message.mutable_nack()->set_code(v1::NACK_CODE_INVALID);
    });
    text = metrics_text(*plane_, unix_now() + 5'900);
    EXPECT_NE(text.find("balancer_cp_updates_refused_total 1\n"), std::string::npos) << text;
    EXPECT_NE(text.find("balancer_cp_data_planes_in_sync 0\n"), std::string::npos) << text;
    EXPECT_NE(text.find("balancer_cp_data_plane_lag_seconds{data_plane=\"dp-1\"} 5"), std::string::npos) << text;
}

}  // namespace
}  // namespace balancer::controlplane
