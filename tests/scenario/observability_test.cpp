// What can be seen from outside: metrics, one access record for each request on every path,
// readiness.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using How = Break::How;
using After = Break::After;
using Json = nlohmann::json;

std::string post(std::string_view body, std::string_view lines = {}) {
    return fmt::format(
        "POST /v1/messages HTTP/1.1\r\nHost: h\r\nx-api-key: key-of-alice\r\n{}Content-Length: "
        "{}\r\n\r\n{}",
        lines,
        body.size(),
        body
    );
}

std::string get(std::string_view path) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path);
}

constexpr const char* kAuth =
    "  auth:\n    enabled: true\n    api_keys: [{name: alice, key: key-of-alice}]\n";

class AccessLog : public testing::Test {
  protected:
    // The one record of an answer; checks what holds for all of them.
    Json record_of(const RawResponse& answer) const {
        std::string id = answer.header("x-balancer-request-id");
        EXPECT_TRUE(id.starts_with("bal_")) << answer.start_line;
        Json record = access_record(fleet_, id);
        EXPECT_FALSE(record.is_null()) << "no record of " << answer.start_line;
        if (record.is_null()) return Json::object();
        EXPECT_EQ(record.value("status", 0u), answer.status);
        std::size_t count = 0;
        for (const Json& one : access_records(fleet_))
            count += one.value("request_id", "") == id ? 1 : 0;
        EXPECT_EQ(count, 1u);
        EXPECT_TRUE(record.value("remote", "").starts_with("127.0.0.1:"));
        EXPECT_TRUE(record.contains("timestamp"));
        EXPECT_TRUE(record.contains("duration_ms"));
        EXPECT_TRUE(record.value("worker", "").starts_with("dp1/"));
        return record;
    }
    Json record_of(std::string_view request) const {
        return record_of(exchange_raw(fleet_.port(), request));
    }

    // The record of a request without an answer.
    Json record_with(const std::string& outcome) const {
        Json found = Json::object();
        Fleet::eventually([&] {
            for (const Json& record : access_records(fleet_)) {
                if (record.value("outcome", "") == outcome) found = record;
            }
            return !found.empty();
        });
        return found;
    }

    FakeProvider first_;
    FakeProvider second_;
    Fleet fleet_{to_yaml(
        {{{"first", first_.base_url()}, {"second", second_.base_url()}},
         "  \"claude-*\":\n    - {provider: first, model: claude-sent, priority: 1}\n"
         "    - {provider: second, model: passthrough, priority: 2}\n",
         std::string("  unhealthy_threshold: 1000\n  sticky_provider_duration: 0\n"
                     "  limits: {body_bytes: 10KiB}\n"
         ) + kAuth}
    )};
};

TEST_F(AccessLog, AnAnswerIsRecordedWithAllThatLedToIt) {
    for (bool stream : {true, false}) {
        std::string body = fmt::format(
            R"({{"model":"claude-1","stream":{},"metadata":{{"user_id":"x_session_abc"}}}})", stream
        );
        RawResponse answer = exchange_raw(fleet_.port(), post(body));
        Json record = record_of(answer);
        EXPECT_EQ(record["outcome"], "ok");
        EXPECT_EQ(record["method"], "POST");
        EXPECT_EQ(record["path"], "/v1/messages");
        EXPECT_EQ(record["model"], "claude-1");
        EXPECT_EQ(record["upstream_model"], "claude-sent");
        EXPECT_EQ(record["provider"], "first");
        EXPECT_EQ(record["stream"], stream);
        EXPECT_EQ(record["client_key"], "alice");
        EXPECT_EQ(record["session"], "abc");
        EXPECT_EQ(record["bytes_in"], body.size());
        EXPECT_EQ(record["bytes_out"], answer.body.size());
        EXPECT_EQ(record["upstream_request_id"], answer.header("request-id"));
        EXPECT_GE(record.value("first_byte_ms", -1), 0);
        EXPECT_GT(record.value("snapshot", 0), 0);
        EXPECT_FALSE(record.contains("failed_attempts"));
    }
}

