#include "tests/support/proxy_session.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/write.hpp>
#include <charconv>

#include "base/net.hpp"
#include "tests/support/http_text.hpp"

namespace balancer::tests {
namespace {

using tcp = net::ip::tcp;

std::string base64(const std::string& text) {
    std::string encoded((text.size() + 2) / 3 * 4 + 1, '\0');
    int size = EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(encoded.data()),
        reinterpret_cast<const unsigned char*>(text.data()),
        static_cast<int>(text.size())
    );
    encoded.resize(static_cast<std::size_t>(size));
    return encoded;
}

unsigned byte_at(const std::string& bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

// The reply of RFC 1928 section 6, with an address of zeros.
std::string socks5_reply(char code) {
    return std::string("\x05", 1) + code + std::string("\x00\x01\x00\x00\x00\x00\x00\x00", 8);
}

}  // namespace

ProxySession::ProxySession(tcp::socket client, const TestProxyOptions& options, ProxyLedger& ledger)
    : client_(std::move(client)),
      target_(client_.get_executor()),
      options_(options),
      ledger_(ledger) {}

void ProxySession::stop() {
    ErrorCode ignored;
    client_.close(ignored);
    target_.close(ignored);
}

net::awaitable<void> ProxySession::run(std::shared_ptr<ProxySession> self) {
    using namespace net::experimental::awaitable_operators;
    bool connect = self->options_.kind == ProxyKind::kHttpConnect;
    bool open = false;
    if (connect) {
        open = co_await self->serve_connect();
    } else {
        open = co_await self->serve_socks5();
    }
    if (open) {
        std::string first = std::move(self->inbound_);
        co_await (
            copy(self->client_, self->target_, std::move(first)) &&
            copy(self->target_, self->client_, {})
        );
    }
    self->stop();
}

net::awaitable<bool> ProxySession::serve_connect() {
    std::optional<std::size_t> size;
    while (!(size = head_size(inbound_))) {
        bool more = co_await fill(inbound_.size() + 1);
        if (!more) co_return false;
    }
    std::optional<HttpHead> head = parse_head(take(*size));
    if (!head || !head->start_line.starts_with("CONNECT ")) {
        co_await answer("HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n");
        co_return false;
    }
    if (options_.access) {
        std::string wanted =
            "Basic " + base64(options_.access->user + ":" + options_.access->password);
        if (header_or_empty(head->headers, "proxy-authorization") != wanted) {
            {
                std::lock_guard lock(ledger_.mutex);
                ++ledger_.denied;
            }
            co_await answer(
                "HTTP/1.1 407 Proxy Authentication Required\r\n"
                "proxy-authenticate: Basic realm=\"test\"\r\ncontent-length: 0\r\n\r\n"
            );
            co_return false;
        }
    }
    std::string authority = head->start_line.substr(8, head->start_line.find(' ', 8) - 8);
    std::size_t colon = authority.rfind(':');
    std::uint16_t port = 0;
    if (colon != std::string::npos) {
        std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), port);
    }
    bool open = co_await open_target(authority.substr(0, colon), port);
    co_await answer(
        open ? "HTTP/1.1 200 Connection established\r\n\r\n"
             : "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
    );
    co_return open;
}

net::awaitable<bool> ProxySession::serve_socks5() {
    bool let_in = co_await pass_socks5_login();
    if (!let_in) co_return false;
    bool more = co_await fill(5);
    if (!more) co_return false;
    unsigned address_type = byte_at(inbound_, 3);
    std::size_t name_size = 4;
    if (address_type == 4) name_size = 16;
    if (address_type == 3) name_size = 1 + byte_at(inbound_, 4);
    more = co_await fill(4 + name_size + 2);
    if (!more) co_return false;
    std::string request = take(4 + name_size + 2);
    std::string name;
    if (address_type == 3) {
        name = request.substr(5, name_size - 1);
    } else if (address_type == 1) {
        net::ip::address_v4::bytes_type bytes{};
        for (std::size_t i = 0; i < 4; ++i) {
            bytes[i] = static_cast<unsigned char>(request[4 + i]);
        }
        name = net::ip::make_address_v4(bytes).to_string();
    } else {
        co_await answer(socks5_reply('\x08'));
        co_return false;
    }
    std::size_t at = request.size() - 2;
    auto port = static_cast<std::uint16_t>(byte_at(request, at) << 8 | byte_at(request, at + 1));
    bool open = co_await open_target(std::move(name), port);
    co_await answer(socks5_reply(open ? '\x00' : '\x05'));
    co_return open;
}

