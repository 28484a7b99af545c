// The small real request of `balancerctl providers test` and `doctor`: what is sent.
#pragma once

#include <string>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/config.pb.h"
#include "base/http_client.hpp"

namespace balancer::controlplane {

// Pure functions.

// A model that a route sends to this provider by its full name; empty: none does.
std::string model_for(const v1::ConfigSection& config, std::string_view provider);

// With the provider's own credential, headers, proxy and certificates. Refused: a provider without a credential of its own.
Result<HttpRequest> make_test_request(
    const v1::Provider& provider,
    const v1::CredentialSection& credentials,
    const std::string& model,
    v1::ProviderProbe probe,
    Milliseconds timeout
);

}  // namespace balancer::controlplane
