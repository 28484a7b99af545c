// The errors that the balancer itself makes, in the API's shape. What an upstream answers is never wrapped in these.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/failure.hpp"

namespace balancer::wire {

// One attempt, as told to the client and in the access record.
struct AttemptNote {
    std::string provider;
    FailureClass failure = FailureClass::kNone;
    unsigned http_status = 0;
    std::string detail;  // redacted words
};

// Claude Code gives up at once on a retry-after above 60 s.
inline constexpr int kRetryAfterMaxSeconds = 59;

struct LocalError {
    unsigned status = 500;
    std::string type;      // error.type: "provider_error", "invalid_request_error", …
    std::string code;      // error.code: "PROVIDER_UNAVAILABLE", …; may be empty
    std::string message;   // one sentence: what, where, how to mend
    std::string provider;  // may be empty
    std::optional<long> retry_after_seconds;  // the true time; the header is capped
    bool retry = true;                        // false: x-should-retry: false
    std::vector<AttemptNote> attempts;
};

// {"type":"error","error":{…},"request_id":…}
std::string error_json(const LocalError& error, std::string_view request_id);

// The same as one `event: error`. Its type is `overloaded_error`, which makes Claude Code send the whole
// streamed request again; any other type makes it fall back to an unstreamed one.
std::string error_event(std::string_view message, std::string_view request_id);

inline constexpr std::string_view kPingEvent = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

}  // namespace balancer::wire
