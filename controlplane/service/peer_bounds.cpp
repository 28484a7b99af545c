#include "controlplane/service/peer_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "base/clock_watch.hpp"
#include "base/utf8.hpp"
#include "model/failure.hpp"
#include "model/protocol.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::size_t kNameMax = kNameBytesMax;
constexpr std::size_t kWordsMax = 1'024;
constexpr int kErrorsMax = 50;       // of one answer
constexpr int kRecordsMax = 500;      // of one look-up
constexpr int kWholeRecordsMax = 8;   // those behind them are a list's, and tell less
constexpr int kSignalsMax = 200;      // of one report, as the protocol says
constexpr int kProvidersMax = 1'024;  // as many as a data plane has slots for
constexpr std::size_t kDigestBytes = 32;
// Nobody counts this far, and the sum over ten thousand processes still fits.
constexpr std::uint64_t kCountMax = std::uint64_t{1} << 48;

template <class List>
void cut_list(List& list, int count_max) {
    if (list.size() > count_max) list.DeleteSubrange(count_max, list.size() - count_max);
}

void bound(v1::Version& version) {
    cut_utf8(*version.mutable_store_uuid(), kNameMax);
}

void bound(google::protobuf::RepeatedPtrField<v1::ResourceError>& errors) {
    cut_list(errors, kErrorsMax);
    for (v1::ResourceError& error : errors) {
        cut_utf8(*error.mutable_resource(), kNameMax);
        cut_utf8(*error.mutable_field_path(), kNameMax);
        cut_utf8(*error.mutable_message(), kWordsMax);
    }
}

void bound(v1::Hello& hello) {
    cut_utf8(*hello.mutable_build(), kNameMax);
    hello.clear_features();  // no feature is asked for yet
    if (hello.has_applied()) bound(*hello.mutable_applied());
    auto& digests = *hello.mutable_section_sha256();
    for (auto entry = digests.begin(); entry != digests.end();) {
        bool known = v1::SectionKind_IsValid(static_cast<int>(entry->first)) &&
                     entry->second.size() == kDigestBytes;
        entry = known ? std::next(entry) : digests.erase(entry);
    }
}

// Its times are by the provider's clock, which nobody here can judge.
void bound(v1::AccountUse& use) {
    cut_utf8(*use.mutable_status(), kNameMax);
    cut_utf8(*use.mutable_claim(), kNameMax);
    if (!std::isfinite(use.five_hour())) use.clear_five_hour();
    if (!std::isfinite(use.seven_day())) use.clear_seven_day();
}

// `sent_at`: what the sender's clock said when it sent this.
void bound(v1::Signal& signal, UnixMs sent_at, UnixMs now, Milliseconds behind) {
    signal.set_at_ms(on_our_clock(signal.at_ms(), sent_at, now));
    // A report that was held up looks like one of a clock that is behind. A success that seemed to
    // begin later than it did would end a bench that it says nothing about.
    UnixMs began_by = signal.ok() && sent_at > 0 ? std::max(sent_at, now - behind.count()) : sent_at;
    signal.set_started_at_ms(on_our_clock(signal.started_at_ms(), began_by, now));
    signal.set_retry_at_ms(on_our_clock(signal.retry_at_ms(), sent_at, now));
    cut_utf8(*signal.mutable_provider(), kNameMax);
    cut_utf8(*signal.mutable_etag(), kNameMax);
    cut_utf8(*signal.mutable_model(), kNameMax);
    cut_utf8(*signal.mutable_detail(), kWordsMax);
    cut_utf8(*signal.mutable_request_id(), kNameMax);
    cut_utf8(*signal.mutable_probe_id(), kNameMax);
    if (signal.has_account_use()) bound(*signal.mutable_account_use());
    signal.set_at_ms(std::max<UnixMs>(0, signal.at_ms()));
    signal.set_started_at_ms(std::clamp<UnixMs>(signal.started_at_ms(), 0, signal.at_ms()));
}

// By the newest of them: what counts is which attempt began before which other one had ended, and
// each by itself would end now.
void move_back(google::protobuf::RepeatedPtrField<v1::Signal>& signals, UnixMs now) {
    UnixMs ahead = 0;
    for (const v1::Signal& signal : signals) ahead = std::max(ahead, signal.at_ms() - now);
    for (v1::Signal& signal : signals) {
        signal.set_at_ms(std::max<UnixMs>(0, signal.at_ms() - ahead));
        signal.set_started_at_ms(std::max<UnixMs>(0, signal.started_at_ms() - ahead));
    }
}

