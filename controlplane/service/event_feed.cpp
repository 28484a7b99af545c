#include "controlplane/service/event_feed.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <utility>

namespace balancer::controlplane {

EventFeed::EventFeed(
    boost::asio::io_context& loop,
    grpc::CallbackServerContext* context,
    std::shared_ptr<EventRing> ring,
    const v1::WatchEventsRequest& request
)
    : loop_(loop),
      context_(context),
      ring_(std::move(ring)),
      since_(request.since()),
      follow_(request.follow()),
      types_(request.types().begin(), request.types().end()) {}

void EventFeed::pump() {
    if (writing_ || (!begun_ && !begin())) return;
    std::optional<v1::WatchEventsResponse> next = ring_->next(place_, types_);
    if (!next) {
        if (!follow_) finish_now(grpc::Status::OK);
        return;
    }
    message_ = *std::move(next);
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::kOpen) return;
    writing_ = true;
    StartWrite(&message_);
}

// False: the request is refused.
bool EventFeed::begin() {
    begun_ = true;
    auto refuse = [&](const std::string& why) {
        finish_now({grpc::StatusCode::INVALID_ARGUMENT, why});
        return false;
    };
    for (const std::string& type : types_) {
        if (!event_named(type)) {
            return refuse(fmt::format(
                "there is no event '{}'; docs/operations.md lists them (provider_state_changed, "
                "data_plane_connected, config_reloaded, admin_call, …)",
                type.substr(0, 64)
            ));
        }
    }
    Result<EventRing::Place> place = ring_->place(since_);
    if (!place) return refuse(place.error().text());
    place_ = *std::move(place);
    return true;
}

void EventFeed::finish(const grpc::Status& status) {
    if (!writing_) return finish_now(status);
    // Its reader does not take what was sent; what would come after it would not arrive either.
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::kDone) context_->TryCancel();
}

void EventFeed::OnWriteDone(bool ok) {
    boost::asio::post(loop_, [self = shared_from_this(), ok] {
        self->writing_ = false;
        if (ok) {
            self->pump();
        } else {
            self->finish_now(grpc::Status::CANCELLED);
        }
    });
}

void EventFeed::OnDone() {
    std::shared_ptr<EventFeed> self;
    {
        std::lock_guard lock(mutex_);
        phase_ = Phase::kDone;
        self = std::move(self_);
    }
    // The last reference may be this one: it goes on the loop, after everything that was posted.
    boost::asio::post(loop_, [self = std::move(self)] {});
}

void EventFeed::finish_now(const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::kOpen) return;
    phase_ = Phase::kFinished;
    Finish(status);
}

}  // namespace balancer::controlplane