TEST_F(AccessLog, EveryRefusalIsRecorded) {
    EXPECT_EQ(
        record_of("POST /v1/messages HTTP/1.1\r\nHost: h\r\n\r\n")["outcome"], "unauthorized"
    );
    EXPECT_EQ(record_of(post(R"({"model":"gpt-9"})"))["outcome"], "no_route");
    EXPECT_EQ(record_of(post("not JSON"))["outcome"], "bad_request");
    EXPECT_EQ(record_of(post("{}", "Transfer-Encoding: chunked\r\n"))["outcome"], "bad_request");
    EXPECT_EQ(record_of("nonsense\r\n\r\n")["outcome"], "bad_request");
    EXPECT_EQ(record_of(post(std::string(20'000, ' ')))["outcome"], "too_large");
    EXPECT_EQ(
        record_of("GET /nothing HTTP/1.1\r\nHost: h\r\nx-api-key: key-of-alice\r\n\r\n")["path"],
        "/nothing"
    );
    EXPECT_EQ(record_of(get("/health"))["outcome"], "local");
    EXPECT_EQ(record_of("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")["method"], "HEAD");
    EXPECT_EQ(first_.request_count() + second_.request_count(), 0u);
}

TEST_F(AccessLog, FailuresNameEachAttempt) {
    std::string body = R"({"model":"claude-1"})";
    first_.set_script(script_of({status_step(529)}));
    Json failover = record_of(post(body));
    EXPECT_EQ(failover["outcome"], "ok");
    EXPECT_EQ(failover["provider"], "second");
    ASSERT_EQ(failover["failed_attempts"].size(), 1u);
    EXPECT_EQ(failover["failed_attempts"][0]["provider"], "first");
    EXPECT_EQ(failover["failed_attempts"][0]["failure"], "overloaded");
    EXPECT_EQ(failover["failed_attempts"][0]["status"], 529);
    EXPECT_EQ(failover["failed_attempts"][0]["detail"], "Overloaded");

    second_.set_script(script_of({status_step(500)}));
    Json nobody = record_of(post(body));
    EXPECT_EQ(nobody["outcome"], "no_healthy_upstream");
    EXPECT_EQ(nobody["status"], 503);
    EXPECT_EQ(nobody["failed_attempts"].size(), 2u);

    first_.set_script(script_of({status_step(400)}));
    Json client_fault = record_of(post(body));
    EXPECT_EQ(client_fault["outcome"], "upstream_error");
    EXPECT_EQ(client_fault["status"], 400);

    first_.set_script(script_of({break_step(How::kReset, After::kEvents, 6)}));
    Json broken = record_of(post(R"({"model":"claude-1","stream":true})"));
    EXPECT_EQ(broken["outcome"], "stream_broken");
    EXPECT_EQ(broken["failed_attempts"][0]["failure"], "broken_stream");
}

TEST_F(AccessLog, AClientThatLeavesIsRecordedInEveryPhase) {
    struct Phase {
        const char* name;
        Step step;
        std::string bytes;
        bool reaches_provider;
    };
    std::string whole = post(R"({"model":"claude-1","stream":true})");
    for (const Phase& phase : {
             Phase{"in its own body", Step{}, whole.substr(0, whole.size() - 5), false},
             Phase{"before the head", break_step(How::kHang, After::kHeadBytes, 0), whole, true},
             Phase{"in the stream", break_step(How::kHang, After::kEvents, 6), whole, true},
         }) {
        SCOPED_TRACE(phase.name);
        std::size_t before = access_records(fleet_).size();
        first_.set_script(script_of({phase.step}));
        first_.clear_requests();
        Result<RawClient> client = RawClient::connect(fleet_.port());
        ASSERT_TRUE(client);
        ASSERT_TRUE(client->send(phase.bytes));
        if (phase.reaches_provider) ASSERT_TRUE(first_.wait_for_requests(1));
        client->close();
        ASSERT_TRUE(Fleet::eventually([&] { return access_records(fleet_).size() == before + 1; }));
        Json record = access_records(fleet_).back();
        EXPECT_EQ(record.value("outcome", ""), "downstream_disconnect") << record.dump();
        EXPECT_EQ(record.value("path", ""), "/v1/messages");
    }
    EXPECT_EQ(second_.request_count(), 0u);
}

TEST(Prompts, AreLoggedOnlyWhenAskedFor) {
    const std::string prompt = "canary prompt: what is in the vault";
    for (bool wanted : {false, true}) {
        FakeProvider bad(script_of({status_step(500)}));
        FakeProvider good;
        ConfigText config{
            {{"bad", bad.base_url()}, {"good", good.base_url()}},
            {},
            std::string("  log_bodies: ") + (wanted ? "true\n" : "false\n"),
        };
        config.log_level = "DEBUG";
        testing::internal::CaptureStderr();
        std::vector<std::string> holding;
        bool named = false;
        {
            Fleet fleet(to_yaml(config));
            RawResponse answer = fleet.ask(streamed(prompt));
            EXPECT_EQ(answer.status, 200u);
            std::string refused = post("{\"messages\":\"" + prompt + "\"}");
            EXPECT_EQ(exchange_raw(fleet.port(), refused).status, 400u);
            std::string id = answer.header("x-balancer-request-id");
            EXPECT_FALSE(access_record(fleet, id).is_null());
            holding = files_holding(fleet.folder(), prompt);
            for (const std::string& file : holding) {
                std::string text = *read_file(fleet.folder() / file);
                std::size_t at = text.find(prompt);
                std::size_t end = text.find('\n', at);
                std::size_t begin = text.rfind('\n', at) + 1;
                named = text.substr(begin, end - begin).find(id) != std::string::npos;
            }
        }
        std::string stderr_text = testing::internal::GetCapturedStderr();
        EXPECT_EQ(!holding.empty(), wanted) << testing::PrintToString(holding);
        EXPECT_EQ(stderr_text.find(prompt) != std::string::npos, wanted);
        EXPECT_EQ(named, wanted) << "the line names its request";
    }
}

TEST(Prompts, AreNotQuotedFromAnErrorThatRepeatsThem) {
    const std::string prompt = "canary prompt: what is in the vault";
    for (unsigned status : {400U, 500U}) {
        Step echo = status_step(status);
        echo.body = "{\"detail\":[{\"input\":\"" + prompt + "\"}]}";
        FakeProvider bad(script_of({echo}));
        FakeProvider good;
        ConfigText config{{{"bad", bad.base_url()}, {"good", good.base_url()}}};
        config.log_level = "DEBUG";
        testing::internal::CaptureStderr();
        {
            Fleet fleet(to_yaml(config));
            RawResponse answer = fleet.ask(streamed(prompt));
            std::string id = answer.header("x-balancer-request-id");
            EXPECT_NE(access_record(fleet, id).dump().find("no error of the API"), std::string::npos);
            EXPECT_TRUE(files_holding(fleet.folder(), prompt).empty());
            EXPECT_EQ(fleet.get("/providers").body.find(prompt), std::string::npos);
        }
        EXPECT_EQ(testing::internal::GetCapturedStderr().find(prompt), std::string::npos);
    }
}

// A data plane beside the fleet's own, whose start the test chooses.
class LoneDataPlane {
  public:
    explicit LoneDataPlane(const Fleet& fleet) : folder_(fleet.folder() / "lone"), log_("lone") {
        log_.set_level(LogLevel::kError);
        dataplane::ServerOptions options;
        options.control.addresses = {fleet.control_plane_addresses().grpc};
        options.control.token =
            *read_secret_file(fleet.folder() / "control-plane" / "dataplane.token");
        options.control.id = "lone";
        options.control.state_dir = folder_;
        options.listen = "127.0.0.1:0";
        options.admin = "127.0.0.1:0";
        std::filesystem::create_directories(folder_);
        server_ = std::make_unique<dataplane::Server>(std::move(options), log_);
        Result<void> started = server_->start();
        if (!started) throw std::runtime_error(started.error().text());
        thread_ = std::thread([this] {
            auto work = boost::asio::make_work_guard(server_->context());
            server_->context().run();
        });
    }
    ~LoneDataPlane() {
        server_->stop(std::chrono::milliseconds(500));
        server_->context().stop();
        thread_.join();
    }

    std::uint16_t port(const char* which) const {
        std::string address = Json::parse(*read_file(folder_ / "addresses.json"))[which];
        return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    }

  private:
    std::filesystem::path folder_;
    Log log_;
    std::unique_ptr<dataplane::Server> server_;
    std::thread thread_;
};

TEST(Readiness, IsASnapshotInForce) {
    FakeProvider provider;
    Fleet fleet(to_yaml({{{"main", provider.base_url()}}}));
    EXPECT_EQ(fleet.get_at(fleet.control_plane_http_port(), "/readyz").status, 200u);
    EXPECT_EQ(fleet.get_at(fleet.admin_port(), "/healthz").status, 200u);
    fleet.stop_control_plane();
    {
        LoneDataPlane lone(fleet);
        EXPECT_EQ(fleet.get_at(lone.port("admin"), "/healthz").status, 200u);
        EXPECT_EQ(fleet.get_at(lone.port("admin"), "/readyz").status, 503u);
        Metrics metrics = parse_metrics(fleet.get_at(lone.port("admin"), "/metrics").body);
        EXPECT_EQ(metrics.sum("balancer_dp_ready"), 0);
        RawResponse answer = exchange_raw(lone.port("listen"), claude_code_request(unstreamed()));
        EXPECT_EQ(answer.status, 503u);
        EXPECT_FALSE(answer.header("retry-after").empty());
        EXPECT_NE(answer.body.find("NOT_READY"), std::string::npos);
        fleet.start_control_plane();
        EXPECT_TRUE(Fleet::eventually([&] {
            return fleet.get_at(lone.port("admin"), "/readyz").status == 200;
        }));
        EXPECT_EQ(
            exchange_raw(lone.port("listen"), claude_code_request(unstreamed())).status, 200u
        );
    }
    // One that has a snapshot stays ready without its control plane.
    fleet.stop_control_plane();
    EXPECT_TRUE(Fleet::eventually([&] {
        return read_metrics(fleet).sum("balancer_dp_control_plane_connected") == 0;
    }));
    EXPECT_EQ(fleet.get_at(fleet.admin_port(), "/readyz").status, 200u);
    EXPECT_EQ(fleet.ask(unstreamed()).status, 200u);
}

}  // namespace
}  // namespace balancer::tests