net::awaitable<bool> ProxySession::pass_socks5_login() {
    constexpr char kNoAccess = '\x00';
    constexpr char kPassword = '\x02';
    bool more = co_await fill(2);
    if (!more) co_return false;
    std::size_t methods_size = byte_at(inbound_, 1);
    more = co_await fill(2 + methods_size);
    if (!more) co_return false;
    std::string methods = take(2 + methods_size).substr(2);
    char wanted = options_.access ? kPassword : kNoAccess;
    bool offered = methods.find(wanted) != std::string::npos;
    bool right = offered;
    co_await answer(std::string("\x05") + (offered ? wanted : '\xff'));
    if (offered && options_.access) {
        more = co_await fill(2);
        if (more) more = co_await fill(2 + byte_at(inbound_, 1) + 1);
        if (!more) co_return false;
        std::size_t user_size = byte_at(inbound_, 1);
        std::size_t password_size = byte_at(inbound_, 2 + user_size);
        more = co_await fill(3 + user_size + password_size);
        if (!more) co_return false;
        std::string login = take(3 + user_size + password_size);
        right = login.substr(2, user_size) == options_.access->user &&
                login.substr(3 + user_size) == options_.access->password;
        co_await answer(std::string("\x01") + (right ? '\x00' : '\x01'));
    }
    if (!right) {
        std::lock_guard lock(ledger_.mutex);
        ++ledger_.denied;
    }
    co_return right;
}

net::awaitable<bool> ProxySession::open_target(std::string name, std::uint16_t port) {
    {
        std::lock_guard lock(ledger_.mutex);
        ledger_.targets.push_back(fmt::format("{}:{}", name, port));
    }
    if (options_.tunnelling == Tunnelling::kHangs) co_await hang();
    if (options_.tunnelling != Tunnelling::kWorks) co_return false;
    tcp::endpoint endpoint(net::ip::address_v4::loopback(), port);
    auto [ec] = co_await target_.async_connect(endpoint, kNoThrow);
    co_return !ec;
}

// Until the client goes away.
net::awaitable<void> ProxySession::hang() {
    bool more = true;
    while (more) more = co_await fill(inbound_.size() + 1);
}

net::awaitable<bool> ProxySession::fill(std::size_t bytes) {
    std::array<char, 4096> block;
    while (inbound_.size() < bytes) {
        auto [ec, n] = co_await client_.async_read_some(net::buffer(block), kNoThrow);
        if (ec) co_return false;
        inbound_.append(block.data(), n);
    }
    co_return true;
}

std::string ProxySession::take(std::size_t bytes) {
    std::string taken = inbound_.substr(0, bytes);
    inbound_.erase(0, bytes);
    return taken;
}

net::awaitable<void> ProxySession::answer(std::string bytes) {
    co_await net::async_write(client_, net::buffer(bytes), kNoThrow);
}

// Until `from` ends; its end is passed on, a reset as a reset.
net::awaitable<void> ProxySession::copy(tcp::socket& from, tcp::socket& to, std::string first) {
    ErrorCode ignored;
    if (!first.empty()) co_await net::async_write(to, net::buffer(first), kNoThrow);
    std::array<char, 16384> block;
    for (;;) {
        auto [ec, n] = co_await from.async_read_some(net::buffer(block), kNoThrow);
        if (ec == net::error::eof) {
            to.shutdown(tcp::socket::shutdown_send, ignored);
            co_return;
        }
        if (!ec) {
            auto [failed, written] = co_await net::async_write(to, net::buffer(block, n), kNoThrow);
            ec = failed;
        }
        if (ec) {
            to.set_option(net::socket_base::linger(true, 0), ignored);
            to.close(ignored);
            from.close(ignored);
            co_return;
        }
    }
}

}  // namespace balancer::tests
