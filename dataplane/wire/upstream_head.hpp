// The request head that goes to a provider: the client's own, as open as the API's gateway contract asks, less what
// belongs to the client's connection or is a credential, plus the provider's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "dataplane/wire/format.hpp"
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
    Format format = Format::kAnthropic;  // the client's
};

// Appends the head with its empty line to `out`. The path is that of the API under the provider's base path: the client's own
// to a provider of type anthropic, /chat/completions to one of type openai (its base path has the version). To a provider of
// the other format none of the client's headers goes along, since they are of another API. Its credential does, in the form of
// the provider's API, when the provider is a passthrough.
void append_upstream_head(std::string& out, const UpstreamRequest& request);

// The same for GET of the provider's list of models. A passthrough provider gets the client's own fields: its
// `credentials` and, where it speaks Messages, its `api_fields` (anthropic-version, anthropic-beta).
void append_models_head(
    std::string& out,
    const Provider& provider,
    std::span<const std::pair<std::string, std::string>> credentials,
    std::span<const std::pair<std::string, std::string>> api_fields
);

// The value of an authorization field without its `Bearer `; the value itself when there is no such scheme.
std::string_view bearer_value(std::string_view authorization);

}  // namespace balancer::wire
