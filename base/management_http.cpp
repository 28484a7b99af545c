#include "base/management_http.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <unordered_set>

#include "base/net.hpp"

namespace balancer {

namespace http = boost::beast::http;
namespace beast = boost::beast;
using tcp = net::ip::tcp;

struct ManagementHttp::State : std::enable_shared_from_this<State> {
    static constexpr std::size_t kConnectionsMax = 256;
    static constexpr std::chrono::seconds kIdle{30};
    static constexpr std::chrono::milliseconds kAcceptPause{50};
    static constexpr std::size_t kBodyBytesMax = 1 << 20;

    net::io_context& context;
    Log& log;
    Handler handler;
    tcp::acceptor acceptor;
    std::unordered_set<beast::tcp_stream*> open;

    State(net::io_context& c, Log& l, Handler h)
        : context(c), log(l), handler(std::move(h)), acceptor(c) {}

    static net::awaitable<void> accept_loop(std::shared_ptr<State> self) {
        for (;;) {
            auto [ec, socket] = co_await self->acceptor.async_accept(kNoThrow);
            if (ec == net::error::operation_aborted || !self->acceptor.is_open()) co_return;
            if (ec) {
                // Out of descriptors: the same error would come at once, and without end.
                net::steady_timer pause(self->context, kAcceptPause);
                co_await pause.async_wait(kNoThrow);
                continue;
            }
            if (self->open.size() >= kConnectionsMax) continue;
            net::co_spawn(self->context, serve(self, std::move(socket)), net::detached);
        }
    }

    static net::awaitable<void> serve(std::shared_ptr<State> self, tcp::socket socket) {
        beast::tcp_stream stream(std::move(socket));
        self->open.insert(&stream);
        beast::flat_buffer buffer(1 << 21);
        buffer.reserve(4096);
        for (;;) {
            stream.expires_after(kIdle);
            http::request_parser<http::string_body> parser;
            parser.body_limit(kBodyBytesMax);
            auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kNoThrow);
            if (read_error) break;
            http::request<http::string_body> request = parser.release();
            http::response<http::string_body> response = self->answer(request);
            auto [write_error, written] = co_await http::async_write(stream, response, kNoThrow);
            if (write_error || !response.keep_alive()) break;
        }
        self->open.erase(&stream);
        ErrorCode ignored;
        stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
    }

    http::response<http::string_body> answer(const http::request<http::string_body>& request) {
        std::string_view target(request.target().data(), request.target().size());
        std::size_t mark = target.find('?');
        ManagementRequest in{
            std::string(request.method_string().data(), request.method_string().size()),
            std::string(target.substr(0, mark)),
            mark == std::string_view::npos ? std::string() : std::string(target.substr(mark + 1)),
            request.body(),
        };
        ManagementResponse out;
        try {
            out = handler(in);
        } catch (const std::exception& problem) {
            log.emit(LogLevel::kError, LogEvent::kTaskFailed, problem.what(), {{"path", in.path}});
            out = {500, "text/plain; charset=utf-8", "internal error; see the log\n"};
        }
        http::response<http::string_body> response(
            static_cast<http::status>(out.status), request.version()
        );
        response.set(http::field::content_type, out.content_type);
        response.set(http::field::cache_control, "no-store");
        response.keep_alive(request.keep_alive());
        response.body() = std::move(out.body);
        response.prepare_payload();
        if (in.method == "HEAD") response.body().clear();
        return response;
    }
};

ManagementHttp::ManagementHttp(net::io_context& context, Log& log, Handler handler)
    : state_(std::make_shared<State>(context, log, std::move(handler))) {}

ManagementHttp::~ManagementHttp() { stop(); }

Result<std::string> ManagementHttp::listen(std::string_view address) {
    Result<tcp::endpoint> endpoint = parse_endpoint(address);
    if (!endpoint) return endpoint.error();
    ErrorCode ec;
    tcp::acceptor& acceptor = state_->acceptor;
    acceptor.open(endpoint->protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(*endpoint, ec);
    if (!ec) acceptor.listen(net::socket_base::max_listen_connections, ec);
    if (ec) {
        return Error{ec, fmt::format("cannot listen on {}: {}", address, ec.message())};
    }
    net::co_spawn(state_->context, State::accept_loop(state_), net::detached);
    return to_string(acceptor.local_endpoint());
}

Result<std::string> ManagementHttp::adopt(UniqueFd listener) {
    Result<tcp::acceptor> adopted = acceptor_of(state_->context, std::move(listener));
    if (!adopted) return adopted.error();
    state_->acceptor = *std::move(adopted);
    net::co_spawn(state_->context, State::accept_loop(state_), net::detached);
    return to_string(state_->acceptor.local_endpoint());
}

UniqueFd ManagementHttp::share() const { return copy_of(state_->acceptor); }

void ManagementHttp::stop() {
    ErrorCode ignored;
    close_here(state_->acceptor);
    for (beast::tcp_stream* stream : state_->open) stream->socket().close(ignored);
}

UniqueFd copy_of(tcp::acceptor& acceptor) {
    return UniqueFd(::fcntl(acceptor.native_handle(), F_DUPFD_CLOEXEC, 0));
}

Result<tcp::acceptor> acceptor_of(net::io_context& context, UniqueFd listener) {
    tcp::acceptor acceptor(context);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ErrorCode ec;
    if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        ec = ErrorCode(errno, boost::system::system_category());
    } else {
        acceptor.assign(bound.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), listener.get(), ec);
    }
    if (ec) return Error{ec, fmt::format("cannot take over a listener: {}", ec.message())};
    listener.release();
    return acceptor;
}

void close_here(tcp::acceptor& acceptor) {
    if (!acceptor.is_open()) return;
    ErrorCode ignored;
    UniqueFd closed(acceptor.release(ignored));
}

Result<tcp::endpoint> parse_endpoint(std::string_view address) {
    std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) {
        return invalid(fmt::format("'{}' is not HOST:PORT, such as 127.0.0.1:9090", address));
    }
    std::string_view host = address.substr(0, colon);
    std::string_view port_text = address.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    unsigned short port = 0;
    auto [end, problem] = std::from_chars(port_text.begin(), port_text.end(), port);
    if (problem != std::errc() || end != port_text.end() || port_text.empty()) {
        return invalid(fmt::format("'{}' in '{}' is not a port (0 to 65535)", port_text, address));
    }
    if (host == "localhost") host = "127.0.0.1";
    ErrorCode ec;
    net::ip::address ip = net::ip::make_address(std::string(host), ec);
    if (ec) {
        return invalid(fmt::format("'{}' in '{}' is not an IP address or localhost", host, address));
    }
    return tcp::endpoint(ip, port);
}

std::string to_string(const tcp::endpoint& endpoint) {
    std::string host = endpoint.address().to_string();
    if (endpoint.address().is_v6()) host = "[" + host + "]";
    return host + ":" + std::to_string(endpoint.port());
}

}  // namespace balancer
