// base/proxy_tunnel over a connection of a worker.
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
