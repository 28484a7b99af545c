#include "controlplane/publish/subscription.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/publish/version_order.hpp"

namespace balancer::controlplane {
namespace {

// A data plane sends a heartbeat every 2 s, and one answer for each Update.
constexpr double kIdleTalkBurst = 50;
constexpr double kIdleTalkPerSecond = 5;

}  // namespace

Subscription::Subscription(std::shared_ptr<SyncStream> stream, std::string peer, SteadyTime now)
    : heard_at(now),
      next_ping(now),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      idle_talk_(kIdleTalkBurst, kIdleTalkPerSecond) {}

void Subscription::greet(const v1::Hello& hello, const v1::Version& head) {
    dp_id_ = hello.dp_id();
    instance_id_ = hello.instance_id();
    // Digests of another store are of no use: that data plane refuses the store before it looks at
    // sections.
    if (hello.applied().store_uuid() != head.store_uuid()) return;
    for (const auto& [kind, sha256] : hello.section_sha256()) {
        held_[static_cast<int>(kind)] = sha256;
    }
}

void Subscription::welcome(v1::Welcome welcome) {
    v1::SyncResponse message;
    *message.mutable_welcome() = std::move(welcome);
    stream_->send(std::move(message));
}

void Subscription::update(const HeadState& head, SteadyTime now) {
    if (outstanding_ || sent_seq_ == head.version.seq()) return;
    v1::SyncResponse message;
    v1::Update& update = *message.mutable_update();
    Outstanding sent{++last_nonce_, {}, false, now, head.version};
    update.set_nonce(sent.nonce);
    *update.mutable_version() = head.version;
    update.set_cause(head.cause);
    update.set_revision(head.revision);
    update.set_may_be_empty(head.may_be_empty);
    update.set_cp_time_ms(unix_now());
    for (const PublishedSection* section : head.sections()) {
        v1::Section& out = *update.add_sections();
        out.set_kind(section->kind);
        out.set_sha256(section->sha256);
        sent.sha256[section->kind] = section->sha256;
        auto held = held_.find(section->kind);
        if (held != held_.end() && held->second == section->sha256) {
            out.set_unchanged(true);
            sent.elided = true;
        } else {
            out.set_payload(section->payload);
        }
    }
    outstanding_ = std::move(sent);
    sent_seq_ = head.version.seq();
    stream_->send(std::move(message));
}

Subscription::Answer Subscription::acknowledge(const v1::Ack& ack) {
    if (!outstanding_ || outstanding_->nonce != ack.nonce()) return Answer::kIgnored;
    if (!equal(ack.applied(), outstanding_->version)) return Answer::kFalse;
    held_ = std::move(outstanding_->sha256);
    outstanding_.reset();
    return Answer::kTaken;
}

Subscription::Answer Subscription::refuse(const v1::Nack& nack) {
    if (!outstanding_ || outstanding_->nonce != nack.nonce()) return Answer::kIgnored;
    bool digest = nack.code() == v1::NACK_CODE_DIGEST;
    // Who holds the version has no reason to refuse it, but for another content of the same number.
    bool holds_it = equal(nack.still_applied(), outstanding_->version);
    if (holds_it && !digest && nack.code() != v1::NACK_CODE_STALE) return Answer::kFalse;
    if (digest && outstanding_->elided) {
        held_.clear();
        sent_seq_.reset();
    }
    outstanding_.reset();
    return Answer::kTaken;
}

bool Subscription::idle_talk(SteadyTime now) {
    return idle_talk_.take(now);
}

SteadyTime Subscription::deadline(Milliseconds ack_max, Milliseconds silence_max) const {
    SteadyTime at = heard_at + silence_max;
    if (greeted()) at = std::min(at, next_ping);
    if (outstanding_) at = std::min(at, outstanding_->sent_at + ack_max);
    return at;
}

void Subscription::ping(v1::Ping ping) {
    // A ping behind unread messages would only make the queue of a slow reader longer.
    if (stream_->busy()) return;
    v1::SyncResponse message;
    *message.mutable_ping() = std::move(ping);
    stream_->send(std::move(message));
}

void Subscription::look_up(v1::Lookup lookup) {
    v1::SyncResponse message;
    *message.mutable_lookup() = std::move(lookup);
    stream_->send(std::move(message));
}

void Subscription::drain(v1::Drain drain) {
    v1::SyncResponse message;
    *message.mutable_drain() = std::move(drain);
    stream_->send(std::move(message));
}

void Subscription::goaway(v1::Goaway::Reason reason, Milliseconds retry_after, std::string detail) {
    v1::SyncResponse message;
    v1::Goaway& goaway = *message.mutable_goaway();
    goaway.set_reason(reason);
    goaway.set_retry_after_ms(static_cast<std::uint32_t>(retry_after.count()));
    goaway.set_detail(std::move(detail));
    stream_->send(std::move(message));
    stream_->finish();
}

std::optional<SteadyTime> Subscription::sent_at() const {
    if (!outstanding_) return std::nullopt;
    return outstanding_->sent_at;
}

}  // namespace balancer::controlplane
