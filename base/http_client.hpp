// One HTTP/1.1 request of our own to somebody else's server: not for what clients send.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/proxy_spec.hpp"
#include "base/result.hpp"

namespace balancer {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
    bool tls = true;
    std::string host;  // where to connect: a name or an address, without brackets
    std::uint16_t port = 443;
    std::string method = "GET";
    std::string target = "/";
    HttpHeaders headers;  // `host` among them; content-length is added
    std::string body;
    std::optional<ProxySpec> proxy;  // where to connect instead; it resolves `host`
    std::string ca_pem;            // trusted besides the system's roots; PEM text
    Milliseconds timeout{20'000};  // for the whole of it, name resolution included
    std::size_t answer_bytes_max = 1 << 20;
};

struct HttpResponse {
    unsigned status = 0;
    HttpHeaders headers;
    std::string body;

    // The first of that name, ignoring case; empty when there is none.
    std::string_view header(std::string_view name) const;
};

// A connection for this request alone: it is closed behind the answer. TLS 1.2 or 1.3 with the
// peer's name verified. No redirect is followed, nothing is sent twice, no proxy of the environment
// is used. Errors say in words at which step it failed; they hold nothing of the request.
//
// `sent` is set before the first byte of the request goes out: an error without it means that nobody has seen the request.
// It outlives the call.
boost::asio::awaitable<Result<HttpResponse>> fetch(HttpRequest request, bool* sent = nullptr);

}  // namespace balancer
