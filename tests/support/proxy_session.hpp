// One client of a test proxy: handshake, then bytes both ways.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "tests/support/test_proxies.hpp"

namespace balancer::tests {

// What the sessions of one proxy share.
struct ProxyLedger {
    std::mutex mutex;
    std::vector<std::string> targets;
    std::size_t denied = 0;
};

// Lives on one io_context thread; `options` and `ledger` outlive it.
class ProxySession {
  public:
    ProxySession(
        boost::asio::ip::tcp::socket client, const TestProxyOptions& options, ProxyLedger& ledger
    );

    static boost::asio::awaitable<void> run(std::shared_ptr<ProxySession> self);

    void stop();

  private:
    using Socket = boost::asio::ip::tcp::socket;

    boost::asio::awaitable<bool> serve_connect();
    boost::asio::awaitable<bool> serve_socks5();
    boost::asio::awaitable<bool> pass_socks5_login();
    boost::asio::awaitable<bool> open_target(std::string name, std::uint16_t port);
    boost::asio::awaitable<void> hang();

    // Reads until `inbound_` holds so many bytes; false when the client goes away first.
    boost::asio::awaitable<bool> fill(std::size_t bytes);
    std::string take(std::size_t bytes);
    boost::asio::awaitable<void> answer(std::string bytes);
    static boost::asio::awaitable<void> copy(Socket& from, Socket& to, std::string first);

    Socket client_;
    Socket target_;
    const TestProxyOptions& options_;
    ProxyLedger& ledger_;
    std::string inbound_;
};

}  // namespace balancer::tests
