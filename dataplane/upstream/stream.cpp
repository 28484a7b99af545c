#include "dataplane/upstream/stream.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

#include "base/net.hpp"
#include "dataplane/upstream/tls.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

ssize_t peek(tcp::socket& socket, char& byte) {
    return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

}  // namespace

struct UpstreamStream::Tls {
    net::ssl::stream<tcp::socket&> stream;
    Tls(tcp::socket& socket, net::ssl::context& context) : stream(socket, context) {}
    // OpenSSL takes a connection that ends without close_notify for broken and forbids to resume its session. We end
    // them between two answers; where one was cut, its framing has told.
    ~Tls() { SSL_set_shutdown(stream.native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;
};

UpstreamStream::UpstreamStream(net::io_context& context, Sweep& sweep)
    : socket_(context), deadline_(sweep, [this] {
          timed_out_ = true;
          abort();
      }) {}

UpstreamStream::~UpstreamStream() = default;

void UpstreamStream::abort() {
    aborted_ = true;
    ErrorCode ignored;
    socket_.close(ignored);
    if (on_abort_) on_abort_();
}

net::awaitable<ErrorCode> UpstreamStream::connect(tcp::endpoint address, SteadyTime until) {
    ErrorCode ec;
    socket_.close(ec);
    timed_out_ = false;
    aborted_ = false;
    socket_.open(address.protocol(), ec);
    if (ec) co_return ec;
    deadline_.arm(until);
    auto [failure] = co_await socket_.async_connect(address, kNoThrow);
    deadline_.disarm();
    if (timed_out_) co_return make_error_code(boost::system::errc::timed_out);
    if (failure) co_return failure;
    socket_.set_option(tcp::no_delay(true), ec);
    co_return ErrorCode();
}

net::awaitable<IoResult> UpstreamStream::read_some(char* data, std::size_t size) {
    net::mutable_buffer buffer(data, size);
    if (tls_) {
        auto [ec, n] = co_await tls_->stream.async_read_some(buffer, kNoThrow);
        co_return IoResult{ec, n};
    }
    auto [ec, n] = co_await socket_.async_read_some(buffer, kNoThrow);
    co_return IoResult{ec, n};
}

net::awaitable<ErrorCode> UpstreamStream::write(std::span<const net::const_buffer> buffers) {
    if (tls_) {
        auto [ec, n] = co_await net::async_write(tls_->stream, buffers, kNoThrow);
        co_return ec;
    }
    auto [ec, n] = co_await net::async_write(socket_, buffers, kNoThrow);
    co_return ec;
}

net::awaitable<Result<void>> UpstreamStream::handshake(
    net::ssl::context& context, const std::string& host, TlsSessionSlot* session
) {
    tls_ = std::make_unique<Tls>(socket_, context);
    SSL* ssl = tls_->stream.native_handle();
    SSL_set_ex_data(ssl, session_slot_index(), session);
    ErrorCode not_an_address;
    net::ip::make_address(host, not_an_address);
    if (not_an_address) {
        SSL_set_tlsext_host_name(ssl, host.c_str());
        SSL_set1_host(ssl, host.c_str());
    } else {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    }
    if (session != nullptr && session->session != nullptr) SSL_set_session(ssl, session->session);

    auto [ec] = co_await tls_->stream.async_handshake(net::ssl::stream_base::client, kNoThrow);
    if (!ec) co_return Result<void>();
    long verdict = SSL_get_verify_result(ssl);
    std::string words = ec.message();
    if (verdict != X509_V_OK) {
        words = std::string("certificate of ") + host + " refused: " +
                X509_verify_cert_error_string(verdict);
    }
    co_return Error{ec, std::move(words)};
}

bool UpstreamStream::stop_writing_if_answered() {
    char byte = 0;
    // Over TLS the bytes may be session tickets.
    if (is_tls() || !socket_.is_open() || peek(socket_, byte) <= 0) return false;
    ErrorCode ignored;
    socket_.cancel(ignored);
    return true;
}

bool UpstreamStream::looks_alive() {
    if (!socket_.is_open()) return false;
    char byte = 0;
    ssize_t n = peek(socket_, byte);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    // A TLS peer may have sent a ticket; a plain one must not have sent anything.
    return n > 0 && is_tls();
}

}  // namespace balancer::dataplane
