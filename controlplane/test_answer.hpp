// The small real request of `balancerctl providers test` and `doctor`: what came back.
#pragma once

#include "balancer/v1/admin.pb.h"
#include "base/http_client.hpp"

namespace balancer::controlplane {

// For a person; the credential is in none of it, even when the provider repeats it. Good is what a data plane could use: a
// page with status 200 is not.
v1::TestProviderResponse describe_test(
    v1::ProviderProbe probe,
    const HttpRequest& request,
    const Result<HttpResponse>& answer,
    Milliseconds latency,
    UnixMs now
);

}  // namespace balancer::controlplane
