// How far a converted stream has come, for the exchange that relays it.
#pragma once

#include <cstdint>

#include "dataplane/wire/convert/usage.hpp"
#include "dataplane/wire/error_body.hpp"

namespace balancer::wire::convert {

enum class StreamFault : std::uint8_t {
    kNone,
    kProviderError,  // the provider said so: an error event, or an error object in place of an
                     // event
    kMalformed,      // no event stream of its dialect
    kTooLarge,       // an event, or what has to be held back, over kEventBytesMax
    kCut,            // ended before its answer did
    kBadArguments,   // the arguments of a tool call, already passed on in part, are no JSON
};

struct StreamState {
    // Content has gone out: from here on a fault cannot be hidden by another candidate. Before it
    // nothing is written, not even on a fault.
    bool begun = false;
    // The last event of a whole answer has been written.
    bool finished = false;
    // Nothing more is written or read. When content has begun, an error has been written as the
    // last event.
    StreamFault fault = StreamFault::kNone;
    // What went wrong, in Anthropic's types: status, type and message are set. The message may be
    // the provider's, not redacted.
    LocalError error;
    // As far as the provider has told.
    Usage usage;
    bool has_usage = false;

    bool over() const { return finished || fault != StreamFault::kNone; }
};

}  // namespace balancer::wire::convert
