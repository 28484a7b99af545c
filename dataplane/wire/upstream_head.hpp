// The request head that goes to a provider: the client's own, as open as the API's gateway contract asks, less what
// belongs to the client's connection or is a credential, plus the provider's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/wire/http_head.hpp"
#include "model/snapshot.hpp"

namespace balancer::wire {

struct UpstreamRequest {
    const RequestHead& client;
    const Provider& provider;
    std::uint64_t content_length;
    // Values of credential fields that are keys of the balancer itself: no provider sees them.
    std::span<const std::string_view> balancer_keys;
    bool stream = false;  // what is asked for
};

// Appends the head with its empty line to `out`. To a provider of type anthropic the path is the client's under the provider's
// base path. To one of type openai it is /chat/completions there, and of the client's headers none goes along: they are of
// another API. Its credential does, as a bearer, when the provider is a passthrough.
void append_upstream_head(std::string& out, const UpstreamRequest& request);

// The value of an authorization field without its `Bearer `; the value itself when there is no such scheme.
std::string_view bearer_value(std::string_view authorization);

}  // namespace balancer::wire
