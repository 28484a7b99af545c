// The way to a provider: TLS, proxies, base URLs with a path.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/readings.hpp"
#include "tests/support/test_proxies.hpp"

namespace balancer::tests {
namespace {

FakeProviderOptions with_tls(Identity identity) {
    FakeProviderOptions options;
    options.tls = std::move(identity);
    return options;
}

std::string ca_line(const TemporaryFile& file) {
    return "    ca_file: " + file.path() + "\n";
}

TEST(Tls, AProviderWithItsOwnCaIsVerifiedAndNamed) {
    TestCa ca;
    TemporaryFile ca_file(ca.certificate_pem());
    FakeProvider provider({}, with_tls(ca.issue()));
    Fleet fleet(to_yaml({{{"main", provider.base_url(), ca_line(ca_file)}}}));
    for (const ClaudeCodeRequest& request : {streamed(), unstreamed()}) {
        RawResponse answer = fleet.ask(request);
        EXPECT_EQ(answer.status, 200u) << answer.body;
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
    }
    ASSERT_EQ(provider.request_count(), 2u);
    EXPECT_EQ(provider.requests().front().tls_server_name, "localhost");
    EXPECT_TRUE(provider.requests().front().body == claude_code_body(streamed()));

    // By address: the certificate's own is compared, and no name is sent.
    std::string by_address = fmt::format("https://127.0.0.1:{}", provider.port());
    fleet.write_config(to_yaml({{{"main", by_address, ca_line(ca_file)}}}));
    EXPECT_TRUE(Fleet::eventually([&] {
        return fleet.ask(unstreamed()).status == 200 &&
               provider.requests().back().tls_server_name.empty();
    }));
}

TEST(Tls, AnUntrustedProviderIsRefusedAndFailedOver) {
    TestCa ca;
    TestCa other_ca;
    TemporaryFile ca_file(ca.certificate_pem());
    struct Case {
        const char* name;
        Identity identity;
        const char* words;
    };
    for (const Case& one : {
             Case{"of another CA", other_ca.issue(), "certificate"},
             Case{"for another name", ca.issue({"other.example"}), "mismatch"},
             Case{
                 "expired", ca.issue({"localhost"}, Validity::kExpired), "certificate has expired"
             },
         }) {
        SCOPED_TRACE(one.name);
        FakeProvider bad({}, with_tls(one.identity));
        FakeProvider good;
        Fleet fleet(to_yaml(
            {{{"bad", bad.base_url(), ca_line(ca_file)}, {"good", good.base_url()}},
             {},
             "  unhealthy_threshold: 1000\n"}
        ));
        RawResponse answer = fleet.ask(unstreamed());
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer.header("x-provider-used"), "good");
        EXPECT_EQ(attempts(fleet, "bad", "tls"), 1);
        std::string words = failed_attempts(fleet, answer);
        EXPECT_NE(words.find(one.words), std::string::npos) << words;
        EXPECT_NE(words.find("localhost"), std::string::npos) << words;
        EXPECT_EQ(bad.request_count(), 0u) << "a credential went to a stranger";
    }
}

TEST(Tls, AServerThatSpeaksNoTlsIsNoProvider) {
    // One that waits for more of what it takes for a request, and one that hangs up.
    FakeProvider silent;
    Step refusal;
    refusal.refuse = true;
    FakeProvider closing(script_of({refusal}));
    FakeProvider good;
    std::string https = "https://127.0.0.1:";
    Fleet fleet(to_yaml(
        {{{"silent", https + std::to_string(silent.port()), "    timeouts: {connect: 0.4}\n"},
          {"closing", https + std::to_string(closing.port())},
          {"good", good.base_url()}},
         {},
         "  unhealthy_threshold: 1000\n"}
    ));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.header("x-provider-used"), "good");
    EXPECT_EQ(attempts(fleet, "silent", "timeout"), 1);
    // A reset may be seen by the connect already.
    EXPECT_EQ(attempts(fleet, "closing", "tls") + attempts(fleet, "closing", "connect"), 1);
    std::string words = failed_attempts(fleet, answer);
    EXPECT_NE(words.find("TLS handshake timeout"), std::string::npos) << words;
    EXPECT_EQ(silent.request_count() + closing.request_count(), 0u);
}

TEST(Tls, SessionsAreResumedOnNewConnections) {
    TestCa ca;
    TemporaryFile ca_file(ca.certificate_pem());
    Step step;
    step.closing = Closing::kAnnounced;
    FakeProvider provider(script_of({step}), with_tls(ca.issue()));
    Fleet fleet(to_yaml({{{"main", provider.base_url(), ca_line(ca_file)}}}), {1, 1});
    for (int i = 0; i < 6; ++i) ASSERT_EQ(fleet.ask(unstreamed()).status, 200u);
    std::vector<RecordedRequest> seen = provider.requests();
    ASSERT_EQ(seen.size(), 6u);
    EXPECT_EQ(provider.connection_count(), 6u);
    EXPECT_EQ(std::ranges::count_if(seen, &RecordedRequest::tls_resumed), 5);
}

