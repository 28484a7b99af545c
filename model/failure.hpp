// What can go wrong with one attempt at a provider, kept apart because each asks for something else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace balancer {

// The numbers are those of balancer.v1.FailureClass.
enum class FailureClass : std::uint8_t {
    kNone = 0,
    kConnect = 1,       // DNS, TCP, proxy
    kTls = 2,
    kTimeout = 3,
    kUpstream5xx = 4,
    kOverloaded = 5,    // 529 or an overloaded_error
    kRateLimited = 6,   // 429
    kAuth = 7,          // the provider refuses its own credential
    kQuota = 8,         // 402 or credit exhausted
    kBrokenStream = 9,  // cut after the response began
    kClient = 10,       // the caller's fault
    kPattern = 11,      // the operator's pattern or listed status
    kProtocol = 12,     // not HTTP, or not what was announced
};

inline constexpr std::size_t kFailureClasses = 13;

// Concerns the model that was asked for rather than the whole provider: a limit on one model says nothing of another.
constexpr bool is_of_one_model(FailureClass failure) {
    return failure == FailureClass::kRateLimited || failure == FailureClass::kOverloaded;
}

// An answer of the provider about the account: true wherever it was heard.
constexpr bool is_of_the_account(FailureClass failure) {
    return failure == FailureClass::kAuth || failure == FailureClass::kQuota;
}

// May as well be the way out of the machine that saw it.
constexpr bool is_local_origin(FailureClass failure) {
    return failure == FailureClass::kConnect || failure == FailureClass::kTls;
}

// snake_case, for logs, metrics and people: "rate_limited".
std::string_view name_of(FailureClass failure);

}  // namespace balancer
