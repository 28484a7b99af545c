// The requests that a fake provider has seen, for tests to wait for and read.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/support/recorded_request.hpp"

namespace balancer::tests {

// Thread-safe. Keeps the first `kept_max` requests and counts the rest.
class RequestLog {
  public:
    // `on_finished`, when there is one, gets every request at the end of its reply.
    using OnFinished = std::function<void(const RecordedRequest&)>;
    RequestLog(std::size_t kept_max, OnFinished on_finished)
        : kept_max_(kept_max), on_finished_(std::move(on_finished)) {}

    // Gives the request its number, which it returns.
    std::uint64_t add(RecordedRequest request);
    void finish(RecordedRequest& request, Playback playback);
    std::uint64_t add_connection();

    std::vector<RecordedRequest> requests() const;
    std::size_t request_count() const;
    std::size_t connection_count() const;

    // False when `timeout` passes first.
    bool wait_for_requests(std::size_t count, std::chrono::milliseconds timeout) const;
    bool wait_for_abandoned(std::size_t count, std::chrono::milliseconds timeout) const;
    bool wait_for_played(std::size_t count, std::chrono::milliseconds timeout) const;

    // Forgets the requests; numbers go on.
    void clear();

  private:
    bool wait(std::chrono::milliseconds timeout, const std::function<bool()>& done) const;

    const std::size_t kept_max_;
    const OnFinished on_finished_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::vector<RecordedRequest> requests_;
    std::uint64_t numbers_ = 0;
    std::size_t counted_ = 0;
    std::size_t connections_ = 0;
    std::size_t abandoned_ = 0;
    std::size_t played_ = 0;
};

}  // namespace balancer::tests
