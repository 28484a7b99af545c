#include "model/failure.hpp"

#include <array>

namespace balancer {

std::string_view name_of(FailureClass failure) {
    static constexpr std::array<std::string_view, kFailureClasses> kNames = {
        "none",         "connect", "tls",   "timeout",       "upstream_5xx", "overloaded",
        "rate_limited", "auth",    "quota", "broken_stream", "client",       "pattern",
        "protocol",
    };
    return kNames[static_cast<std::size_t>(failure)];
}

}  // namespace balancer
