// A way through an outbound proxy: HTTP CONNECT (RFC 9110 section 9.3.6, Basic authentication RFC 7617) or SOCKS5 (RFC
// 1928, user and password RFC 1929). Afterwards the stream is as if connected to the target.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "dataplane/upstream/stream.hpp"
#include "model/url.hpp"

namespace balancer::dataplane {

// The proxy resolves the target's name. The stream's deadline bounds the whole. Errors never hold the password.
boost::asio::awaitable<Result<void>> open_tunnel(
    UpstreamStream& stream, const ProxySpec& proxy, const Endpoint& target
);

}  // namespace balancer::dataplane
