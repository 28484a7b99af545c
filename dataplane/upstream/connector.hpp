// From a provider to a connection that a request can be written to: name, proxy, TCP, TLS.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/sweep.hpp"
#include "dataplane/upstream/stream.hpp"
#include "dataplane/upstream/tls.hpp"
#include "model/failure.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

struct ConnectFailure {
    FailureClass failure = FailureClass::kNone;  // kNone: connected
    std::string detail;
};

// Lives on one worker. Looked-up names are kept for 30 s, and used for longer when a look-up fails.
class Connector {
  public:
    explicit Connector(boost::asio::io_context& context);

    // Brings `stream` to the point where a request can be written. stream.abort() ends it in every stage.
    boost::asio::awaitable<ConnectFailure> connect(
        UpstreamStream& stream, const Provider& provider, Milliseconds timeout
    );

  private:
    struct Resolved {
        std::vector<boost::asio::ip::tcp::endpoint> addresses;
        SteadyTime fresh_until;
    };

    boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> resolve(
        UpstreamStream& stream, const std::string& host, std::uint16_t port
    );
    boost::asio::awaitable<ConnectFailure> connect_tcp(
        UpstreamStream& stream, const std::string& host, std::uint16_t port, SteadyTime until
    );
    boost::asio::awaitable<ConnectFailure> secure(
        UpstreamStream& stream, const Provider& provider, SteadyTime until
    );

    boost::asio::io_context& context_;
    TlsContexts tls_;
    std::unordered_map<std::string, Resolved> resolved_;
};

}  // namespace balancer::dataplane
