// One accepted connection's bytes, plain or TLS, with the rude endings that tests need.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace balancer::tests {

// Lives on one io_context thread. One read and one write may be under way at a time.
class PeerStream {
  public:
    // `tls` outlives the stream; null: plain.
    PeerStream(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls);

    boost::asio::awaitable<ErrorCode> handshake();
    boost::asio::awaitable<std::pair<ErrorCode, std::size_t>> read_some(
        char* data, std::size_t size
    );
    boost::asio::awaitable<ErrorCode> write(std::string_view bytes);

    // Says that nothing more comes: close_notify under TLS, then FIN. Reading goes on.
    boost::asio::awaitable<void> finish();

    // Both directions, at once. Pending operations end with an error.
    void close();

    // RST instead of FIN.
    void reset();

    // Bytes that the kernel has not put on the wire yet; a reset would lose them.
    std::size_t unsent_bytes();

    // Of the TLS handshake.
    std::string server_name();
    bool resumed();

    boost::asio::ip::tcp::socket& socket();

  private:
    using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;
    std::unique_ptr<boost::asio::ip::tcp::socket> plain_;
    std::unique_ptr<TlsStream> tls_;
};

}  // namespace balancer::tests
