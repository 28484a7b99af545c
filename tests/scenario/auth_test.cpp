// Who may come in, and that no secret gets out.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/support/test_proxies.hpp"

namespace balancer::tests {
namespace {

constexpr const char* kAlice = "canary-client-key-of-alice";
constexpr const char* kDefault = "canary-client-key-default";

std::string auth_settings(std::string_view further = {}) {
    return fmt::format(
        "  auth:\n    enabled: true\n    api_key: {}\n    api_keys:\n      - {{name: alice, key: "
        "{}}}\n{}",
        kDefault,
        kAlice,
        further
    );
}

std::string request(std::string_view method, std::string_view path, std::string_view lines = {}) {
    std::string body = method == "POST" ? R"({"model":"m"})" : "";
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: h\r\n{}Content-Length: {}\r\n\r\n{}",
        method,
        path,
        lines,
        body.size(),
        body
    );
}

std::string api_key(std::string_view key) {
    return fmt::format("x-api-key: {}\r\n", key);
}
std::string bearer(std::string_view key) {
    return fmt::format("Authorization: Bearer {}\r\n", key);
}

class Auth : public testing::Test {
  protected:
    RawResponse send(std::string_view method, std::string_view path, const std::string& lines = {})
        const {
        return exchange_raw(fleet_.port(), request(method, path, lines));
    }

    FakeProvider provider_;
    Fleet fleet_{to_yaml({{{"main", provider_.base_url()}}, {}, auth_settings()})};
};

TEST_F(Auth, EitherHeaderLetsInAndTheKeysNameIsLogged) {
    struct Case {
        std::string lines;
        const char* name;
    };
    for (const Case& one : {
             Case{api_key(kAlice), "alice"},
             Case{bearer(kAlice), "alice"},
             Case{fmt::format("X-API-KEY: {}\r\n", kDefault), "default"},
             Case{fmt::format("authorization: bearer {}\r\n", kDefault), "default"},
             Case{api_key("wrong") + bearer(kAlice), "alice"},
             Case{bearer("wrong") + api_key(kAlice), "alice"},
         }) {
        RawResponse answer = send("POST", "/v1/messages", one.lines);
        EXPECT_EQ(answer.status, 200u) << one.lines;
        nlohmann::json record = access_record(fleet_, answer.header("x-balancer-request-id"));
        EXPECT_EQ(record.value("client_key", ""), one.name);
        EXPECT_EQ(provider_.requests().back().header("x-api-key"), "sk-test-key-of-provider");
        EXPECT_FALSE(provider_.requests().back().has_header("authorization"));
    }
}

TEST_F(Auth, AWrongOrMissingKeyIsToldWhyInOneLineAndNotToRetry) {
    for (const std::string& lines :
         {std::string(),
          api_key("wrong"),
          bearer("wrong"),
          api_key(std::string(kAlice) + "x"),
          api_key(std::string(kAlice).substr(1)),
          api_key(""),
          std::string("Authorization: Basic ") + kAlice + "\r\n",
          api_key("Bearer " + std::string(kAlice))}) {
        SCOPED_TRACE(lines);
        RawResponse answer = send("POST", "/v1/messages", lines);
        EXPECT_EQ(answer.status, 401u);
        EXPECT_EQ(answer.header("x-should-retry"), "false");
        EXPECT_EQ(answer.header("retry-after"), "");
        auto json = nlohmann::json::parse(answer.body, nullptr, false);
        ASSERT_TRUE(json.is_object()) << answer.body;
        EXPECT_EQ(json["type"], "error");
        EXPECT_EQ(json["error"]["type"], "authentication_error");
        std::string message = json["error"]["message"];
        EXPECT_EQ(message.find('\n'), std::string::npos);
        EXPECT_NE(message.find("balancer"), std::string::npos)
            << "says whose key is wrong: " << message;
        EXPECT_EQ(message.find("canary"), std::string::npos);
        nlohmann::json record = access_record(fleet_, answer.header("x-balancer-request-id"));
        EXPECT_EQ(record.value("outcome", ""), "unauthorized");
        EXPECT_EQ(record.value("client_key", "none"), "none");
    }
    EXPECT_EQ(provider_.connection_count(), 0u);
}

TEST_F(Auth, AnAnnouncedBodyIsNotAskedForBeforeTheKeyIsKnown) {
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    std::string bytes =
        request("POST", "/v1/messages", api_key("wrong") + "Expect: 100-continue\r\n");
    ASSERT_TRUE(client->send(bytes.substr(0, *head_size(bytes))));
    Result<RawResponse> answer = client->read_head();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 401u);
    client->read_body(*answer);
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
    EXPECT_TRUE(client->wait_for_close());
}