void bound(v1::Heartbeat& heartbeat) {
    if (heartbeat.has_applied()) bound(*heartbeat.mutable_applied());
    auto& in_flight = *heartbeat.mutable_in_flight_at();
    int kept = 0;
    for (auto entry = in_flight.begin(); entry != in_flight.end();) {
        bool good = entry->first.size() <= kNameMax && kept < kProvidersMax;
        kept += good ? 1 : 0;
        entry = good ? std::next(entry) : in_flight.erase(entry);
    }
}

// False: not a count.
bool bound(v1::Counters& counters) {
    if (counters.provider().size() > kNameMax) return false;
    auto absurd = [](std::uint64_t count) { return count > kCountMax; };
    if (absurd(counters.attempts()) || absurd(counters.successes()) ||
        absurd(counters.ttfb_count()) || absurd(counters.ttfb_ms_sum())) {
        return false;
    }
    auto& failures = *counters.mutable_failures();
    for (auto entry = failures.begin(); entry != failures.end();) {
        if (absurd(entry->second)) return false;
        entry = entry->first < kFailureClasses ? std::next(entry) : failures.erase(entry);
    }
    return true;
}

void bound(google::protobuf::RepeatedPtrField<std::string>& texts) {
    cut_list(texts, kErrorsMax);
    for (std::string& text : texts) cut_utf8(text, kNameMax);
}

void bound(v1::RequestRecord& record) {
    for (std::string* text : {
             record.mutable_request_id(),
             record.mutable_worker(),
             record.mutable_phase(),
             record.mutable_outcome(),
             record.mutable_method(),
             record.mutable_path(),
             record.mutable_model(),
             record.mutable_client_key(),
             record.mutable_remote(),
             record.mutable_session(),
             record.mutable_session_kind(),
             record.mutable_pinned_provider(),
             record.mutable_provider(),
             record.mutable_upstream_request_id(),
             record.mutable_coalesced_with(),
         }) {
        cut_utf8(*text, kNameMax);
    }
    cut_utf8(*record.mutable_error(), kWordsMax);
    bound(*record.mutable_routes());
    bound(*record.mutable_conversion());
    cut_list(*record.mutable_candidates(), kErrorsMax);
    for (v1::CandidateRecord& candidate : *record.mutable_candidates()) {
        cut_utf8(*candidate.mutable_provider(), kNameMax);
        cut_utf8(*candidate.mutable_model(), kNameMax);
        cut_utf8(*candidate.mutable_why(), kWordsMax);
    }
    if (record.has_version()) bound(*record.mutable_version());
}

}  // namespace

void bound(v1::SyncRequest& request) {
    if (request.has_lookup_answer()) {
        v1::LookupAnswer& answer = *request.mutable_lookup_answer();
        cut_list(*answer.mutable_records(), kRecordsMax);
        for (int i = kWholeRecordsMax; i < answer.records_size(); ++i) {
            v1::RequestRecord& record = *answer.mutable_records(i);
            record.clear_candidates();
            record.clear_routes();
            record.clear_conversion();
            record.clear_error();
        }
        for (v1::RequestRecord& record : *answer.mutable_records()) bound(record);
    }
    if (request.has_hello()) bound(*request.mutable_hello());
    if (request.has_ack()) {
        bound(*request.mutable_ack()->mutable_quarantined());
        if (request.ack().has_applied()) bound(*request.mutable_ack()->mutable_applied());
    }
    if (request.has_heartbeat()) bound(*request.mutable_heartbeat());
    if (request.has_nack()) {
        v1::Nack& nack = *request.mutable_nack();
        bound(*nack.mutable_errors());
        if (nack.has_still_applied()) bound(*nack.mutable_still_applied());
        if (nack.has_rejected()) bound(*nack.mutable_rejected());
    }
}

void bound(v1::ReportRequest& report, UnixMs now, Milliseconds behind) {
    if (report.signals_dropped() > kCountMax) report.clear_signals_dropped();
    cut_list(*report.mutable_signals(), kSignalsMax);
    for (v1::Signal& signal : *report.mutable_signals()) bound(signal, report.sent_at_ms(), now, behind);
    move_back(*report.mutable_signals(), now);
    cut_list(*report.mutable_counters(), kProvidersMax);
    auto& counters = *report.mutable_counters();
    auto kept = std::remove_if(counters.begin(), counters.end(), [](v1::Counters& each) {
        return !bound(each);
    });
    counters.erase(kept, counters.end());
}

}  // namespace balancer::controlplane