TEST(Proxies, EveryKindCarriesPlainAndTlsWithAndWithoutCredentials) {
    TestCa ca;
    TemporaryFile ca_file(ca.certificate_pem());
    FakeProvider plain;
    FakeProvider secure({}, with_tls(ca.issue()));
    for (ProxyKind kind : {ProxyKind::kHttpConnect, ProxyKind::kSocks5}) {
        for (bool asks : {false, true}) {
            TestProxyOptions options;
            options.kind = kind;
            if (asks) options.access = ProxyAccess{"proxy-user", "pass:w%rd"};
            TestProxy proxy(options);
            std::string url = proxy.url();
            if (asks) {
                url.replace(
                    url.find("proxy-user"),
                    url.find('@') - url.find("proxy-user"),
                    "proxy-user:pass%3Aw%25rd"
                );
            }
            std::string line = "    proxy: \"" + url + "\"\n";
            SCOPED_TRACE(url);
            Fleet fleet(to_yaml(
                {{{"plain", fmt::format("http://plain.example:{}", plain.port()), line},
                  {"secure",
                   fmt::format("https://localhost:{}", secure.port()),
                   line + ca_line(ca_file)}},
                 "  plain:\n    - {provider: plain, model: passthrough, priority: 1}\n"
                 "  secure:\n    - {provider: secure, model: passthrough, priority: 1}\n"}
            ));
            for (const char* model : {"plain", "secure", "plain", "secure"}) {
                ClaudeCodeRequest request = streamed();
                request.model = model;
                RawResponse answer = fleet.ask(request);
                EXPECT_EQ(answer.status, 200u) << answer.body;
                EXPECT_TRUE(event_names(answer.body).ends_with("message_stop"));
            }
            // Names are the proxy's to resolve.
            std::vector<std::string> targets = proxy.targets();
            EXPECT_NE(
                std::ranges::find(targets, fmt::format("plain.example:{}", plain.port())),
                targets.end()
            );
            EXPECT_NE(
                std::ranges::find(targets, fmt::format("localhost:{}", secure.port())),
                targets.end()
            );
            EXPECT_EQ(proxy.denied_count(), 0u);
        }
    }
    EXPECT_EQ(plain.request_count(), 8u);
    EXPECT_EQ(secure.request_count(), 8u);
    for (const RecordedRequest& seen : plain.requests()) {
        EXPECT_FALSE(seen.has_header("proxy-authorization"));
        EXPECT_EQ(seen.header("host"), fmt::format("plain.example:{}", plain.port()));
    }
}

TEST(Proxies, OneThatRefusesOrHangsIsFailedOver) {
    FakeProvider target;
    FakeProvider good;
    struct Case {
        const char* name;
        ProxyKind kind;
        bool asks;
        const char* credentials;
        Tunnelling tunnelling;
        const char* failure;
        const char* words;
    };
    constexpr auto kHttp = ProxyKind::kHttpConnect;
    constexpr auto kSocks = ProxyKind::kSocks5;
    for (const Case& one : {
             Case{
                 "CONNECT, wrong password",
                 kHttp,
                 true,
                 "u:wrong-secret@",
                 Tunnelling::kWorks,
                 "connect",
                 "407"
             },
             Case{"CONNECT, no password", kHttp, true, "", Tunnelling::kWorks, "connect", "407"},
             Case{
                 "CONNECT refuses",
                 kHttp,
                 false,
                 "",
                 Tunnelling::kRefuses,
                 "connect",
                 "refused the tunnel"
             },
             Case{
                 "CONNECT hangs", kHttp, false, "", Tunnelling::kHangs, "timeout", "proxy timeout"
             },
             Case{
                 "SOCKS5, wrong password",
                 kSocks,
                 true,
                 "u:wrong-secret@",
                 Tunnelling::kWorks,
                 "connect",
                 "refused user and password"
             },
             Case{
                 "SOCKS5, no password",
                 kSocks,
                 true,
                 "",
                 Tunnelling::kWorks,
                 "connect",
                 "authentication"
             },
             Case{
                 "SOCKS5 refuses",
                 kSocks,
                 false,
                 "",
                 Tunnelling::kRefuses,
                 "connect",
                 "cannot reach the target"
             },
             Case{
                 "SOCKS5 hangs", kSocks, false, "", Tunnelling::kHangs, "timeout", "proxy timeout"
             },
         }) {
        SCOPED_TRACE(one.name);
        TestProxyOptions options;
        options.kind = one.kind;
        options.tunnelling = one.tunnelling;
        if (one.asks) options.access = ProxyAccess{"u", "right-secret"};
        TestProxy proxy(options);
        std::string url = fmt::format(
            "{}://{}127.0.0.1:{}",
            one.kind == kHttp ? "http" : "socks5",
            one.credentials,
            proxy.port()
        );
        Fleet fleet(to_yaml(
            {{{"bad",
               target.base_url(),
               "    proxy: \"" + url + "\"\n    timeouts: {connect: 0.4}\n"},
              {"good", good.base_url()}},
             {},
             "  unhealthy_threshold: 1000\n"}
        ));
        RawResponse answer = fleet.ask(unstreamed());
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer.header("x-provider-used"), "good");
        EXPECT_EQ(attempts(fleet, "bad", one.failure), 1);
        std::string words = failed_attempts(fleet, answer);
        EXPECT_NE(words.find(one.words), std::string::npos) << words;
        EXPECT_EQ(words.find("secret"), std::string::npos) << words;
    }
    EXPECT_EQ(target.connection_count(), 0u);
}

TEST(BaseUrl, ItsPathGoesBeforeTheRequests) {
    Step step;
    step.body = R"({"id":"behind the prefix"})";
    Rule rule;
    rule.match.path = "/some/anthropic/v1/messages";
    rule.steps = {step};
    Script script;
    script.rules = {rule};
    FakeProvider provider(script);
    Fleet fleet(to_yaml({{{"main", provider.base_url() + "/some/anthropic/"}}}));
    RawResponse answer = fleet.ask(unstreamed());
    EXPECT_EQ(answer.body, *step.body);
    EXPECT_EQ(provider.requests().back().target, "/some/anthropic/v1/messages?beta=true");
}

}  // namespace
}  // namespace balancer::tests
