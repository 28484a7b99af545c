// The small real request of `balancerctl providers test`: what is sent, and what came back.
#pragma once

#include <string>

#include "balancer/v1/admin.pb.h"
#include "balancer/v1/config.pb.h"
#include "base/http_client.hpp"

namespace balancer::controlplane {

// Pure functions.

// A model that a route sends to this provider by its full name; empty: none does.
std::string model_for(const v1::ConfigSection& config, std::string_view provider);

// One token is asked for, with the provider's own credential, headers and certificates. Refused: a
// provider without a credential of its own, one behind a proxy.
Result<HttpRequest> make_test_request(
    const v1::Provider& provider,
    const v1::CredentialSection& credentials,
    const std::string& model,
    Milliseconds timeout
);

// What came back, for a person; the credential is in none of it, even when the provider repeats it.
v1::TestProviderResponse describe_test(
    const HttpRequest& request, const Result<HttpResponse>& answer, Milliseconds latency
);

}  // namespace balancer::controlplane
