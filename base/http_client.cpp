#include "base/http_client.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <memory>
#include <optional>

#include "base/net.hpp"
#include "base/proxy_tunnel.hpp"

namespace balancer {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using Addresses = tcp::resolver::results_type;

constexpr std::size_t kHeadBytesMax = 64 << 10;
constexpr unsigned kInformationalMax = 8;

Error failure(const ErrorCode& ec, std::string_view step, const HttpRequest& request) {
    bool late = ec == beast::error::timeout || ec == net::error::timed_out;
    return Error{
        late ? make_error_code(boost::system::errc::timed_out) : ec,
        late ? fmt::format("{}: not done within {} ms", step, request.timeout.count())
             : fmt::format("{}: {}", step, ec.message()),
    };
}

// A lookup cannot be called back once the system works on it, so its end may come when nobody waits
// any more: what it touches then lives here.
struct Lookup {
    explicit Lookup(const net::any_io_executor& executor) : resolver(executor), waiting(executor) {}
    tcp::resolver resolver;
    net::steady_timer waiting;
    std::optional<std::pair<ErrorCode, Addresses>> result;
};

net::awaitable<Result<Addresses>> resolve(
    const HttpRequest& request, const std::string& host, std::uint16_t port, SteadyTime until
) {
    auto executor = co_await net::this_coro::executor;
    auto lookup = std::make_shared<Lookup>(executor);
    lookup->waiting.expires_at(until);
    lookup->resolver.async_resolve(
        host,
        std::to_string(port),
        [lookup](const ErrorCode& ec, Addresses addresses) {
            lookup->result.emplace(ec, std::move(addresses));
            lookup->waiting.cancel();
        }
    );
    if (!lookup->result) co_await lookup->waiting.async_wait(kNoThrow);
    std::string step = fmt::format("resolving {}", host);
    if (!lookup->result) co_return failure(net::error::timed_out, step, request);
    if (lookup->result->first) co_return failure(lookup->result->first, step, request);
    co_return std::move(lookup->result->second);
}

http::request<http::string_body> to_beast(const HttpRequest& request) {
    http::request<http::string_body> out;
    out.version(11);
    out.method_string(request.method);
    out.target(request.target);
    for (const auto& [name, value] : request.headers) out.set(name, value);
    out.body() = request.body;
    out.prepare_payload();
    out.keep_alive(false);
    return out;
}

template <class Stream>
net::awaitable<Result<HttpResponse>> exchange(Stream& stream, const HttpRequest& request, bool* sent) {
    http::request<http::string_body> out = to_beast(request);
    if (sent != nullptr) *sent = true;
    auto [write_error, written] = co_await http::async_write(stream, out, kNoThrow);
    if (write_error) co_return failure(write_error, "sending the request", request);
    beast::flat_buffer buffer;
    std::optional<http::response_parser<http::string_body>> parser;
    // RFC 9110, section 15.2: informational answers come before the answer.
    for (unsigned informational = 0; !parser || parser->get().result_int() / 100 == 1; ++informational) {
        if (informational > kInformationalMax) {
            co_return failure(beast::http::error::unexpected_body, "reading the answer", request);
        }
        parser.emplace();
        parser->header_limit(kHeadBytesMax);
        parser->body_limit(request.answer_bytes_max);
        auto [read_error, read] = co_await http::async_read(stream, buffer, *parser, kNoThrow);
        if (read_error) co_return failure(read_error, "reading the answer", request);
        if (parser->get().result() == http::status::switching_protocols) break;
    }
    HttpResponse response;
    response.status = parser->get().result_int();
    for (const auto& field : parser->get()) {
        response.headers.emplace_back(
            std::string(field.name_string().data(), field.name_string().size()),
            std::string(field.value().data(), field.value().size())
        );
    }
    response.body = std::move(parser->get().body());
    co_return response;
}

Result<net::ssl::context> make_context(const HttpRequest& request) {
    net::ssl::context context(net::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    ErrorCode ec;
    context.set_verify_mode(net::ssl::verify_peer, ec);
    if (!ec) context.set_default_verify_paths(ec);
    if (!ec && !request.ca_pem.empty()) {
        context.add_certificate_authority(net::buffer(request.ca_pem), ec);
    }
    if (ec) return Error{ec, "the certificates to trust cannot be used: " + ec.message()};
    return context;
}

net::awaitable<Result<HttpResponse>> exchange_over_tls(
    beast::tcp_stream transport, const HttpRequest& request, bool* sent
) {
    Result<net::ssl::context> context = make_context(request);
    if (!context) co_return context.error();
    beast::ssl_stream<beast::tcp_stream> stream(std::move(transport), *context);
    ErrorCode not_an_address;
    net::ip::make_address(request.host, not_an_address);
    // An address is no name that a server could be chosen by.
    if (not_an_address) SSL_set_tlsext_host_name(stream.native_handle(), request.host.c_str());
    ErrorCode ec;
    stream.set_verify_callback(net::ssl::host_name_verification(request.host), ec);
    if (ec) co_return failure(ec, "preparing TLS", request);
    auto [shaken] = co_await stream.async_handshake(net::ssl::stream_base::client, kNoThrow);
    if (shaken) co_return failure(shaken, "TLS handshake", request);
    co_return co_await exchange(stream, request, sent);
}

class Tunnel final : public TunnelStream {
  public:
    explicit Tunnel(beast::tcp_stream& stream) : stream_(stream) {}

    net::awaitable<ErrorCode> send(std::string_view bytes) override {
        auto [ec, size] = co_await net::async_write(stream_, net::buffer(bytes.data(), bytes.size()), kNoThrow);
        co_return ec;
    }

    net::awaitable<ErrorCode> receive(char* data, std::size_t size) override {
        auto [ec, got] = co_await net::async_read(stream_, net::buffer(data, size), kNoThrow);
        co_return ec;
    }

  private:
    beast::tcp_stream& stream_;
};

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
    for (const auto& [known, value] : headers) {
        if (beast::iequals(known, name)) return value;
    }
    return {};
}

net::awaitable<Result<HttpResponse>> fetch(HttpRequest request, bool* sent) {
    const SteadyTime until = steady_now() + request.timeout;
    auto executor = co_await net::this_coro::executor;
    const std::string& host = request.proxy ? request.proxy->host : request.host;
    const std::uint16_t port = request.proxy ? request.proxy->port : request.port;
    Result<Addresses> addresses = co_await resolve(request, host, port, until);
    if (!addresses) co_return addresses.error();
    beast::tcp_stream stream(executor);
    stream.expires_at(until);  // holds for every step after this one
    auto [connect_error, endpoint] = co_await stream.async_connect(*addresses, kNoThrow);
    if (connect_error) {
        co_return failure(
            connect_error,
            fmt::format("connecting to {}{}:{}", request.proxy ? "the proxy " : "", host, port),
            request
        );
    }
    if (request.proxy) {
        Tunnel tunnel(stream);
        TunnelTarget target{request.host, request.port};
        Result<void> open = co_await open_tunnel(tunnel, *request.proxy, target);
        if (!open) co_return open.error();
    }
    if (request.tls) co_return co_await exchange_over_tls(std::move(stream), request, sent);
    co_return co_await exchange(stream, request, sent);
}

}  // namespace balancer
