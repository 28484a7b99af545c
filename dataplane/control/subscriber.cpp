#include "dataplane/control/subscriber.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "balancer/v1/data_plane.grpc.pb.h"
#include "dataplane/control/channel.hpp"
#include "model/protocol.hpp"

namespace balancer::dataplane {
namespace {

// A wait that a Goaway asks for is believed up to this.
constexpr Milliseconds kRetryAfterMax{60'000};

std::string describe(const grpc::Status& status) {
    if (status.ok()) return "it ended the stream";
    if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
        return fmt::format("it refuses this data plane: {}", status.error_message());
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) return "it cannot be reached";
    return fmt::format(
        "status {}: {}", static_cast<int>(status.error_code()), status.error_message()
    );
}

}  // namespace

Subscriber::Subscriber(
    std::shared_ptr<boost::asio::io_context> loop,
    std::vector<std::string> addresses,
    Identity identity,
    Hooks hooks,
    Applier& applier,
    StatusBoard& board,
    Log& log,
    SubscriberTimes times
)
    : loop_(std::move(loop)),
      addresses_(std::move(addresses)),
      identity_(std::move(identity)),
      hooks_(std::move(hooks)),
      applier_(applier),
      board_(board),
      log_(log),
      times_(times),
      backoff_(std::random_device{}()),
      tick_timer_(*loop_),
      retry_timer_(*loop_) {}

void Subscriber::start() {
    if (addresses_.empty()) {
        log_loss("no address of one is configured");
        hooks_.on_unreachable();
        return;
    }
    connect();
}

void Subscriber::stop() {
    stopped_ = true;
    if (stream_) stream_->close();
    stream_.reset();
    channel_.reset();
    tick_timer_.cancel();
    retry_timer_.cancel();
}

void Subscriber::tell_state() {
    if (welcomed_) return send_heartbeat();
    // While it drained it was let alone.
    if (!stream_ && !addresses_.empty() && !hooks_.draining()) connect();
}

void Subscriber::connect() {
    retry_timer_.cancel();
    address_ = addresses_[next_address_++ % addresses_.size()];
    channel_ = make_channel(address_);
    stream_ = std::make_shared<Stream>(loop_);
    welcomed_ = false;
    leaving_.clear();
    behind_since_.reset();
    opened_at_ = heard_at_ = steady_now();
    set_token(stream_->context(), identity_.token);
    auto stub = v1::DataPlane::NewStub(channel_);
    stub->async()->Sync(&stream_->context(), stream_.get());
    Stream::Handlers handlers;
    handlers.on_message = [this](const v1::SyncResponse& response) { received(response); };
    handlers.on_done = [this](const grpc::Status& status) {
        give_up(leaving_.empty() ? describe(status) : leaving_);
    };
    stream_->start(std::move(handlers));
    say_hello();
    tick();
}

void Subscriber::say_hello() {
    v1::SyncRequest message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_dp_id(identity_.dp_id);
    hello.set_instance_id(identity_.instance_id);
    hello.set_build(BALANCER_VERSION);
    hello.set_protocol_major(kProtocolMajor);
    hello.set_protocol_minor(kProtocolMinor);
    applier_.announce(hello);
    stream_->send(std::move(message));
}

void Subscriber::received(const v1::SyncResponse& response) {
    if (!leaving_.empty()) return;
    heard_at_ = steady_now();
    board_.change([](ControlStatus& status) { status.last_heard = unix_now(); });
    switch (response.msg_case()) {
        case v1::SyncResponse::kWelcome:
            return welcomed(response.welcome());
        case v1::SyncResponse::kUpdate:
            return apply(response.update());
        case v1::SyncResponse::kPing:
            return pinged(response.ping());
        case v1::SyncResponse::kGoaway:
            return told_to_go(response.goaway());
        case v1::SyncResponse::kLookup:
            return asked(response.lookup());
        case v1::SyncResponse::kDrain:
            return hooks_.on_drain(response.drain());
        default:
            return;  // of a newer minor: not for us
    }
}

void Subscriber::welcomed(const v1::Welcome& welcome) {
    if (std::exchange(welcomed_, true)) return;
    backoff_.reset();
    loss_logged_.clear();
    bool again = std::exchange(ever_welcomed_, true);
    board_.change([&](ControlStatus& status) {
        status.connected = true;
        if (again) ++status.reconnects;
    });
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kControlPlaneConnected,
        fmt::format("connected to the control plane {} at {}", welcome.cp_id(), address_),
        {{"address", address_}, {"epoch", welcome.epoch()}}
    );
    hooks_.on_connected(channel_, welcome);
    send_heartbeat();
}

void Subscriber::apply(const v1::Update& update) {
    SteadyTime started = steady_now();
    Applied applied = applier_.apply(update);
    if (!applied.drop_stream) {
        Order order(update.version().epoch(), update.version().seq());
        answered_ = std::max(answered_, order);
    }
    head_ = std::max(head_, answered_);
    note_head();
    board_.change([&](ControlStatus& status) {
        const v1::Version& version = applier_.version();
        status.applied = SnapshotVersion{version.store_uuid(), version.epoch(), version.seq()};
        status.head_seq = head_.second;
        if (applied.accepted) {
            ++status.updates_applied;
            status.applied_at = unix_now();
            status.source = SnapshotSource::kMemory;
        } else {
            ++status.updates_refused;
        }
    });
    hooks_.on_applied(applied);
    if (applied.accepted) {
        auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady_now() - started);
        applied.answer.mutable_ack()->set_apply_us(static_cast<std::uint32_t>(took.count()));
    }
    stream_->send(std::move(applied.answer));
    // The first configuration makes it ready, which is news.
    if (hooks_.ready() != told_ready_) send_heartbeat();
    if (!applied.drop_stream) return;
    // Half-closed rather than cancelled: a cancelled call may lose the answer that was just sent.
    backoff_.slow_down();
    leaving_ = applied.refusal;
    stream_->finish_writes();
}

