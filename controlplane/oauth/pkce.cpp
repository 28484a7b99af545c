#include "controlplane/oauth/pkce.hpp"

#include "base/base64.hpp"
#include "base/file.hpp"

namespace balancer::controlplane {

std::string make_secret_text(const RandomBytes& random) {
    return to_base64url(random(32));
}

std::string challenge_of(std::string_view verifier) {
    return to_base64url(sha256(verifier));
}

}  // namespace balancer::controlplane
