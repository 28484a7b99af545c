// Names for Boost.Asio, in .cpp files and private headers only.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace balancer {

namespace net = boost::asio;

// Errors come back as values: `auto [ec, n] = co_await stream.async_read_some(buffer, kNoThrow);`
inline constexpr auto kNoThrow = net::as_tuple(net::use_awaitable);

}  // namespace balancer
