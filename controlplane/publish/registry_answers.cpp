// What a data plane answers to an Update.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controlplane/publish/registry.hpp"

namespace balancer::controlplane {
namespace {

std::string words_of(const v1::Nack& nack) {
    std::string words = v1::NackCode_Name(nack.code());
    for (const v1::ResourceError& error : nack.errors()) {
        std::string place = error.resource();
        if (!error.field_path().empty()) place += "." + error.field_path();
        words += fmt::format(": {}: {}", place, error.message());
    }
    return words;
}

}  // namespace

void Publisher::Registry::answered(
    Id id, Subscription& subscription, const v1::SyncRequest& request
) {
    Subscription::Answer worth = request.has_ack() ? subscription.acknowledge(request.ack())
                                                   : subscription.refuse(request.nack());
    switch (worth) {
        case Subscription::Answer::kTaken:
            if (subscription.superseded) return send_head(subscription);
            if (request.has_ack()) return acknowledged(subscription, request.ack());
            return refused_update(subscription, request.nack());
        case Subscription::Answer::kFalse:
            // Of a defective build, or of somebody who means harm: nothing it says is of use.
            return end(
                id,
                v1::Goaway::UNKNOWN,
                Milliseconds(5'000),
                "its answer names a version that it was not sent, or contradicts itself"
            );
        case Subscription::Answer::kIgnored:
            if (subscription.idle_talk(steady_now())) return;
            return end(
                id, v1::Goaway::OVERLOADED, Milliseconds(5'000), "it answers what nobody asked"
            );
    }
}

void Publisher::Registry::acknowledged(Subscription& subscription, const v1::Ack& ack) {
    Roster::Row& row = *roster_.find(subscription.dp_id());
    *row.view.mutable_applied() = ack.applied();
    roster_.acknowledged(row, ack.applied(), head_.version);
    row.view.set_applied_source(v1::Hello::MEMORY);
    row.view.set_acknowledged_at_ms(unix_now());
    row.view.set_apply_us(ack.apply_us());
    note_quarantine(row, ack);
    log_.emit(
        LogLevel::kDebug,
        LogEvent::kUpdateAcknowledged,
        fmt::format(
            "data plane {} applied ({}, {})",
            subscription.dp_id(),
            ack.applied().epoch(),
            ack.applied().seq()
        ),
        {{"dp_id", subscription.dp_id()}, {"apply_us", ack.apply_us()}}
    );
    send_head(subscription);
}

void Publisher::Registry::refused_update(Subscription& subscription, const v1::Nack& nack) {
    Roster::Row& row = *roster_.find(subscription.dp_id());
    std::string words = words_of(nack);
    ++tally_.updates_refused;
    complain(
        row,
        LogLevel::kError,
        LogEvent::kUpdateRefused,
        fmt::format(
            "data plane {} refuses version ({}, {}) and stays on ({}, {}): {}",
            subscription.dp_id(),
            nack.rejected().epoch(),
            nack.rejected().seq(),
            nack.still_applied().epoch(),
            nack.still_applied().seq(),
            words
        )
    );
    *row.view.mutable_applied() = nack.still_applied();
    *row.view.mutable_last_nack_version() = nack.rejected();
    row.view.set_last_nack(std::move(words));
    row.view.set_last_nack_at_ms(unix_now());
    send_head(subscription);
}

void Publisher::Registry::note_quarantine(Roster::Row& row, const v1::Ack& ack) {
    bool same = std::equal(
        row.view.quarantined().begin(),
        row.view.quarantined().end(),
        ack.quarantined().begin(),
        ack.quarantined().end(),
        [](const v1::ResourceError& a, const v1::ResourceError& b) {
            return a.resource() == b.resource() && a.message() == b.message();
        }
    );
    *row.view.mutable_quarantined() = ack.quarantined();
    if (same) return;
    for (const v1::ResourceError& error : ack.quarantined()) {
        complain(
            row,
            LogLevel::kWarning,
            LogEvent::kProviderQuarantined,
            fmt::format(
                "data plane {} leaves out {}: {}: {}",
                row.view.dp_id(),
                error.resource(),
                error.field_path(),
                error.message()
            )
        );
    }
}

}  // namespace balancer::controlplane
