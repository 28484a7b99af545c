#include "tests/support/loopback_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <exception>

#include "base/management_http.hpp"
#include "base/net.hpp"

namespace balancer::tests {

using tcp = net::ip::tcp;

LoopbackServer::LoopbackServer() : acceptor_(context_) {}

LoopbackServer::~LoopbackServer() {
    stop();
}

void LoopbackServer::start(std::string_view address, Accept accept) {
    accept_ = std::move(accept);
    Result<tcp::endpoint> parsed = parse_endpoint(address);
    if (!parsed) throw boost::system::system_error(parsed.error().code, parsed.error().detail);
    tcp::endpoint wanted = *parsed;
    acceptor_.open(wanted.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(wanted);
    acceptor_.listen(net::socket_base::max_listen_connections);
    endpoint_ = acceptor_.local_endpoint();
    net::co_spawn(context_, accept_loop(), net::detached);
    thread_ = std::thread([this] { context_.run(); });
}

void LoopbackServer::stop() {
    std::call_once(stopped_, [this] {
        if (!thread_.joinable()) return;
        net::post(context_, [this] {
            acceptor_.close();
            for (const auto& stop_session : sessions_) stop_session();
        });
        thread_.join();
    });
}

std::string LoopbackServer::address() const {
    return to_string(endpoint_);
}

net::awaitable<void> LoopbackServer::accept_loop() {
    for (;;) {
        auto [ec, socket] = co_await acceptor_.async_accept(kNoThrow);
        if (!acceptor_.is_open()) co_return;
        if (!ec) launch(accept_(std::move(socket)));
    }
}

void LoopbackServer::launch(Session session) {
    if (!session.task) return;
    auto place = sessions_.insert(sessions_.end(), std::move(session.stop));
    net::co_spawn(context_, std::move(*session.task), [this, place](std::exception_ptr failed) {
        sessions_.erase(place);
        if (failed) std::rethrow_exception(failed);
    });
}

}  // namespace balancer::tests
