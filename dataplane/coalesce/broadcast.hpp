// One answer for many readers: kept once, read by each at its own pace. Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/telemetry/metrics.hpp"
#include "dataplane/wire/error_body.hpp"
#include "dataplane/wire/http_head.hpp"

namespace balancer::dataplane {

// A piece of the answer's body, of whole events where it is a stream. Never changed, and so fit to be shared by threads.
using Chunk = std::shared_ptr<const std::string>;

// What stands in front of the body, as the maker's client gets it: the framing says whether the length is known. Never changed
// either.
class AnswerHead {
  public:
    AnswerHead(const wire::ResponseHead& head, std::string provider);
    AnswerHead(const AnswerHead&) = delete;
    AnswerHead& operator=(const AnswerHead&) = delete;

    const wire::ResponseHead& head() const { return head_; }
    const std::string& provider() const { return provider_; }

  private:
    std::vector<std::pair<std::string, std::string>> texts_;  // of the fields
    wire::ResponseHead head_;
    std::string provider_;
};

struct AnswerEnd {
    enum class Kind {
        kWhole,   // nothing is missing
        kFailed,  // `error` tells why; nothing comes behind the chunks that are there
        kGone,    // there was no such call: whoever waits for it starts afresh
    };
    Kind kind = Kind::kWhole;
    wire::LocalError error = {};
    Outcome outcome = Outcome::kOk;  // of the request that made the call
};

// One answer on one worker. Not thread-safe. Readers must not outlive it.
//
// From its first byte to kept_max it keeps everything, for those who join late. A longer answer is no longer joinable, and
// keeps what its slowest reader has not taken. A reader that is more than backlog_max behind is cut: what it has not taken
// is lost to it, and does not keep memory.
class Broadcast {
  public:
    struct Limits {
        std::size_t backlog_max = 64U << 20;
        std::size_t kept_max = 64U << 20;
    };

    enum class Take {
        kWait,     // nothing new; on_news will be called once
        kChunks,
        kEnd,      // everything taken, and the answer has ended
        kCut,
    };

    class Reader {
      public:
        // Begins at the first byte: `from` must be joinable. `on_news` must not destroy readers nor take.
        Reader(Broadcast& from, std::function<void()> on_news);
        ~Reader();
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;

        // Puts the next chunks into `out` (emptied first), at least one and then no more than `bytes_max` in all.
        Take take(std::vector<Chunk>& out, std::size_t bytes_max);

        // Null until the answer has begun.
        const std::shared_ptr<const AnswerHead>& head() const { return from_.head_; }

        // Null until it has ended.
        const AnswerEnd* end() const { return from_.end_.get(); }

        bool is_cut() const { return cut_; }

        // Bytes that are there and not taken.
        std::uint64_t behind() const { return cut_ ? 0 : from_.bytes_ - taken_; }

      private:
        friend class Broadcast;
        void tell();

        Broadcast& from_;
        std::function<void()> on_news_;
        std::size_t next_ = 0;     // the chunk that comes next, counted from the answer's first
        std::uint64_t taken_ = 0;  // bytes
        bool cut_ = false;
        bool waits_ = true;
    };

    explicit Broadcast(Limits limits) : limits_(limits) {}
    Broadcast() : Broadcast(Limits{}) {}
    ~Broadcast();
    Broadcast(const Broadcast&) = delete;
    Broadcast& operator=(const Broadcast&) = delete;

    void begin(std::shared_ptr<const AnswerHead> head);
    void append(Chunk chunk);  // after begin(); not empty
    void end(std::shared_ptr<const AnswerEnd> how);

    // Once it is not, it never is again; append() and seal() end it.
    bool joinable() const { return !sealed_ && first_ == 0 && bytes_kept_ <= limits_.kept_max; }

    // There is no room to keep it for those who come late.
    void seal();
    bool ended() const { return end_ != nullptr; }
    std::size_t readers() const { return readers_.size(); }

    std::uint64_t bytes() const { return bytes_; }            // so far, kept or not
    std::uint64_t bytes_kept() const { return bytes_kept_; }

    // Everything so far, for a broadcast of the same answer elsewhere; only while joinable.
    const std::shared_ptr<const AnswerHead>& head() const { return head_; }
    const std::deque<Chunk>& chunks() const { return chunks_; }
    const std::shared_ptr<const AnswerEnd>& how_it_ended() const { return end_; }

  private:
    void tell_all();
    void drop_taken();

    const Limits limits_;
    std::shared_ptr<const AnswerHead> head_;
    std::deque<Chunk> chunks_;
    std::size_t first_ = 0;  // what chunks_ begins with, counted from the answer's first
    std::uint64_t bytes_ = 0;
    std::uint64_t bytes_kept_ = 0;
    bool sealed_ = false;
    std::shared_ptr<const AnswerEnd> end_;
    std::vector<Reader*> readers_;
};

}  // namespace balancer::dataplane
