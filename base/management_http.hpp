// A small HTTP/1.1 server for management ports (/metrics, /healthz, /readyz, pages). Not for client traffic.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace balancer {

struct ManagementRequest {
    std::string method;
    std::string path;   // without the query
    std::string query;  // without the question mark
    std::string body;
};

struct ManagementResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

// Lives on one io_context; the handler runs there. Bodies over 1 MiB, and more than 256 connections, are refused.
class ManagementHttp {
  public:
    using Handler = std::function<ManagementResponse(const ManagementRequest&)>;

    ManagementHttp(boost::asio::io_context& context, Log& log, Handler handler);
    ~ManagementHttp();

    // `address` is HOST:PORT or [V6]:PORT; port 0 takes a free one. Returns the bound address.
    Result<std::string> listen(std::string_view address);

    // The same on a listening socket that another process has left. Returns its address.
    Result<std::string> adopt(UniqueFd listener);

    // A copy of the listening socket, for another process: what is queued there is then served by either. After listen().
    UniqueFd share() const;

    // Stops accepting and closes every connection.
    void stop();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

// Splits HOST:PORT or [V6]:PORT and makes an endpoint of it. HOST must be an address or `localhost`.
Result<boost::asio::ip::tcp::endpoint> parse_endpoint(std::string_view address);

// A copy of a listening socket, to be handed on; none: there is no descriptor left.
UniqueFd copy_of(boost::asio::ip::tcp::acceptor& acceptor);

// The acceptor of a listening socket that was handed on.
Result<boost::asio::ip::tcp::acceptor> acceptor_of(boost::asio::io_context& context, UniqueFd listener);

// Closes it here, whoever else has the socket: closed as usual, one that others have would go on telling this process of
// their clients.
void close_here(boost::asio::ip::tcp::acceptor& acceptor);

// HOST:PORT, with brackets around a v6 address.
std::string to_string(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace balancer
