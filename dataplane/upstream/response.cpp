#include "dataplane/upstream/response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cstring>
#include <utility>

#include "base/net.hpp"

namespace balancer::dataplane {

using Kind = ReadStatus::Kind;
using wire::Framing;

namespace {

constexpr std::size_t kHeadRead = 4096;
constexpr std::size_t kBodyRead = 16384;
constexpr std::size_t kReadRoomMin = 2048;

ReadStatus failed(FailureClass failure, std::string detail) {
    return {Kind::kFailed, failure, std::move(detail)};
}

}  // namespace

UpstreamResponse::UpstreamResponse(PooledConnection connection, BufferPool& buffers, ReadTimes times)
    : connection_(std::move(connection)), buffers_(buffers), times_(times) {}

SteadyTime UpstreamResponse::deadline(Milliseconds limit) const {
    if (limit.count() <= 0) return times_.total;
    return std::min(times_.total, steady_now() + limit);
}

ReadStatus UpstreamResponse::read_failure(const ErrorCode& error, std::string_view while_doing) {
    if (stream().timed_out()) {
        return failed(FailureClass::kTimeout, fmt::format("timeout {}", while_doing));
    }
    FailureClass failure = FailureClass::kBrokenStream;
    if (!saw_bytes_) failure = FailureClass::kConnect;
    bool eof = error == net::error::eof || error == net::ssl::error::stream_truncated;
    return failed(
        failure,
        fmt::format("connection {} {}", eof ? "closed" : "lost (" + error.message() + ")", while_doing)
    );
}

net::awaitable<ReadStatus> UpstreamResponse::read_head() {
    head_bytes_ = buffers_.take(kHeadRead);
    std::size_t scanned = 0;
    for (;;) {
        wire::HeadScan scan = wire::scan_head(head_bytes_.view(), scanned);
        if (scan.state == wire::HeadScan::State::kBad) {
            co_return failed(FailureClass::kProtocol, "the answer is not HTTP: " + std::string(scan.problem));
        }
        if (scan.state == wire::HeadScan::State::kComplete) {
            std::string_view text = head_bytes_.view().substr(0, scan.size);
            Result<wire::ResponseHead> head =
                wire::parse_response_head(text, wire::ResponseTo::kOther);
            if (!head) {
                co_return failed(FailureClass::kProtocol, "the answer is not HTTP: " + head.error().text());
            }
            if (head->status >= 200) {
                head_ = *std::move(head);
                stream().set_deadline(times_.total);
                if (filter_ && !filter_->begin(head_)) filter_.reset();
                co_return begin_body(head_bytes_.view().substr(scan.size));
            }
            // An interim answer (100, 103): the final one follows.
            std::size_t rest = head_bytes_.size() - scan.size;
            std::memmove(head_bytes_.data(), head_bytes_.data() + scan.size, rest);
            head_bytes_.resize(rest);
            scanned = 0;
            continue;
        }
        scanned = scan.scanned;
        if (head_bytes_.size() >= kHeadBytesMax) {
            co_return failed(FailureClass::kProtocol, "the answer's head is larger than 64 KiB");
        }
        if (head_bytes_.room() == 0) head_bytes_.grow(head_bytes_.capacity() * 2);
        IoResult got = co_await stream().read_some(
            head_bytes_.data() + head_bytes_.size(), head_bytes_.room()
        );
        if (got.error) co_return read_failure(got.error, "before the answer's head");
        saw_bytes_ = true;
        head_bytes_.resize(head_bytes_.size() + got.bytes);
    }
}

// kData, whatever has come; a malformed beginning shows up as a failure of the first read_more().
ReadStatus UpstreamResponse::begin_body(std::string_view received) {
    length_left_ = head_.content_length;
    if (head_.framing == Framing::kNone) {
        // Nothing follows, but body() begins behind the room for a chunk's size here too.
        body_ = buffers_.take(begin_);
        body_.resize(begin_);
        complete_ = true;
        clean_ = received.empty();
        return ReadStatus{};
    }
    body_ = buffers_.take(std::max(kBodyRead, received.size() + wire::kChunkPrefixMax));
    body_.resize(begin_ + received.size());
    std::memcpy(body_.data() + begin_, received.data(), received.size());
    body_.resize(begin_);
    if (received.empty()) return ReadStatus{};
    ReadStatus status = absorb(received.size());
    if (status.kind == Kind::kFailed) first_failure_ = std::move(status);
    return ReadStatus{};
}

// `bytes` raw bytes lie behind the buffer's size; keeps those that belong to the body, or what the filter makes of them.
ReadStatus UpstreamResponse::absorb(std::size_t bytes) {
    std::size_t before = body_.size();
    ReadStatus status = decode(bytes);
    if (!filter_ || status.kind == Kind::kFailed) return status;
    return filter(before);
}

// Puts what the filter makes of the bytes from `raw_begin` on in their place.
ReadStatus UpstreamResponse::filter(std::size_t raw_begin) {
    filtered_.clear();
    AnswerFilter::Step step = filter_->feed(body_.view().substr(raw_begin), filtered_);
    if (complete_ && step.failure == FailureClass::kNone) step = filter_->end(filtered_);
    body_.resize(raw_begin);
    if (step.failure != FailureClass::kNone) {
        complete_ = false;
        return failed(step.failure, std::move(step.detail));
    }
    append_filtered();
    return {};
}

void UpstreamResponse::append_filtered() {
    if (body_.room() < filtered_.size()) body_.grow(body_.size() + filtered_.size());
    std::memcpy(body_.data() + body_.size(), filtered_.data(), filtered_.size());
    body_.resize(body_.size() + filtered_.size());
}

// Nothing more comes: true when the filter has all that it needs.
bool UpstreamResponse::finish_filtered() {
    filtered_.clear();
    if (!filter_ || !filter_->finish(filtered_)) return false;
    append_filtered();
    complete_ = true;
    clean_ = false;
    return true;
}

ReadStatus UpstreamResponse::decode(std::size_t bytes) {
    char* raw = body_.data() + body_.size();
    if (head_.framing == Framing::kChunked) {
        wire::ChunkDecoder::Step step = chunks_.decode(raw, bytes);
        body_.resize(body_.size() + step.body);
        if (step.state == wire::ChunkDecoder::State::kBad) {
            return failed(FailureClass::kProtocol, "malformed chunk in the answer");
        }
        if (step.state == wire::ChunkDecoder::State::kDone) {
            complete_ = true;
            clean_ = step.consumed == bytes;
        }
        return {};
    }
    if (head_.framing == Framing::kLength) {
        std::size_t mine = static_cast<std::size_t>(std::min<std::uint64_t>(length_left_, bytes));
        clean_ = mine == bytes;
        length_left_ -= mine;
        complete_ = length_left_ == 0;
        bytes = mine;
    }
    body_.resize(body_.size() + bytes);
    return {};
}

net::awaitable<ReadStatus> UpstreamResponse::read_more() {
    if (complete_) co_return ReadStatus{Kind::kEnd, FailureClass::kNone, {}};
    if (first_failure_) co_return *std::exchange(first_failure_, std::nullopt);
    if (body_.room() < kReadRoomMin) {
        std::size_t held = body_.size() - begin_;
        if (begin_ > wire::kChunkPrefixMax + kReadRoomMin) {
            std::memmove(body_.data() + wire::kChunkPrefixMax, body_.data() + begin_, held);
            begin_ = wire::kChunkPrefixMax;
            body_.resize(begin_ + held);
        } else if (held >= kBodyHeldMax) {
            co_return failed(FailureClass::kProtocol, "an event of the answer is larger than 8 MiB");
        } else {
            body_.grow(body_.capacity() * 2);
        }
    }
    stream().set_deadline(std::min(deadline(times_.idle), times_.content));
    IoResult got = co_await stream().read_some(body_.data() + body_.size(), body_.room());
    stream().set_deadline(times_.total);
    if (got.error) {
        if (head_.framing == Framing::kUntilClose && got.error == net::error::eof) {
            complete_ = true;
            if (filter_) co_return filter(body_.size());
            co_return ReadStatus{Kind::kEnd, FailureClass::kNone, {}};
        }
        if (finish_filtered()) co_return ReadStatus{};
        co_return read_failure(got.error, "before the answer's end");
    }
    co_return absorb(got.bytes);
}

void UpstreamResponse::consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == body_.size() && body_) {
        begin_ = wire::kChunkPrefixMax;
        body_.resize(begin_);
    }
}

bool UpstreamResponse::reusable() const {
    return complete_ && clean_ && !spoiled_ && head_.keep_alive && connection_.stream != nullptr &&
           !connection_.stream->aborted();
}

}  // namespace balancer::dataplane
