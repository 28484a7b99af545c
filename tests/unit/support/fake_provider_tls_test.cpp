#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/claude_code_request.hpp"
#include "tests/support/fake_provider.hpp"
#include "tests/support/test_ca.hpp"

namespace balancer::tests {
namespace {

namespace net = boost::asio;
namespace ssl = boost::asio::ssl;

struct TlsOutcome {
    boost::system::error_code handshake;
    std::string received;
};

// A whole exchange over one verified connection. The request must ask for `connection: close`.
TlsOutcome exchange(
    const FakeProvider& provider,
    const std::string& trusted_pem,
    const std::string& name,
    const std::string& request
) {
    TlsOutcome outcome;
    net::io_context context;
    ssl::context tls(ssl::context::tls_client);
    tls.add_certificate_authority(net::buffer(trusted_pem));
    tls.set_verify_mode(ssl::verify_peer);
    ssl::stream<net::ip::tcp::socket> stream(context, tls);
    stream.set_verify_callback(ssl::host_name_verification(name));
    SSL_set_tlsext_host_name(stream.native_handle(), name.c_str());
    stream.next_layer().connect({net::ip::address_v4::loopback(), provider.port()});
    stream.handshake(ssl::stream_base::client, outcome.handshake);
    if (outcome.handshake) return outcome;
    boost::system::error_code ignored;
    net::write(stream, net::buffer(request), ignored);
    net::read(stream, net::dynamic_buffer(outcome.received), ignored);
    return outcome;
}

std::string closing_request() {
    return "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
           "Content-Length: 2\r\n\r\n{}";
}

TEST(FakeProviderTls, ServesAVerifiedConnection) {
    TestCa ca;
    FakeProvider provider({}, {.tls = ca.issue()});
    EXPECT_TRUE(provider.base_url().starts_with("https://localhost:"));
    TlsOutcome outcome = exchange(provider, ca.certificate_pem(), "localhost", closing_request());
    ASSERT_FALSE(outcome.handshake) << outcome.handshake.message();
    EXPECT_TRUE(outcome.received.starts_with("HTTP/1.1 200 OK"));
    EXPECT_TRUE(outcome.received.ends_with("}"));
    ASSERT_TRUE(provider.wait_for_played(1));
    EXPECT_EQ(provider.requests().at(0).tls_server_name, "localhost");
}

TEST(FakeProviderTls, FailsVerificationWhenItShould) {
    TestCa ca;
    TestCa stranger;
    FakeProvider good({}, {.tls = ca.issue()});
    FakeProvider expired({}, {.tls = ca.issue({"localhost"}, Validity::kExpired)});
    FakeProvider other({}, {.tls = ca.issue({"other.test"})});
    EXPECT_TRUE(exchange(good, stranger.certificate_pem(), "localhost", closing_request()).handshake
    );
    EXPECT_TRUE(exchange(expired, ca.certificate_pem(), "localhost", closing_request()).handshake);
    EXPECT_TRUE(exchange(other, ca.certificate_pem(), "localhost", closing_request()).handshake);
    EXPECT_EQ(good.request_count() + expired.request_count() + other.request_count(), 0U);
}

TEST(FakeProviderTls, StopsWhileAHandshakeHangs) {
    TestCa ca;
    FakeProvider provider({}, {.tls = ca.issue()});
    net::io_context context;
    net::ip::tcp::socket socket(context);
    socket.connect({net::ip::address_v4::loopback(), provider.port()});
    provider.stop();
    char byte = 0;
    boost::system::error_code ec;
    socket.read_some(net::buffer(&byte, 1), ec);
    EXPECT_TRUE(ec);
}

}  // namespace
}  // namespace balancer::tests
