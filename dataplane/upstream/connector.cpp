#include "dataplane/upstream/connector.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/net.hpp"
#include "dataplane/upstream/proxy_tunnel.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

constexpr std::chrono::seconds kResolvedFresh{30};
// With more addresses to try, none may use up the whole time.
constexpr std::chrono::seconds kPerAddress{4};

}  // namespace

Connector::Connector(net::io_context& context) : context_(context) {}

net::awaitable<Result<std::vector<tcp::endpoint>>> Connector::resolve(
    UpstreamStream& stream, const std::string& host, std::uint16_t port
) {
    std::vector<tcp::endpoint> addresses;
    ErrorCode not_an_address;
    net::ip::address literal = net::ip::make_address(host, not_an_address);
    if (!not_an_address) {
        addresses.emplace_back(literal, port);
        co_return addresses;
    }
    std::string key = fmt::format("{}:{}", host, port);
    auto known = resolved_.find(key);
    if (known != resolved_.end() && steady_now() < known->second.fresh_until) {
        co_return known->second.addresses;
    }
    tcp::resolver resolver(context_);
    stream.set_on_abort([&resolver] { resolver.cancel(); });
    auto [ec, results] = co_await resolver.async_resolve(host, std::to_string(port), kNoThrow);
    stream.set_on_abort({});
    if (ec) {
        known = resolved_.find(key);
        if (known != resolved_.end() && !stream.aborted()) co_return known->second.addresses;
        co_return Error{ec, fmt::format("cannot resolve {}: {}", host, ec.message())};
    }
    for (const auto& entry : results) addresses.push_back(entry.endpoint());
    resolved_[key] = Resolved{addresses, steady_now() + kResolvedFresh};
    co_return addresses;
}

net::awaitable<ConnectFailure> Connector::connect_tcp(
    UpstreamStream& stream, const std::string& host, std::uint16_t port, SteadyTime until
) {
    stream.set_deadline(until);
    Result<std::vector<tcp::endpoint>> addresses = co_await resolve(stream, host, port);
    if (stream.timed_out()) {
        co_return ConnectFailure{FailureClass::kTimeout, fmt::format("resolving {} took too long", host)};
    }
    if (!addresses) co_return ConnectFailure{FailureClass::kConnect, addresses.error().text()};
    if (stream.aborted()) co_return ConnectFailure{FailureClass::kConnect, "given up"};
    ErrorCode last;
    for (std::size_t i = 0; i < addresses->size(); ++i) {
        SteadyTime part = until;
        if (i + 1 < addresses->size()) part = std::min(until, steady_now() + kPerAddress);
        last = co_await stream.connect((*addresses)[i], part);
        if (!last) co_return ConnectFailure{};
        if (steady_now() >= until || (stream.aborted() && !stream.timed_out())) break;
    }
    bool timeout = last == boost::system::errc::timed_out;
    co_return ConnectFailure{
        timeout ? FailureClass::kTimeout : FailureClass::kConnect,
        fmt::format("cannot connect to {}:{}: {}", host, port, timeout ? "connect timeout" : last.message()),
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
