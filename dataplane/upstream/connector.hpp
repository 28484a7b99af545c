// From a provider to a connection that a request can be written to: name, proxy, TCP, TLS.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "dataplane/sweep.hpp"
#include "dataplane/upstream/resolver.hpp"
#include "dataplane/upstream/stream.hpp"
#include "dataplane/upstream/tls.hpp"
#include "model/failure.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

struct ConnectFailure {
    FailureClass failure = FailureClass::kNone;  // kNone: connected
    std::string detail;
    bool ours = false;  // this machine is out of descriptors, ports or memory: it says nothing of the provider
};

// Descriptors, ports, memory, threads: what this machine lacks, not the provider.
bool lacked_here(const ErrorCode& error);

// Lives on one worker.
class Connector {
  public:
    explicit Connector(boost::asio::io_context& context, LookUp look_up = system_look_up);

    // Brings `stream` to the point where a request can be written. stream.abort() ends it in every stage.
    boost::asio::awaitable<ConnectFailure> connect(
        UpstreamStream& stream, const Provider& provider, Milliseconds timeout
    );

  private:
    boost::asio::awaitable<ConnectFailure> connect_tcp(
        UpstreamStream& stream, const std::string& host, std::uint16_t port, SteadyTime until
    );
    boost::asio::awaitable<ConnectFailure> secure(
        UpstreamStream& stream, const Provider& provider, SteadyTime until
    );

    Resolver resolver_;
    TlsContexts tls_;
};

}  // namespace balancer::dataplane