TEST_F(Auth, AClientThatStillSendsItsBodyGetsTheAnswer) {
    std::string body = R"({"model":")" + std::string(8 << 20, 'x') + "\"}";
    Result<RawClient> client = RawClient::connect(fleet_.port());
    ASSERT_TRUE(client);
    Result<RawResponse> answer = client->exchange(fmt::format(
        "POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{}", body.size(), body
    ));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 401u);
    EXPECT_EQ(answer->end, BodyEnd::kComplete);
}

TEST_F(Auth, OnlyExemptPathsAreOpenAndOnlyExactly) {
    EXPECT_EQ(send("GET", "/health").status, 200u);
    EXPECT_EQ(send("GET", "/health?verbose=1").status, 200u);
    for (const char* path :
         {"/",
          "/health/",
          "/Health",
          "//health",
          "/health/../v1/messages",
          "/healthz",
          "/providers",
          "/v1/messages",
          "/x"}) {
        EXPECT_EQ(send("GET", path).status, 401u) << path;
    }
    EXPECT_EQ(send("POST", "/providers/reload").status, 401u);
    EXPECT_EQ(send("POST", "/v1/messages/count_tokens").status, 401u);
    EXPECT_EQ(send("GET", "/", api_key(kAlice)).status, 200u);
    EXPECT_EQ(send("GET", "/providers", bearer(kAlice)).status, 200u);
    EXPECT_EQ(send("POST", "/providers/reload", bearer(kAlice)).status, 200u);
    // Claude Code probes without a key.
    EXPECT_EQ(send("HEAD", "/").status, 200u);
}

TEST_F(Auth, ReloadsWithTheConfiguration) {
    EXPECT_EQ(send("POST", "/v1/messages", api_key("new-key-of-bob")).status, 401u);
    fleet_.write_config(to_yaml(
        {{{"main", provider_.base_url()}},
         {},
         "  auth:\n    enabled: true\n    api_keys: [{name: bob, key: new-key-of-bob}]\n    "
         "exempt_paths: [/]\n"}
    ));
    EXPECT_TRUE(Fleet::eventually([&] {
        return send("POST", "/v1/messages", api_key("new-key-of-bob")).status == 200;
    }));
    EXPECT_TRUE(Fleet::eventually([&] {
        return send("POST", "/v1/messages", api_key(kAlice)).status == 401;
    }));
    EXPECT_TRUE(Fleet::eventually([&] { return send("GET", "/").status == 200; }));
    EXPECT_TRUE(Fleet::eventually([&] { return send("GET", "/health").status == 401; }));
    fleet_.write_config(to_yaml({{{"main", provider_.base_url()}}}));
    EXPECT_TRUE(Fleet::eventually([&] { return send("POST", "/v1/messages").status == 200; }));
}

TEST(Passthrough, NoKeyOfTheBalancersGoesOnWhereverItStands) {
    FakeProvider provider;
    Fleet fleet(to_yaml(
        {{{"main", provider.base_url(), "", "    auth_type: api_key\n    auth_value: passthrough\n"}},
         {},
         auth_settings("    exempt_paths: [/v1/messages/count_tokens]\n")}
    ));
    EXPECT_EQ(
        exchange_raw(fleet.port(), request("POST", "/v1/messages", bearer(kAlice) + api_key(kDefault))).status,
        200u
    );
    exchange_raw(fleet.port(), request("POST", "/v1/messages/count_tokens", bearer(kAlice) + api_key("own")));
    ASSERT_EQ(provider.requests().size(), 2u);
    for (const RecordedRequest& seen : provider.requests()) {
        EXPECT_FALSE(seen.has_header("authorization"));
        EXPECT_NE(seen.header("x-api-key"), kDefault);
    }
    EXPECT_EQ(provider.requests().back().header("x-api-key"), "own");
}

