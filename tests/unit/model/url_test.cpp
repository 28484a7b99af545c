#include "model/url.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

TEST(BaseUrl, IsTakenApart) {
    Result<Endpoint> plain = parse_base_url("http://127.0.0.1:8080");
    ASSERT_TRUE(plain);
    EXPECT_FALSE(plain->tls);
    EXPECT_EQ(plain->host, "127.0.0.1");
    EXPECT_EQ(plain->port, 8080);
    EXPECT_EQ(plain->authority, "127.0.0.1:8080");
    EXPECT_EQ(plain->path_prefix, "");
    Result<Endpoint> usual = parse_base_url("https://api.example.com/anthropic//");
    ASSERT_TRUE(usual);
    EXPECT_TRUE(usual->tls);
    EXPECT_EQ(usual->port, 443);
    EXPECT_EQ(usual->authority, "api.example.com");
    EXPECT_EQ(usual->path_prefix, "/anthropic");
    Result<Endpoint> v6 = parse_base_url("http://[::1]:81/");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "::1");
    EXPECT_EQ(v6->authority, "[::1]:81");
}

TEST(BaseUrl, RefusesWhatIsNone) {
    for (const char* text : {"", "api.example.com", "ftp://a", "http://", "http://user:pw@a", "http://a?q=1", "http://a#f", "http://a:99999", "http://a b", "/path"}) {
        EXPECT_FALSE(parse_base_url(text)) << text;
    }
}

TEST(ProxyUrl, KnowsKindsAndCredentials) {
    Result<ProxySpec> http = parse_proxy_url("http://us%40er:p%3Aw@proxy:3128");
    ASSERT_TRUE(http);
    EXPECT_EQ(http->kind, ProxyKind::kHttpConnect);
    EXPECT_EQ(http->user, "us@er");
    EXPECT_EQ(http->password, "p:w");
    EXPECT_EQ(http->port, 3128);
    Result<ProxySpec> socks = parse_proxy_url("socks5://127.0.0.1");
    ASSERT_TRUE(socks);
    EXPECT_EQ(socks->kind, ProxyKind::kSocks5);
    EXPECT_EQ(socks->port, 1080);
}

TEST(ProxyUrl, AnErrorNeverRepeatsThePassword) {
    Result<ProxySpec> bad = parse_proxy_url("ftp://user:hunter2@proxy");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().text().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace balancer
