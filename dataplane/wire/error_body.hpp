// The errors that the balancer itself makes, in the shape of the client's API. What an upstream answers is never wrapped in these.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/wire/format.hpp"
#include "model/failure.hpp"

namespace balancer::wire {

// One attempt, as told to the client and in the access record.
struct AttemptNote {
    std::string provider;
    FailureClass failure = FailureClass::kNone;
    unsigned http_status = 0;
    std::string detail;  // redacted words
    UnixMs retry_at = 0;  // when the provider said to come back; 0: it did not
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

// What a client of `format` is told with it.
unsigned status_of(Format format, const LocalError& error);

// Anthropic: {"type":"error","error":{…},"request_id":…}. OpenAI: as append_openai_error().
std::string error_json(Format format, const LocalError& error, std::string_view request_id);

// `,"details":{…}` with the provider, the time to wait and the attempts, if there are any.
void append_error_details(std::string& out, const LocalError& error);

// The type of an error event that makes Claude Code send the whole streamed request again; any other makes it fall back
// to an unstreamed one.
inline constexpr std::string_view kSendAgain = "overloaded_error";

// An error of ours in a stream. Anthropic: `event: error`, with type and message. OpenAI: an event whose data is the error.
std::string error_event(Format format, const LocalError& error, std::string_view request_id);

// A provider's error object (JSON, on any number of lines) as one such event, word for word.
std::string error_event_of(Format format, std::string_view json);

// What keeps a silent stream alive. OpenAI's has no event for it; a comment disturbs none of its clients.
std::string_view ping_of(Format format);

}  // namespace balancer::wire