TEST(Passthrough, SeesTheClientsOwnCredentialAndNeverTheBalancersKey) {
    FakeProvider provider;
    Fleet fleet(to_yaml(
        {{{"main", provider.base_url(), "", "    auth_type: api_key\n    auth_value: passthrough\n"}
         },
         {},
         auth_settings()}
    ));
    auto last = [&] { return provider.requests().back(); };
    std::string own = "sk-ant-own-credential";
    EXPECT_EQ(
        exchange_raw(fleet.port(), request("POST", "/v1/messages", api_key(kAlice) + bearer(own)))
            .status,
        200u
    );
    EXPECT_EQ(last().header("authorization"), "Bearer " + own);
    EXPECT_FALSE(last().has_header("x-api-key"));
    EXPECT_EQ(
        exchange_raw(fleet.port(), request("POST", "/v1/messages", bearer(kAlice) + api_key(own)))
            .status,
        200u
    );
    EXPECT_EQ(last().header("x-api-key"), own);
    EXPECT_FALSE(last().has_header("authorization"));
    EXPECT_EQ(
        exchange_raw(
            fleet.port(), request("POST", "/v1/messages", bearer(kAlice) + api_key(kAlice))
        )
            .status,
        200u
    );
    EXPECT_FALSE(last().has_header("x-api-key"));
    EXPECT_FALSE(last().has_header("authorization"));
}

TEST(Passthrough, WithoutKeysOfOurOwnBothHeadersPass) {
    FakeProvider failing(script_of({status_step(500)}));
    FakeProvider next;
    Fleet fleet(to_yaml(
        {{{"pass", failing.base_url(), "", "    auth_type: api_key\n    auth_value: passthrough\n"},
          {"own", next.base_url()}}}
    ));
    RawResponse answer = exchange_raw(
        fleet.port(), request("POST", "/v1/messages", api_key("client-one") + bearer("client-two"))
    );
    EXPECT_EQ(answer.header("x-provider-used"), "own");
    ASSERT_EQ(failing.request_count(), 1u);
    EXPECT_EQ(failing.requests().front().header("x-api-key"), "client-one");
    EXPECT_EQ(failing.requests().front().header("authorization"), "Bearer client-two");
    // The client's credential is for the passthrough provider alone.
    ASSERT_EQ(next.request_count(), 1u);
    EXPECT_EQ(next.requests().front().header("x-api-key"), "sk-test-key-of-provider");
    EXPECT_FALSE(next.requests().front().has_header("authorization"));
}

TEST(Passthrough, A401OfTheClientsOwnKeyIsTheClientsToSee) {
    FakeProvider provider(script_of({status_step(401)}));
    FakeProvider next;
    Fleet fleet(to_yaml(
        {{{"pass", provider.base_url(), "", "    auth_type: api_key\n    auth_value: passthrough\n"
          },
          {"own", next.base_url()}}}
    ));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.status, 401u);
    EXPECT_NE(answer.body.find("invalid x-api-key"), std::string::npos);
    EXPECT_EQ(next.request_count(), 0u);
}

