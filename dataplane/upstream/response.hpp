// A provider's answer as it arrives: head, then body bytes freed of their transfer coding.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/upstream/answer_filter.hpp"
#include "dataplane/upstream/pool.hpp"
#include "dataplane/wire/chunked.hpp"
#include "dataplane/wire/http_head.hpp"
#include "model/failure.hpp"

namespace balancer::dataplane {

struct ReadStatus {
    enum class Kind { kData, kEnd, kFailed };
    Kind kind = Kind::kData;
    FailureClass failure = FailureClass::kNone;
    std::string detail;
};

// When reads must be done by.
struct ReadTimes {
    SteadyTime total = SweepEntry::kNever;  // the attempt's end
    Milliseconds first_byte{0};             // 0: no limit
    Milliseconds idle{0};
    SteadyTime content = SweepEntry::kNever;
};

// Owns the connection while the answer is read. Lives on one worker.
//
// body() holds what has been received and not been consumed. In front of it there is always room for a chunk's size line
// (wire::write_chunk_prefix), so that a relay can frame bytes where they lie.
class UpstreamResponse {
  public:
    // The most that body() may hold: an event larger than this is the provider's fault.
    static constexpr std::size_t kBodyHeldMax = 8U << 20;
    static constexpr std::size_t kHeadBytesMax = 64U << 10;

    UpstreamResponse(PooledConnection connection, BufferPool& buffers, ReadTimes times);

    // Before anything is read: body() is then what the filter makes of the body, if it has anything to do.
    void filter_through(std::unique_ptr<AnswerFilter> filter) { filter_ = std::move(filter); }
    bool filtered() const { return filter_ != nullptr; }

    // Not kNone: the error event that ends this stream is the filter's, not the provider's.
    FailureClass stream_fault() const { return filter_ ? filter_->stream_fault() : FailureClass::kNone; }

    // The request is out: from now on the head must come within times.first_byte.
    void await_head() { stream().set_deadline(deadline(times_.first_byte)); }

    // Reads the final head (1xx are passed over), within the deadline that is set. kData when there is one.
    boost::asio::awaitable<ReadStatus> read_head();

    // No read lasts longer than this.
    void end_by(SteadyTime until) { times_.total = std::min(times_.total, until); }

    // No read of the body lasts longer than this, until it is called again.
    void content_by(SteadyTime until) { times_.content = until; }

    // Waits for more of the body. kEnd once the body is complete and nothing has come with its end; what a filter makes
    // of the end is kData. Between two calls only the total time runs: a slow client is not the provider's fault.
    boost::asio::awaitable<ReadStatus> read_more();

    const wire::ResponseHead& head() const { return head_; }
    std::string_view body() const { return body_.view().substr(begin_); }
    char* body_data() { return body_.data() + begin_; }
    void consume(std::size_t bytes);

    bool complete() const { return complete_; }

    // False until the first byte of the answer.
    bool saw_bytes() const { return saw_bytes_; }

    UpstreamStream& stream() { return *connection_.stream; }

    // True when the connection can carry another request.
    bool reusable() const;

    // The request did not go out whole: the connection ends with this answer.
    void spoil() { spoiled_ = true; }
    PooledConnection take_connection() { return std::move(connection_); }

  private:
    SteadyTime deadline(Milliseconds limit) const;
    ReadStatus read_failure(const ErrorCode& error, std::string_view while_doing);
    ReadStatus absorb(std::size_t bytes);
    ReadStatus decode(std::size_t bytes);
    ReadStatus filter(std::size_t raw_begin);
    bool finish_filtered();
    void append_filtered();
    ReadStatus begin_body(std::string_view already_received);

    PooledConnection connection_;
    BufferPool& buffers_;
    ReadTimes times_;
    Buffer head_bytes_;
    wire::ResponseHead head_;
    std::unique_ptr<AnswerFilter> filter_;
    std::string filtered_;  // keeps its memory between two reads
    Buffer body_;
    std::size_t begin_ = wire::kChunkPrefixMax;
    wire::ChunkDecoder chunks_;
    std::uint64_t length_left_ = 0;
    bool complete_ = false;
    bool saw_bytes_ = false;
    std::optional<ReadStatus> first_failure_;  // of the bytes that came with the head
    bool clean_ = true;  // nothing is left on the connection
    bool spoiled_ = false;
};

}  // namespace balancer::dataplane
