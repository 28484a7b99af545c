// A way through an outbound proxy: HTTP CONNECT (RFC 9110 section 9.3.6, Basic authentication RFC 7617) or SOCKS5 (RFC
// 1928, user and password RFC 1929). Afterwards the stream is as if connected to the target.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/proxy_spec.hpp"
#include "base/result.hpp"

namespace balancer {

// The connection to the proxy. Its own deadline bounds the whole.
class TunnelStream {
  public:
    virtual ~TunnelStream() = default;
    virtual boost::asio::awaitable<ErrorCode> send(std::string_view bytes) = 0;
    // Exactly `size` bytes: what follows belongs to the tunnel.
    virtual boost::asio::awaitable<ErrorCode> receive(char* data, std::size_t size) = 0;
};

struct TunnelTarget {
    std::string host;  // a name or an address, without brackets; the proxy resolves it
    std::uint16_t port = 0;
};

// Errors never hold the password. The arguments outlive it.
boost::asio::awaitable<Result<void>> open_tunnel(
    TunnelStream& stream, const ProxySpec& proxy, const TunnelTarget& target
);

}  // namespace balancer