// Keys that only their being known could give away: no shape that a redaction rule would find.
TEST(Secrets, AreInNoLogNoMetricAndNoPage) {
    const std::string provider_key = "canaryproviderkey0123456789";
    const std::string header_secret = "canaryheadersecret0123456789";
    const std::string proxy_password = "canaryproxypassword";
    const std::string foreign_key = "canaryforeignkey0123456789";
    Step echo = status_step(401);
    echo.error = ErrorSpec{
        "authentication_error", "no such key '" + provider_key + "' (" + provider_key + ")"
    };
    FakeProvider bad(script_of(
        {echo, status_step(500), break_step(Break::How::kClose, Break::After::kEvents, 5)}
    ));
    FakeProvider good;
    TestProxyOptions options;
    options.access = ProxyAccess{"user", proxy_password};
    TestProxy proxy(options);
    std::string auth = "    auth_type: api_key\n    auth_value: " + provider_key + "\n";
    std::string extra =
        "    headers: {x-secret: " + header_secret + "}\n    proxy: \"" + proxy.url() + "\"\n";

    testing::internal::CaptureStderr();
    std::string pages;
    std::vector<std::string> holding;
    {
        ConfigText config{
            {{"bad", bad.base_url(), extra, auth}, {"good", good.base_url(), extra, auth}},
            {},
            "  unhealthy_threshold: 1000\n  failure_cooldown: 0.05\n  sticky_provider_duration: 0\n" +
                auth_settings(),
        };
        config.log_level = "DEBUG";
        Fleet fleet(to_yaml(config));
        auto post = [&](const std::string& lines, bool stream) {
            std::string body = fmt::format(R"({{"model":"m","stream":{}}})", stream);
            return exchange_raw(
                fleet.port(),
                fmt::format(
                    "POST /v1/messages?key={} HTTP/1.1\r\nHost: h\r\n{}Content-Length: "
                    "{}\r\n\r\n{}",
                    foreign_key,
                    lines,
                    body.size(),
                    body
                )
            );
        };
        EXPECT_EQ(post(api_key(kAlice), false).header("x-provider-used"), "good");
        EXPECT_EQ(post(bearer(kDefault), false).header("x-provider-used"), "good");
        // The refused key benches it for a moment.
        EXPECT_TRUE(Fleet::eventually([&] {
            return post(bearer(kAlice), true).header("x-provider-used") == "bad";
        }));
        EXPECT_EQ(post(api_key(foreign_key), false).status, 401u);
        EXPECT_EQ(bad.requests().front().header("x-secret"), header_secret);
        for (const char* path : {"/", "/health", "/providers", "/nothing"}) {
            pages += exchange_raw(fleet.port(), request("GET", path, api_key(kAlice))).body;
        }
        pages +=
            exchange_raw(fleet.port(), request("POST", "/providers/reload", api_key(kAlice))).body;
        for (const char* path : {"/metrics", "/readyz", "/healthz", "/"}) {
            pages += fleet.get_at(fleet.admin_port(), path).body;
            pages += fleet.get_at(fleet.control_plane_http_port(), path).body;
        }
        fleet.write_config(
            "providers: [{name: x, auth_value: " + provider_key + ", nonsense: 1}]\n"
        );
        EXPECT_TRUE(Fleet::eventually([&] {
            return fleet.get_at(fleet.control_plane_http_port(), "/metrics")
                       .body.find("config_last_reload_ok 0") != std::string::npos;
        }));
        EXPECT_TRUE(Fleet::eventually([&] { return access_records(fleet).size() >= 9; }));
        std::string dataplane_token =
            *read_secret_file(fleet.folder() / "control-plane" / "dataplane.token");
        std::string admin_token =
            *read_secret_file(fleet.folder() / "control-plane" / "admin.token");
        for (const std::string& secret :
             {provider_key,
              header_secret,
              proxy_password,
              foreign_key,
              std::string(kAlice),
              std::string(kDefault),
              dataplane_token,
              admin_token}) {
            for (const std::string& file : files_holding(
                     fleet.folder(),
                     secret,
                     // The database keeps the configuration's text as it was written, for its owner.
                     {"config.yaml",
                      "control-plane/dataplane.token",
                      "control-plane/admin.token",
                      "control-plane/control-plane.db",
                      "control-plane/control-plane.db-wal"}
                 )) {
                holding.push_back(secret + " in " + file);
            }
            if (pages.find(secret) != std::string::npos) holding.push_back(secret + " in a page");
        }
        pages += dataplane_token.empty() ? "no token" : "";
    }
    std::string stderr_text = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(holding.empty()) << testing::PrintToString(holding);
    EXPECT_NE(pages.find("balancer_cp_"), std::string::npos);
    EXPECT_NE(pages.find("\"providers\""), std::string::npos);
    EXPECT_FALSE(stderr_text.empty());
    for (std::size_t at = stderr_text.find("canary"); at != std::string::npos;
         at = stderr_text.find("canary", at + 1)) {
        ADD_FAILURE() << "stderr: " << stderr_text.substr(at < 150 ? 0 : at - 150, 250);
    }
}

}  // namespace
}  // namespace balancer::tests
