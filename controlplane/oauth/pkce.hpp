// Proof Key for Code Exchange, RFC 7636 with S256.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace balancer::controlplane {

// So many random bytes. Tests choose them.
using RandomBytes = std::function<std::string(std::size_t count)>;

// 32 random bytes in base64url: 43 characters. For verifiers and states.
std::string make_secret_text(const RandomBytes& random);

std::string challenge_of(std::string_view verifier);

}  // namespace balancer::controlplane
