#include "base/proxy_tunnel.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/address.hpp>

#include "base/base64.hpp"
#include "base/net.hpp"

namespace balancer {
namespace {

constexpr std::size_t kProxyHeadMax = 16384;

// Of a whole head whose first line is like "HTTP/1.1 200 …"; 0: it is none.
unsigned status_of(std::string_view head) {
    constexpr std::size_t kCodeAt = 9;
    if (!head.ends_with("\r\n\r\n") || !head.starts_with("HTTP/1.") || head.size() < kCodeAt + 4) return 0;
    if (head[kCodeAt - 1] != ' ') return 0;
    unsigned status = 0;
    for (char c : head.substr(kCodeAt, 3)) {
        if (c < '0' || c > '9') return 0;
        status = status * 10 + static_cast<unsigned>(c - '0');
    }
    return status >= 100 ? status : 0;
}

Error proxy_error(const ErrorCode& code) {
    return Error{code, "the proxy closed or broke the connection: " + code.message()};
}

net::awaitable<Result<void>> open_connect(
    TunnelStream& stream, const ProxySpec& proxy, const TunnelTarget& target
) {
    std::string host = target.host.find(':') == std::string::npos ? target.host
                                                                  : "[" + target.host + "]";
    std::string request = fmt::format("CONNECT {0}:{1} HTTP/1.1\r\nhost: {0}:{1}\r\n", host, target.port);
    if (!proxy.user.empty()) {
        request += "proxy-authorization: Basic " + to_base64(proxy.user + ":" + proxy.password) + "\r\n";
    }
    request += "\r\n";
    ErrorCode sent = co_await stream.send(request);
    if (sent) co_return proxy_error(sent);

    // Byte by byte, since the tunnel's first bytes may follow the head at once: a proxied TLS server never speaks
    // first, but a plain one might.
    std::string head;
    while (!head.ends_with("\r\n\r\n") && head.size() < kProxyHeadMax) {
        char byte = 0;
        ErrorCode ec = co_await stream.receive(&byte, 1);
        if (ec) co_return proxy_error(ec);
        head.push_back(byte);
    }
    unsigned status = status_of(head);
    if (status == 0) co_return invalid("the proxy's answer to CONNECT is not HTTP");
    if (status == 407) {
        co_return invalid("the proxy asks for authentication (407): check user and password in `proxy`");
    }
    if (status / 100 != 2) {
        co_return invalid(fmt::format("the proxy refused the tunnel with status {}", status));
    }
    co_return Result<void>();
}

std::string socks5_error(unsigned char code) {
    static constexpr std::array<const char*, 9> kWords = {
        "succeeded",
        "general failure",
        "not allowed by its rules",
        "network unreachable",
        "host unreachable",
        "connection refused",
        "TTL expired",
        "command not supported",
        "address type not supported",
    };
    return fmt::format(
        "the SOCKS5 proxy cannot reach the target: {}", code < kWords.size() ? kWords[code] : "unknown error"
    );
}

net::awaitable<Result<void>> socks5_authenticate(TunnelStream& stream, const ProxySpec& proxy) {
    std::string hello = proxy.user.empty() ? std::string("\x05\x01\x00", 3)
                                           : std::string("\x05\x02\x00\x02", 4);
    ErrorCode ec = co_await stream.send(hello);
    if (ec) co_return proxy_error(ec);
    std::array<char, 2> answer{};
    ec = co_await stream.receive(answer.data(), answer.size());
    if (ec) co_return proxy_error(ec);
    if (answer[0] != 5) co_return invalid("the proxy does not speak SOCKS5");
    if (answer[1] == 0) co_return Result<void>();
    if (answer[1] != 2 || proxy.user.empty()) {
        co_return invalid("the SOCKS5 proxy asks for authentication: put user:password@ into `proxy`");
    }
    if (proxy.user.size() > 255 || proxy.password.size() > 255) {
        co_return invalid("user or password of the SOCKS5 proxy is longer than 255 bytes");
    }
    std::string login("\x01", 1);
    login.push_back(static_cast<char>(proxy.user.size()));
    login += proxy.user;
    login.push_back(static_cast<char>(proxy.password.size()));
    login += proxy.password;
    ec = co_await stream.send(login);
    if (!ec) ec = co_await stream.receive(answer.data(), answer.size());
    if (ec) co_return proxy_error(ec);
    if (answer[1] != 0) co_return invalid("the SOCKS5 proxy refused user and password");
    co_return Result<void>();
}

std::string socks5_request(const TunnelTarget& target) {
    std::string request("\x05\x01\x00", 3);
    ErrorCode not_an_address;
    net::ip::address address = net::ip::make_address(target.host, not_an_address);
    if (not_an_address) {
        request.push_back(3);
        request.push_back(static_cast<char>(target.host.size()));
        request += target.host;
    } else if (address.is_v4()) {
        auto bytes = address.to_v4().to_bytes();
        request.push_back(1);
        request.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } else {
        auto bytes = address.to_v6().to_bytes();
        request.push_back(4);
        request.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    request.push_back(static_cast<char>(target.port >> 8));
    request.push_back(static_cast<char>(target.port & 255));
    return request;
}

net::awaitable<Result<void>> open_socks5(
    TunnelStream& stream, const ProxySpec& proxy, const TunnelTarget& target
) {
    if (target.host.size() > 255) co_return invalid("the host name is too long for SOCKS5");
    Result<void> allowed = co_await socks5_authenticate(stream, proxy);
    if (!allowed) co_return allowed;
    std::string request = socks5_request(target);
    ErrorCode ec = co_await stream.send(request);
    std::array<char, 4> answer{};
    if (!ec) ec = co_await stream.receive(answer.data(), answer.size());
    if (ec) co_return proxy_error(ec);
    if (answer[1] != 0) co_return invalid(socks5_error(static_cast<unsigned char>(answer[1])));
    std::size_t bound = answer[3] == 4 ? 16 : 4;
    if (answer[3] == 3) {
        char length = 0;
        ec = co_await stream.receive(&length, 1);
        if (ec) co_return proxy_error(ec);
        bound = static_cast<unsigned char>(length);
    }
    std::array<char, 257> rest{};
    ec = co_await stream.receive(rest.data(), bound + 2);
    if (ec) co_return proxy_error(ec);
    co_return Result<void>();
}

}  // namespace

net::awaitable<Result<void>> open_tunnel(
    TunnelStream& stream, const ProxySpec& proxy, const TunnelTarget& target
) {
    if (proxy.kind == ProxyKind::kSocks5) co_return co_await open_socks5(stream, proxy, target);
    co_return co_await open_connect(stream, proxy, target);
}

}  // namespace balancer