void Subscriber::pinged(const v1::Ping& ping) {
    const v1::Version& held = applier_.version();
    if (held.seq() != 0 && ping.head().store_uuid() != held.store_uuid()) return;
    hooks_.on_ping(ping);
    head_ = Order(ping.head().epoch(), ping.head().seq());
    board_.change([&](ControlStatus& status) { status.head_seq = head_.second; });
    note_head();
}

// A control plane asks on behalf of a person; one that does not read the answers gets no more of them. A heartbeat of this
// moment is not yet a sign of that.
void Subscriber::asked(const v1::Lookup& lookup) {
    constexpr std::size_t kUnreadMax = 64;
    if (!welcomed_ || stream_->unsent() >= kUnreadMax) return;
    hooks_.look_up(lookup, [this, weak = std::weak_ptr(stream_)](v1::LookupAnswer answer) {
        std::shared_ptr<Stream> stream = weak.lock();
        if (stopped_ || !stream || stream != stream_ || !leaving_.empty()) return;
        v1::SyncRequest message;
        *message.mutable_lookup_answer() = std::move(answer);
        stream->send(std::move(message));
    });
}

void Subscriber::told_to_go(const v1::Goaway& goaway) {
    bool pointless = goaway.reason() == v1::Goaway::INCOMPATIBLE ||
                     goaway.reason() == v1::Goaway::REPLACED ||
                     goaway.reason() == v1::Goaway::UNAUTHORIZED;
    if (pointless) backoff_.slow_down();
    give_up(
        fmt::format("{}: {}", v1::Goaway::Reason_Name(goaway.reason()), goaway.detail()),
        std::min(Milliseconds(goaway.retry_after_ms()), kRetryAfterMax)
    );
}

void Subscriber::note_head() {
    if (head_ <= answered_) {
        behind_since_.reset();
    } else if (!behind_since_) {
        behind_since_ = steady_now();
    }
}

void Subscriber::tick() {
    tick_timer_.expires_after(times_.heartbeat);
    tick_timer_.async_wait([this](const ErrorCode& ec) {
        if (ec || stopped_ || !stream_) return;
        if (std::optional<std::string> why = complaint(steady_now())) {
            give_up(*why);
            return;
        }
        if (welcomed_ && stream_->unsent() == 0) send_heartbeat();
        tick();
    });
}

void Subscriber::send_heartbeat() {
    v1::SyncRequest message;
    v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
    *heartbeat.mutable_applied() = applier_.version();
    heartbeat.set_in_flight(hooks_.in_flight());
    if (hooks_.in_flight_at) {
        for (const auto& [provider, count] : hooks_.in_flight_at()) {
            (*heartbeat.mutable_in_flight_at())[provider] = count;
        }
    }
    told_ready_ = hooks_.ready();
    heartbeat.set_ready(told_ready_);
    heartbeat.set_draining(hooks_.draining());
    heartbeat.set_last_seen_head_seq(head_.second);
    stream_->send(std::move(message));
}

std::optional<std::string> Subscriber::complaint(SteadyTime now) const {
    if (!leaving_.empty()) return leaving_;
    if (!welcomed_ && now - opened_at_ >= times_.connect_max) {
        return fmt::format("no answer within {} ms", times_.connect_max.count());
    }
    if (now - heard_at_ >= times_.silence_max) {
        return fmt::format("nothing heard for {} ms", times_.silence_max.count());
    }
    if (behind_since_ && now - *behind_since_ >= times_.behind_max) {
        return fmt::format(
            "it tells of version ({}, {}) but does not send it", head_.first, head_.second
        );
    }
    return std::nullopt;
}

// By value: `why` may be a member that this clears.
void Subscriber::give_up(std::string why, Milliseconds not_before) {
    if (stopped_) return;
    if (stream_) stream_->close();
    stream_.reset();
    channel_.reset();
    tick_timer_.cancel();
    board_.change([](ControlStatus& status) { status.connected = false; });
    log_loss(why);
    if (std::exchange(welcomed_, false)) hooks_.on_lost();
    if (!ever_welcomed_ && ++failures_ == addresses_.size()) hooks_.on_unreachable();
    // Another process may have our name by now: to come back would take its place.
    if (hooks_.draining()) return;
    retry_timer_.expires_after(not_before + backoff_.next());
    retry_timer_.async_wait([this](const ErrorCode& ec) {
        if (!ec && !stopped_ && !hooks_.draining()) connect();
    });
}

// One line per reason: a control plane that is away for an hour is one event, not a thousand.
void Subscriber::log_loss(const std::string& why) {
    if (loss_logged_ == why) return;
    loss_logged_ = why;
    log_.emit(
        LogLevel::kWarning,
        LogEvent::kControlPlaneLost,
        fmt::format(
            "no control plane{}: {}; {}",
            address_.empty() ? std::string() : " at " + address_,
            why,
            applier_.version().seq() != 0 ? "serving on with what it sent last"
                                          : "there is nothing to serve yet"
        ),
        {{"address", address_}}
    );
}

}  // namespace balancer::dataplane
