#include "tests/support/test_proxies.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/fake_provider.hpp"
#include "tests/support/raw_client.hpp"

namespace balancer::tests {
namespace {

constexpr std::string_view kRequest = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";

RawClient client_of(const TestProxy& proxy) {
    Result<RawClient> client = RawClient::connect(proxy.port());
    EXPECT_TRUE(client.has_value());
    return std::move(*client);
}

std::string connect_request(std::uint16_t port, std::string_view extra = "") {
    return fmt::format(
        "CONNECT provider.test:{0} HTTP/1.1\r\nHost: provider.test:{0}\r\n{1}\r\n", port, extra
    );
}

// What a SOCKS5 server says to these bytes: exactly `bytes` of it.
std::string socks(RawClient& client, const std::string& message, std::size_t bytes) {
    EXPECT_TRUE(client.send(message).has_value());
    std::string answer;
    while (answer.size() < bytes) {
        std::optional<char> byte = client.read_byte();
        if (!byte) break;
        answer += *byte;
    }
    return answer;
}

std::string socks_connect(const std::string& name, std::uint16_t port) {
    std::string message("\x05\x01\x00\x03", 4);
    message += static_cast<char>(name.size());
    message += name;
    message += static_cast<char>(port >> 8);
    message += static_cast<char>(port & 0xff);
    return message;
}

TEST(TestProxy, TunnelsHttpConnect) {
    FakeProvider provider;
    TestProxy proxy({.kind = ProxyKind::kHttpConnect});
    RawClient client = client_of(proxy);
    ASSERT_TRUE(client.send(connect_request(provider.port())).has_value());
    Result<RawResponse> opened = client.read_head();
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(opened->status, 200U);
    Result<RawResponse> response = client.exchange(kRequest);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->header("request-id"), "req_fake_1");
    EXPECT_EQ(
        proxy.targets(), std::vector<std::string>{fmt::format("provider.test:{}", provider.port())}
    );
}

TEST(TestProxy, AsksHttpClientsForTheirPassword) {
    FakeProvider provider;
    TestProxy proxy({.access = ProxyAccess{"me", "secret"}});
    EXPECT_EQ(proxy.url(), fmt::format("http://me:secret@127.0.0.1:{}", proxy.port()));
    Result<RawResponse> denied = client_of(proxy).exchange(connect_request(provider.port()));
    ASSERT_TRUE(denied.has_value());
    EXPECT_EQ(denied->status, 407U);
    EXPECT_EQ(proxy.denied_count(), 1U);
    EXPECT_TRUE(proxy.targets().empty());

    RawClient client = client_of(proxy);
    ASSERT_TRUE(
        client.send(connect_request(provider.port(), "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"))
            .has_value()
    );
    EXPECT_EQ(client.read_head()->status, 200U);
}

TEST(TestProxy, SaysWhenATargetCannotBeReached) {
    FakeProvider provider;
    provider.stop();
    TestProxy proxy({});
    Result<RawResponse> response = client_of(proxy).exchange(connect_request(provider.port()));
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 502U);
}

TEST(TestProxy, TunnelsSocks5ByName) {
    FakeProvider provider;
    TestProxy proxy({.kind = ProxyKind::kSocks5});
    RawClient client = client_of(proxy);
    EXPECT_EQ(socks(client, std::string("\x05\x01\x00", 3), 2), std::string("\x05\x00", 2));
    std::string reply = socks(client, socks_connect("provider.test", provider.port()), 10);
    ASSERT_EQ(reply.size(), 10U);
    EXPECT_EQ(reply[1], '\0');
    Result<RawResponse> response = client.exchange(kRequest);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 200U);
    EXPECT_EQ(
        proxy.targets(), std::vector<std::string>{fmt::format("provider.test:{}", provider.port())}
    );
}

TEST(TestProxy, AsksSocks5ClientsForTheirPassword) {
    FakeProvider provider;
    TestProxy proxy({.kind = ProxyKind::kSocks5, .access = ProxyAccess{"me", "secret"}});
    RawClient nameless = client_of(proxy);
    EXPECT_EQ(socks(nameless, std::string("\x05\x01\x00", 3), 2), "\x05\xff");
    EXPECT_TRUE(nameless.wait_for_close());

    RawClient wrong = client_of(proxy);
    EXPECT_EQ(socks(wrong, "\x05\x01\x02", 2), "\x05\x02");
    EXPECT_EQ(socks(wrong, "\x01\x02me\x05wrong", 2), "\x01\x01");

    RawClient right = client_of(proxy);
    EXPECT_EQ(socks(right, "\x05\x01\x02", 2), "\x05\x02");
    EXPECT_EQ(socks(right, "\x01\x02me\x06secret", 2), std::string("\x01\x00", 2));
    EXPECT_EQ(socks(right, socks_connect("a", provider.port()), 10).substr(1, 1)[0], '\0');
    EXPECT_EQ(proxy.denied_count(), 2U);
}

TEST(TestProxy, HangsWhenTold) {
    TestProxy proxy({.tunnelling = Tunnelling::kHangs});
    RawClient client = client_of(proxy);
    ASSERT_TRUE(client.send(connect_request(1)).has_value());
    EXPECT_FALSE(client.read_head(milliseconds(50)).has_value());
}

}  // namespace
}  // namespace balancer::tests
