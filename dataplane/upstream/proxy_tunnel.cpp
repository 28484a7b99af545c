#include "dataplane/upstream/proxy_tunnel.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <string>

#include "base/net.hpp"
#include "dataplane/wire/http_head.hpp"

namespace balancer::dataplane {
namespace {

constexpr std::size_t kProxyHeadMax = 16384;

std::string base64(std::string_view text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
    int n = EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data()),
        reinterpret_cast<const unsigned char*>(text.data()),
        static_cast<int>(text.size())
    );
    out.resize(static_cast<std::size_t>(n));
    return out;
}

net::awaitable<ErrorCode> send(UpstreamStream& stream, std::string_view bytes) {
    std::array<net::const_buffer, 1> buffers = {net::const_buffer(bytes.data(), bytes.size())};
    co_return co_await stream.write(buffers);
}

// Exactly `size` bytes: what follows belongs to the tunnel.
net::awaitable<ErrorCode> receive(UpstreamStream& stream, char* data, std::size_t size) {
    while (size > 0) {
        IoResult got = co_await stream.read_some(data, size);
        if (got.error) co_return got.error;
        data += got.bytes;
        size -= got.bytes;
    }
    co_return ErrorCode();
}

Error proxy_error(const ErrorCode& code) {
    return Error{code, "the proxy closed or broke the connection: " + code.message()};
}

net::awaitable<Result<void>> open_connect(
    UpstreamStream& stream, const ProxySpec& proxy, const Endpoint& target
) {
    std::string host = target.host.find(':') == std::string::npos ? target.host
                                                                  : "[" + target.host + "]";
    std::string request = fmt::format("CONNECT {0}:{1} HTTP/1.1\r\nhost: {0}:{1}\r\n", host, target.port);
    if (!proxy.user.empty()) {
        request += "proxy-authorization: Basic " + base64(proxy.user + ":" + proxy.password) + "\r\n";
    }
    request += "\r\n";
    ErrorCode sent = co_await send(stream, request);
    if (sent) co_return proxy_error(sent);

    // Byte by byte, since the tunnel's first bytes may follow the head at once: a proxied TLS server never speaks
    // first, but a plain one might.
    std::string head;
    wire::HeadScan scan;
    while (scan.state == wire::HeadScan::State::kIncomplete && head.size() < kProxyHeadMax) {
        char byte = 0;
        IoResult got = co_await stream.read_some(&byte, 1);
        if (got.error) co_return proxy_error(got.error);
        head.push_back(byte);
        scan = wire::scan_head(head, scan.scanned);
    }
    if (scan.state != wire::HeadScan::State::kComplete) {
        co_return invalid("the proxy's answer to CONNECT is not HTTP");
    }
    Result<wire::ResponseHead> answer = wire::parse_response_head(head, wire::ResponseTo::kHead);
    if (!answer) co_return invalid("the proxy's answer to CONNECT is not HTTP");
    if (answer->status == 407) {
        co_return invalid("the proxy asks for authentication (407): check user and password in `proxy`");
    }
    if (answer->status / 100 != 2) {
        co_return invalid(fmt::format("the proxy refused the tunnel with status {}", answer->status));
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
        "the SOCKS5 proxy cannot reach the provider: {}", code < kWords.size() ? kWords[code] : "unknown error"
    );
}

net::awaitable<Result<void>> socks5_authenticate(UpstreamStream& stream, const ProxySpec& proxy) {
    std::string hello = proxy.user.empty() ? std::string("\x05\x01\x00", 3)
                                           : std::string("\x05\x02\x00\x02", 4);
    ErrorCode ec = co_await send(stream, hello);
    if (ec) co_return proxy_error(ec);
    std::array<char, 2> answer{};
    ec = co_await receive(stream, answer.data(), answer.size());
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
    ec = co_await send(stream, login);
    if (!ec) ec = co_await receive(stream, answer.data(), answer.size());
    if (ec) co_return proxy_error(ec);
    if (answer[1] != 0) co_return invalid("the SOCKS5 proxy refused user and password");
    co_return Result<void>();
}

std::string socks5_request(const Endpoint& target) {
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
    UpstreamStream& stream, const ProxySpec& proxy, const Endpoint& target
) {
    if (target.host.size() > 255) co_return invalid("the provider's host name is too long for SOCKS5");
    Result<void> allowed = co_await socks5_authenticate(stream, proxy);
    if (!allowed) co_return allowed;
    std::string request = socks5_request(target);
    ErrorCode ec = co_await send(stream, request);
    std::array<char, 4> answer{};
    if (!ec) ec = co_await receive(stream, answer.data(), answer.size());
    if (ec) co_return proxy_error(ec);
    if (answer[1] != 0) co_return invalid(socks5_error(static_cast<unsigned char>(answer[1])));
    std::size_t bound = answer[3] == 4 ? 16 : 4;
    if (answer[3] == 3) {
        char length = 0;
        ec = co_await receive(stream, &length, 1);
        if (ec) co_return proxy_error(ec);
        bound = static_cast<unsigned char>(length);
    }
    std::array<char, 257> rest{};
    ec = co_await receive(stream, rest.data(), bound + 2);
    if (ec) co_return proxy_error(ec);
    co_return Result<void>();
}

}  // namespace

net::awaitable<Result<void>> open_tunnel(
    UpstreamStream& stream, const ProxySpec& proxy, const Endpoint& target
) {
    if (proxy.kind == ProxyKind::kSocks5) co_return co_await open_socks5(stream, proxy, target);
    co_return co_await open_connect(stream, proxy, target);
}

}  // namespace balancer::dataplane
