#include "dataplane/upstream/stream.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

#include "base/net.hpp"
#include "dataplane/upstream/tls.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

// As much as one call may take; between two of them the deadline moves.
constexpr std::size_t kWriteAtOnce = 256U << 10;

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

net::awaitable<ErrorCode> UpstreamStream::write(
    std::span<const net::const_buffer> buffers, SteadyTime total, Milliseconds idle
) {
    auto progress = [this, total, idle](const ErrorCode& error, std::size_t) -> std::size_t {
        deadline_.arm(idle.count() > 0 ? std::min(total, steady_now() + idle) : total);
        return error || writing_stopped_ ? 0 : kWriteAtOnce;
    };
    writing_stopped_ = false;
    ErrorCode failed;
    std::size_t written = 0;
    if (tls_) {
        auto [ec, n] = co_await net::async_write(tls_->stream, buffers, progress, kNoThrow);
        failed = ec;
        written = n;
    } else {
        auto [ec, n] = co_await net::async_write(socket_, buffers, progress, kNoThrow);
        failed = ec;
        written = n;
    }
    if (!failed && written < net::buffer_size(buffers)) failed = net::error::operation_aborted;
    co_return failed;
}

// The flag for a write that is between two pieces, cancel() for one that waits.
void UpstreamStream::stop_writing() {
    writing_stopped_ = true;
    ErrorCode ignored;
    socket_.cancel(ignored);
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

bool UpstreamStream::looks_alive() {
    if (!socket_.is_open()) return false;
    char byte = 0;
    ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    // A TLS peer may have sent a ticket; a plain one must not have sent anything.
    return n > 0 && is_tls();
}

}  // namespace balancer::dataplane
