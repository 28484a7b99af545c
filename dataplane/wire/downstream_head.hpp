// The response head that goes to the client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/wire/error_body.hpp"
#include "dataplane/wire/http_head.hpp"

namespace balancer::wire {

// What the balancer adds to every answer.
struct OwnHeaders {
    std::string_view request_id;  // x-balancer-request-id
    std::string_view provider;    // x-provider-used; empty: none answered
    bool close = false;           // the connection ends with this answer
    std::string_view coalesced = {};  // x-balancer-coalesced: the request from whose upstream call this is; empty: its own
};

// How the body's end is told to the client; kNone: there can be no body (204, 304).
struct BodyFraming {
    Framing framing = Framing::kLength;
    std::uint64_t content_length = 0;
};

// The upstream's status and headers, less hop-by-hop ones and framing, plus our own.
void append_relayed_head(
    std::string& out, const ResponseHead& upstream, const BodyFraming& body, const OwnHeaders& own
);

// The head of an answer of our own.
void append_local_head(
    std::string& out,
    unsigned status,
    std::string_view content_type,
    const BodyFraming& body,
    const OwnHeaders& own
);

// A whole answer of our own, head and body, with retry-after and x-should-retry as the error asks.
// `head_only` leaves the body out (HEAD).
std::string error_reply(Format format, const LocalError& error, const OwnHeaders& own, bool head_only);

}  // namespace balancer::wire
