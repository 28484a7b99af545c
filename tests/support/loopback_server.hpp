// A thread with an io_context and a listener: what the fake provider and the test proxies stand on.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace balancer::tests {

// start() and stop() may be called by any thread, but not by the server's own.
class LoopbackServer {
  public:
    // What serves one connection, and what makes it end early. No task: the connection was dealt
    // with already.
    struct Session {
        std::optional<boost::asio::awaitable<void>> task;
        std::function<void()> stop;
    };
    // Called on the server's thread.
    using Accept = std::function<Session(boost::asio::ip::tcp::socket)>;

    LoopbackServer();
    ~LoopbackServer();

    // Listens when it returns. Throws boost::system::system_error when it cannot.
    void start(std::string_view address, Accept accept);

    // Closes the listener, ends all sessions and joins the thread.
    void stop();

    std::uint16_t port() const { return endpoint_.port(); }
    std::string address() const;

  private:
    boost::asio::awaitable<void> accept_loop();
    void launch(Session session);

    boost::asio::io_context context_{1};
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::ip::tcp::endpoint endpoint_;
    Accept accept_;
    std::list<std::function<void()>> sessions_;  // their stop functions
    std::once_flag stopped_;
    std::thread thread_;
};

}  // namespace balancer::tests
