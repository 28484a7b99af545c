// An outbound proxy, as model/url reads it.
#pragma once

#include <cstdint>
#include <string>

namespace balancer {

enum class ProxyKind { kHttpConnect, kSocks5 };

struct ProxySpec {
    ProxyKind kind = ProxyKind::kHttpConnect;
    std::string host;
    std::uint16_t port = 0;
    std::string user;      // percent-decoded; empty: no authentication
    std::string password;

    bool operator==(const ProxySpec&) const = default;
};

}  // namespace balancer
