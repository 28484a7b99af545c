// What a browser's page may do, and what only its reader.
#include "controlplane/http/page_guard.hpp"

#include <gtest/gtest.h>

#include "controlplane/http/management.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::controlplane {
namespace {

constexpr const char* kConsole = "https://console.anthropic.com/oauth/code/callback";

v1::ManageRequest from_browser(
    const std::string& method, const std::string& path, const std::string& origin, const std::string& site,
    const std::string& host = "localhost:9090"
) {
    v1::ManageRequest request;
    request.set_method(method);
    request.set_path(path);
    request.set_host(host);
    request.set_origin(origin);
    request.set_fetch_site(site);
    return request;
}

TEST(PageGuard, APageOfAnotherOriginChangesNothing) {
    for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
             {"POST", "/oauth/exchange-code"}, {"POST", "/oauth/refresh/joe"}, {"DELETE", "/oauth/tokens"},
             {"DELETE", "/oauth/tokens/joe"}, {"GET", "/oauth/authorize"}, {"GET", "/oauth/generate-url"},
             {"POST", "/providers/reload"}}) {
        auto refused = [&](const std::string& origin, const std::string& site) {
            return why_refused(from_browser(method, path, origin, site), kConsole);
        };
        for (const char* origin : {"https://evil.example", "null", "http://localhost:9091", "http://localhost", "garbage"}) {
            EXPECT_NE(refused(origin, ""), "") << path << " " << origin;
            EXPECT_NE(refused(origin, "none"), "") << path << " " << origin;
        }
        EXPECT_NE(refused("", "cross-site"), "") << path;
        EXPECT_NE(refused("", "same-site"), "") << "another port of the same machine";
        EXPECT_NE(refused("", "whatever comes later"), "") << path;
        // Typed in, a page of ours, a program.
        EXPECT_EQ(refused("", "none"), "") << path;
        EXPECT_EQ(refused("http://LOCALHOST:9090", "same-origin"), "") << path;
        EXPECT_EQ(refused("https://localhost:9090", ""), "") << "TLS may end before the balancer";
        EXPECT_EQ(refused("", ""), "") << path;
    }
    std::string words = why_refused(from_browser("GET", "/oauth/authorize", "https://evil.example", ""), kConsole);
    EXPECT_NE(words.find("https://evil.example"), std::string::npos) << words;
    EXPECT_NE(words.find("type the address"), std::string::npos) << "how to mend it: " << words;
}

TEST(PageGuard, LooksAreFree) {
    EXPECT_EQ(why_refused(from_browser("GET", "/oauth/status", "https://evil.example", "cross-site"), kConsole), "");
    EXPECT_EQ(why_refused(from_browser("GET", "/providers", "", "cross-site", "lb.internal:9090"), kConsole), "");
}

TEST(PageGuard, TheWayBackFromALoginComesFromElsewhere) {
    for (const char* path : {"/oauth/callback", "/callback"}) {
        EXPECT_EQ(why_refused(from_browser("GET", path, "", "cross-site"), kConsole), "");
        EXPECT_EQ(why_refused(from_browser("GET", path, "null", "cross-site", "balancer.example"), kConsole), "");
    }
}

TEST(PageGuard, ANameThatNobodyHereHasGivenIsAPagesOwn) {
    auto refused = [](const std::string& host, const std::string& redirect_uri = kConsole) {
        return why_refused(from_browser("GET", "/oauth/status", "", "same-origin", host), redirect_uri);
    };
    for (const char* host : {"localhost", "LocalHost:9090", "127.0.0.1:9090", "10.1.2.3", "[::1]:9090", "[fe80::1]", ""}) {
        EXPECT_EQ(refused(host), "") << host;
    }
    for (const char* host : {"evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example", "localhost.", "[", ":9090", "1.2.3"}) {
        EXPECT_NE(refused(host), "") << host;
    }
    EXPECT_EQ(refused("Balancer.example:443", "https://balancer.example/oauth/callback"), "") << "the operator's own";
    std::string words = refused("evil.example");
    EXPECT_NE(words.find("localhost or the IP address"), std::string::npos) << words;
    // A page has no key.
    v1::ManageRequest keyed = from_browser("POST", "/oauth/refresh/joe", "", "", "lb.internal:9090");
    keyed.set_client_key_name("ci");
    EXPECT_EQ(why_refused(keyed, kConsole), "");
}

class PageGuardTest : public test::ControlPlaneTest {};

TEST_F(PageGuardTest, WhatIsRefusedIsNotDone) {
    start(test::config_yaml());
    auto status_of = [&](const v1::ManageRequest& request) {
        unsigned status = 0;
        manage(*plane_, request, [&](const v1::ManageResponse& response) { status = response.status(); });
        return status;
    };
    EXPECT_EQ(status_of(from_browser("GET", "/oauth/authorize", "https://evil.example", "cross-site")), 403U);
    EXPECT_EQ(status_of(from_browser("GET", "/oauth/status", "", "", "evil.example")), 403U);
    EXPECT_EQ(status_of(from_browser("GET", "/oauth/authorize", "", "none")), 302U);
    EXPECT_EQ(status_of(from_browser("GET", "/oauth/callback", "", "cross-site")), 400U) << "reached, and without a state";
}

}  // namespace
}  // namespace balancer::controlplane
