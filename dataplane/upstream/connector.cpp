#include "dataplane/upstream/connector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/net.hpp"
#include "dataplane/upstream/proxy_tunnel.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

// With more addresses to try, none may use up the time of the others.
constexpr std::chrono::seconds kPerAddressMax{4};

}  // namespace

bool lacked_here(const ErrorCode& error) {
    switch (error.category() == boost::system::system_category() ? error.value() : 0) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case EADDRNOTAVAIL:
        case EAGAIN: return true;  // no thread to be had
        default: return false;
    }
}

Connector::Connector(net::io_context& context, LookUp look_up)
    : resolver_(context, std::move(look_up)) {}

net::awaitable<ConnectFailure> Connector::connect_tcp(
    UpstreamStream& stream, const std::string& host, std::uint16_t port, SteadyTime until
) {
    stream.set_deadline(until);
    Result<Addresses> addresses = co_await resolver_.resolve(stream, host, port);
    if (stream.timed_out()) {
        co_return ConnectFailure{FailureClass::kTimeout, fmt::format("resolving {} took too long", host)};
    }
    if (!addresses) {
        const Error& error = addresses.error();
        co_return ConnectFailure{FailureClass::kConnect, error.text(), lacked_here(error.code)};
    }
    ErrorCode told;           // the last that says something of the provider
    ErrorCode lacking;        // the last that says something of this machine
    for (std::size_t i = 0; i < addresses->size(); ++i) {
        SteadyTime part = until;
        if (auto left = static_cast<std::ptrdiff_t>(addresses->size() - i); left > 1) {
            SteadyTime now = steady_now();
            part = std::min({until, now + kPerAddressMax, now + (until - now) / left});
        }
        const tcp::endpoint& address = (*addresses)[i];
        ErrorCode failed = co_await stream.connect(address, part);
        if (!failed) {
            if (i > 0) resolver_.prefer(host, port, address);
            co_return ConnectFailure{};
        }
        (lacked_here(failed) ? lacking : told) = failed;
        if (steady_now() >= until || (stream.aborted() && !stream.timed_out())) break;
    }
    ErrorCode last = told ? told : lacking;
    bool timeout = last == boost::system::errc::timed_out;
    co_return ConnectFailure{
        timeout ? FailureClass::kTimeout : FailureClass::kConnect,
        fmt::format("cannot connect to {}:{}: {}", host, port, timeout ? "connect timeout" : last.message()),
        !told,
    };
}

net::awaitable<ConnectFailure> Connector::secure(
    UpstreamStream& stream, const Provider& provider, SteadyTime until
) {
    Result<net::ssl::context*> context = tls_.get(provider.ca_pem);
    if (!context) co_return ConnectFailure{FailureClass::kTls, context.error().text()};
    TlsSessionSlot& session = tls_.session_slot(provider.name + '\0' + provider.etag);
    stream.set_deadline(until);
    Result<void> secured = co_await stream.handshake(**context, provider.endpoint.host, &session);
    if (stream.timed_out()) {
        co_return ConnectFailure{FailureClass::kTimeout, "TLS handshake timeout"};
    }
    if (!secured) {
        co_return ConnectFailure{
            FailureClass::kTls, fmt::format("TLS handshake failed: {}", secured.error().text())
        };
    }
    co_return ConnectFailure{};
}

net::awaitable<ConnectFailure> Connector::connect(
    UpstreamStream& stream, const Provider& provider, Milliseconds timeout
) {
    SteadyTime until = timeout.count() > 0 ? steady_now() + timeout : SweepEntry::kNever;
    const Endpoint& target = provider.endpoint;
    const std::string& host = provider.proxy ? provider.proxy->host : target.host;
    std::uint16_t port = provider.proxy ? provider.proxy->port : target.port;
    ConnectFailure failed = co_await connect_tcp(stream, host, port, until);
    if (failed.failure != FailureClass::kNone) co_return failed;
    if (provider.proxy) {
        stream.set_deadline(until);
        Result<void> tunnel = co_await open_tunnel(stream, *provider.proxy, target);
        if (stream.timed_out()) co_return ConnectFailure{FailureClass::kTimeout, "proxy timeout"};
        if (!tunnel) co_return ConnectFailure{FailureClass::kConnect, tunnel.error().text()};
    }
    if (target.tls) {
        failed = co_await secure(stream, provider, until);
        if (failed.failure != FailureClass::kNone) co_return failed;
    }
    stream.set_deadline(SweepEntry::kNever);
    co_return ConnectFailure{};
}

}  // namespace balancer::dataplane
