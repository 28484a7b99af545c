// HTTP/1.1 message heads (RFC 9112): found in a buffer, checked against request smuggling, and taken apart without
// copying. Beast's parser does the grammar; what it would forgive is refused before it sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace balancer::wire {

struct HeaderField {
    std::string_view name;   // as received
    std::string_view value;  // without surrounding white space
};

using HeaderFields = std::vector<HeaderField>;

enum class Framing { kNone, kLength, kChunked, kUntilClose };

// Views point into the bytes that were parsed.
struct RequestHead {
    std::string_view method;
    std::string_view path;   // of the target, without the query
    std::string_view query;  // with its question mark, or empty
    HeaderFields fields;     // wire order
    Framing framing = Framing::kNone;
    std::uint64_t content_length = 0;
    bool http_1_0 = false;
    bool keep_alive = true;
    bool expect_continue = false;
};

struct ResponseHead {
    unsigned status = 0;
    HeaderFields fields;
    Framing framing = Framing::kUntilClose;
    std::uint64_t content_length = 0;
    bool keep_alive = true;
};

struct HeadScan {
    enum class State { kIncomplete, kComplete, kBad };
    State state = State::kIncomplete;
    std::size_t size = 0;           // of the head with its empty line, when complete
    std::size_t scanned = 0;        // where to go on with more bytes
    std::string_view problem = {};  // when bad
};

// Looks for the end of a head. `from` is the `scanned` of the last call on a shorter prefix of the same bytes. A
// NUL, a bare CR or LF, and a folded line make it bad at once.
HeadScan scan_head(std::string_view bytes, std::size_t from);

// `head` is exactly one head with its empty line. The error's text is fit to be shown to the client.
Result<RequestHead> parse_request_head(std::string_view head);

enum class ResponseTo { kHead, kOther };
Result<ResponseHead> parse_response_head(std::string_view head, ResponseTo request);

// ASCII case-insensitive comparison; `lower` is in lower case.
bool equals_lower(std::string_view text, std::string_view lower);

// The value of the first field of that name (in lower case).
std::optional<std::string_view> find_field(const HeaderFields& fields, std::string_view lower_name);

// Gives the first field of that name (in lower case) another value; adds it when there is none.
void set_field(HeaderFields& fields, std::string_view lower_name, std::string_view value);

// True when a comma-separated list holds the token (in lower case).
bool list_contains(std::string_view list, std::string_view lower_token);

// A 2xx answer whose body is server-sent events.
bool is_event_stream(const ResponseHead& head);

// Connection, keep-alive, te, trailer, transfer-encoding, upgrade, proxy-* (RFC 9110 section 7.6.1), and whatever the
// message's own Connection fields name.
bool is_hop_by_hop(std::string_view name, const HeaderFields& all);

}  // namespace balancer::wire
