// A blocking, byte-exact HTTP/1.1 client for tests: sends what it is given and says exactly what
// came back and how it ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "tests/support/http_text.hpp"

namespace balancer::tests {

// How the bytes of a response stopped.
enum class BodyEnd {
    kComplete,   // as its framing says
    kCut,        // FIN before that
    kReset,      // RST before that
    kTimeout,    // silence
    kMalformed,  // a chunk size that is none
};

struct SseEvent {
    std::string name;  // of the `event:` line
    std::string data;
    std::chrono::milliseconds at{0};  // since the request was sent
};

struct RawResponse {
    unsigned status = 0;
    std::string start_line;
    HeaderLines headers;
    std::string body;  // without chunk framing
    BodyEnd end = BodyEnd::kComplete;

    std::string header(std::string_view name) const { return header_or_empty(headers, name); }
};

// One connection. Not thread-safe. Every wait is bounded by a timeout that starts when the call
// does.
class RawClient {
  public:
    using Timeout = std::chrono::milliseconds;
    static constexpr Timeout kPatience{10'000};

    // To 127.0.0.1.
    static Result<RawClient> connect(std::uint16_t port, Timeout timeout = kPatience);

    RawClient(RawClient&& other) noexcept;
    RawClient& operator=(RawClient&& other) noexcept;
    ~RawClient();

    // The time of events counts from the last send.
    Result<void> send(std::string_view bytes, Timeout timeout = kPatience);

    // A head with status and headers; interim (1xx) ones are returned like others. Nothing is read
    // of the body.
    Result<RawResponse> read_head(Timeout timeout = kPatience);

    // The rest of the body that `response` (of read_head) announces.
    void read_body(RawResponse& response, Timeout timeout = kPatience);

    // The next event of the body, nothing at its end (see response.end).
    Result<SseEvent> read_event(RawResponse& response, Timeout timeout = kPatience);

    // All of a response, interim heads skipped.
    Result<RawResponse> read_response(Timeout timeout = kPatience);

    // send and read_response.
    Result<RawResponse> exchange(std::string_view request, Timeout timeout = kPatience);

    // Whether the peer closes or resets within `timeout`; bytes that come before are kept.
    bool wait_for_close(Timeout timeout = kPatience);

    // One byte of whatever comes; nothing at the connection's end or after `timeout`.
    std::optional<char> read_byte(Timeout timeout = kPatience);

    // Bytes received and not taken yet.
    const std::string& unread() const { return inbound_; }

    // The next response answers a HEAD request: no body whatever its headers say.
    void expect_no_body() { head_request_ = true; }

    void finish_sending();  // FIN, reading goes on
    void close();
    void abort();  // RST

  private:
    using Clock = std::chrono::steady_clock;
    enum class Input { kBytes, kEnd, kReset, kTimeout };

    explicit RawClient(int socket) : socket_(socket) {}
    Input read_more(Clock::time_point deadline);
    // Takes in what has come of the body; false at its end, which is then in `response.end`.
    bool advance_body(RawResponse& response, Clock::time_point deadline);

    int socket_ = -1;
    std::string inbound_;
    bool head_request_ = false;
    bool body_open_ = false;
    BodyDecoder decoder_ = BodyDecoder::none();
    std::string event_text_;
    std::size_t body_seen_ = 0;
    Clock::time_point sent_at_ = Clock::now();
};

// The events in a whole body.
std::vector<SseEvent> split_events(std::string_view body);

}  // namespace balancer::tests
