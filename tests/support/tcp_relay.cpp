#include "tests/support/tcp_relay.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>
#include <vector>

namespace balancer::tests {
namespace {

namespace net = boost::asio;
using Socket = net::ip::tcp::socket;
using Mark = std::shared_ptr<std::atomic<std::size_t>>;

constexpr auto kTuple = net::as_tuple(net::use_awaitable);

struct Pair;
using Kept = std::vector<std::shared_ptr<Pair>>;

// Both ends of one connection, its number, and the number below which nothing passes any more.
struct Pair {
    Pair(Socket c, Mark f, std::weak_ptr<Kept> k, std::size_t n)
        : client(std::move(c)),
          server(client.get_executor()),
          frozen(std::move(f)),
          keep(std::move(k)),
          number(n) {}

    bool dead() const { return number < frozen->load(); }

    void close() {
        boost::system::error_code ignored;
        client.close(ignored);
        server.close(ignored);
    }

    Socket client;
    Socket server;
    Mark frozen;
    std::weak_ptr<Kept> keep;  // open, but nobody moves it any more; on the server's thread
    std::size_t number;
};

// Until an end, which is passed on, or until the connection is frozen: then neither side hears
// more.
net::awaitable<void> pump(std::shared_ptr<Pair> pair, Socket* from, Socket* to) {
    std::array<char, 16'384> block;
    for (;;) {
        auto [read_failed, count] = co_await from->async_read_some(net::buffer(block), kTuple);
        if (pair->dead()) break;
        if (read_failed) break;
        auto [write_failed, written] =
            co_await net::async_write(*to, net::buffer(block.data(), count), kTuple);
        if (write_failed) break;
    }
    if (!pair->dead()) {
        pair->close();
    } else if (auto keep = pair->keep.lock()) {
        keep->push_back(pair);
    }
}

net::awaitable<void> relay(std::shared_ptr<Pair> pair, std::uint16_t target) {
    net::ip::tcp::endpoint endpoint(net::ip::address_v4::loopback(), target);
    auto [failed] = co_await pair->server.async_connect(endpoint, kTuple);
    if (failed) {
        pair->close();
        co_return;
    }
    auto executor = pair->client.get_executor();
    net::co_spawn(executor, pump(pair, &pair->server, &pair->client), net::detached);
    co_await pump(pair, &pair->client, &pair->server);
}

}  // namespace

TcpRelay::TcpRelay(std::uint16_t target) {
    auto kept = std::make_shared<Kept>();
    server_.start("127.0.0.1:0", [opened = opened_, frozen = frozen_, kept, target](Socket socket) {
        auto pair = std::make_shared<Pair>(std::move(socket), frozen, kept, opened->fetch_add(1));
        LoopbackServer::Session session;
        session.task = relay(pair, target);
        session.stop = [pair] { pair->close(); };
        return session;
    });
}

TcpRelay::~TcpRelay() {
    server_.stop();
}

void TcpRelay::freeze() {
    frozen_->store(opened_->load());
}

}  // namespace balancer::tests
