#include "tests/support/request_log.hpp"

namespace balancer::tests {

std::uint64_t RequestLog::add(RecordedRequest request) {
    std::lock_guard lock(mutex_);
    request.number = ++numbers_;
    ++counted_;
    if (requests_.size() < kept_max_) requests_.push_back(std::move(request));
    changed_.notify_all();
    return numbers_;
}

void RequestLog::finish(RecordedRequest& request, Playback playback) {
    request.playback = playback;
    if (on_finished_) on_finished_(request);
    std::lock_guard lock(mutex_);
    for (RecordedRequest& kept : requests_) {
        if (kept.number == request.number) kept.playback = playback;
    }
    if (playback == Playback::kAbandoned) ++abandoned_;
    if (playback == Playback::kPlayed) ++played_;
    changed_.notify_all();
}

std::uint64_t RequestLog::add_connection() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
    return ++connections_;
}

std::vector<RecordedRequest> RequestLog::requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
}

std::size_t RequestLog::request_count() const {
    std::lock_guard lock(mutex_);
    return counted_;
}

std::size_t RequestLog::connection_count() const {
    std::lock_guard lock(mutex_);
    return connections_;
}

bool RequestLog::wait_for_requests(std::size_t count, std::chrono::milliseconds timeout) const {
    return wait(timeout, [&] { return counted_ >= count; });
}

bool RequestLog::wait_for_abandoned(std::size_t count, std::chrono::milliseconds timeout) const {
    return wait(timeout, [&] { return abandoned_ >= count; });
}

bool RequestLog::wait_for_played(std::size_t count, std::chrono::milliseconds timeout) const {
    return wait(timeout, [&] { return played_ >= count; });
}

void RequestLog::clear() {
    std::lock_guard lock(mutex_);
    requests_.clear();
    counted_ = abandoned_ = played_ = 0;
}

bool RequestLog::wait(std::chrono::milliseconds timeout, const std::function<bool()>& done) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, done);
}

}  // namespace balancer::tests
