// What an attempt's end means: for the client, for the next candidate, and for the provider's health. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "dataplane/upstream/response.hpp"
#include "dataplane/wire/error_body.hpp"
#include "dataplane/wire/http_head.hpp"
#include "model/failure.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

struct Verdict {
    FailureClass failure = FailureClass::kNone;  // kNone: a good answer
    bool counted = false;     // held against the provider's health
    bool try_next = false;    // another candidate may do better; else the answer is the client's
    unsigned http_status = 0;
    UnixMs retry_at = 0;      // told by the provider; 0: not told
    bool local_origin = false;  // no connection stood: it may as well be our way out
    std::string detail;       // redacted words, without the provider's credential
};

// A status of 400 or more, with as much of its body as was read. `told` is what that says, in Anthropic's statuses and types:
// what an error means is the same in both formats. `client_keys`: the caller's own, which a passthrough provider may repeat.
Verdict classify_status(
    const wire::ResponseHead& head,
    std::string_view body,
    const wire::LocalError& told,
    const Provider& provider,
    const Settings& settings,
    UnixMs now,
    std::span<const std::string_view> client_keys = {}
);

// An error object inside a 2xx answer, or the data of an error event; `told` as above.
Verdict classify_error_object(
    std::string_view json,
    const wire::LocalError& told,
    const Provider& provider,
    const Settings& settings,
    std::span<const std::string_view> client_keys = {}
);

// A 2xx body that is neither JSON nor an event stream: good, unless the operator's patterns say otherwise.
Verdict classify_plain_body(std::string_view body, const Settings& settings);

// A 3xx. Nobody follows it, neither we nor the client: what was asked holds a credential and a prompt, and was meant for this
// origin. `client_keys` as above.
Verdict classify_redirect(
    const wire::ResponseHead& head,
    const Provider& provider,
    const Settings& settings,
    std::span<const std::string_view> client_keys = {}
);

// Anything below HTTP: connect, TLS, timeout, cut, malformed.
Verdict classify_transport(FailureClass failure, std::string detail, const Settings& settings);

// When a 429 or 5xx says that it may be tried again: retry-after (seconds or date), retry-after-ms, or the reset of a
// rejected anthropic-ratelimit-unified window. Unix ms; 0: not told.
UnixMs retry_time(const wire::ResponseHead& head, UnixMs now);

}  // namespace balancer::dataplane
