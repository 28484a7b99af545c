#include "tests/support/peer_stream.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>

#include "base/net.hpp"

namespace balancer::tests {

using tcp = net::ip::tcp;

PeerStream::PeerStream(tcp::socket socket, net::ssl::context* tls) {
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (tls) {
        tls_ = std::make_unique<TlsStream>(std::move(socket), *tls);
    } else {
        plain_ = std::make_unique<tcp::socket>(std::move(socket));
    }
}

tcp::socket& PeerStream::socket() {
    return tls_ ? tls_->next_layer() : *plain_;
}

net::awaitable<ErrorCode> PeerStream::handshake() {
    if (!tls_) co_return ErrorCode();
    auto [ec] = co_await tls_->async_handshake(net::ssl::stream_base::server, kNoThrow);
    co_return ec;
}

net::awaitable<std::pair<ErrorCode, std::size_t>> PeerStream::read_some(
    char* data, std::size_t size
) {
    if (tls_) {
        auto [ec, n] = co_await tls_->async_read_some(net::buffer(data, size), kNoThrow);
        co_return std::pair(ec, n);
    }
    auto [ec, n] = co_await plain_->async_read_some(net::buffer(data, size), kNoThrow);
    co_return std::pair(ec, n);
}

net::awaitable<ErrorCode> PeerStream::write(std::string_view bytes) {
    net::const_buffer buffer(bytes.data(), bytes.size());
    if (tls_) {
        auto [ec, n] = co_await net::async_write(*tls_, buffer, kNoThrow);
        co_return ec;
    }
    auto [ec, n] = co_await net::async_write(*plain_, buffer, kNoThrow);
    co_return ec;
}

net::awaitable<void> PeerStream::finish() {
    using namespace net::experimental::awaitable_operators;
    ErrorCode ignored;
    if (tls_) {
        // The shutdown completes only when the peer has said its own close_notify, which it may
        // never do.
        net::steady_timer patience(socket().get_executor(), std::chrono::seconds(1));
        co_await (tls_->async_shutdown(kNoThrow) || patience.async_wait(kNoThrow));
    }
    socket().shutdown(tcp::socket::shutdown_send, ignored);
}

void PeerStream::close() {
    ErrorCode ignored;
    socket().close(ignored);
}

void PeerStream::reset() {
    ErrorCode ignored;
    socket().set_option(net::socket_base::linger(true, 0), ignored);
    socket().close(ignored);
}

std::size_t PeerStream::unsent_bytes() {
    int bytes = 0;
    if (::ioctl(socket().native_handle(), SIOCOUTQNSD, &bytes) != 0) return 0;
    return static_cast<std::size_t>(bytes);
}

std::string PeerStream::server_name() {
    if (!tls_) return {};
    const char* name = SSL_get_servername(tls_->native_handle(), TLSEXT_NAMETYPE_host_name);
    return name ? name : "";
}

bool PeerStream::resumed() {
    return tls_ && SSL_session_reused(tls_->native_handle()) == 1;
}

}  // namespace balancer::tests
