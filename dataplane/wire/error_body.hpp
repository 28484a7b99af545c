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

// The type of an error event that makes Claude Code send the whole streamed request again; any other makes it fall back
// to an unstreamed one.
inline constexpr std::string_view kSendAgain = "overloaded_error";

// An error of ours as one `event: error`.
std::string error_event(
    std::string_view type, std::string_view message, std::string_view request_id
);

// A provider's error object (JSON, on any number of lines) as one `event: error`, word for word.
std::string error_event_of(std::string_view json);

inline constexpr std::string_view kPingEvent = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

}  // namespace balancer::wire
