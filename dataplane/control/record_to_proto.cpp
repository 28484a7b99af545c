#include "dataplane/control/record_to_proto.hpp"

#include <simdjson.h>

#include <algorithm>
#include <string>

namespace balancer::dataplane {
namespace {

// Names and words come from clients and providers; a protobuf string is UTF-8, or the message cannot be read.
std::string text(std::string_view bytes) {
    std::string out(bytes);
    if (simdjson::validate_utf8(out.data(), out.size())) return out;
    for (char& byte : out) {
        if ((static_cast<unsigned char>(byte) & 0x80) != 0) byte = '?';
    }
    return out;
}

void fill(v1::CandidateRecord& out, const CandidateRecord& in) {
    out.set_provider(text(in.provider));
    out.set_model(text(in.model));
    out.set_fate(static_cast<v1::CandidateRecord::Fate>(in.fate));
    out.set_why(text(in.why));
    out.set_until_ms(in.until);
    out.set_failure(static_cast<v1::FailureClass>(in.failure));
    out.set_http_status(in.http_status);
    out.set_sticky(in.sticky);
    out.set_ramping(in.ramping);
    out.set_probe(in.probe);
    out.set_pooled(in.pooled);
    out.set_began_ms(in.times.began);
    out.set_connect_ms(in.times.connect);
    out.set_first_byte_ms(in.times.first_byte);
    out.set_duration_ms(in.times.duration);
}

}  // namespace

v1::RequestRecord to_proto(const RequestRecord& in) {
    v1::RequestRecord out;
    out.set_request_id(text(in.request_id));
    out.set_worker(std::string(in.worker));
    out.set_at_ms(in.at);
    out.set_phase(std::string(in.phase));
    if (in.phase.empty()) out.set_outcome(std::string(name_of(in.outcome)));
    out.set_status(in.status);
    out.set_method(text(in.method));
    out.set_path(text(in.path));
    out.set_model(text(in.model));
    out.set_stream(in.stream);
    out.set_client_key(text(in.client_key));
    out.set_remote(text(in.remote));
    out.set_session(text(in.session));
    out.set_session_kind(std::string(in.session_kind));
    out.set_pinned_provider(text(in.pinned_provider));
    out.set_provider(text(in.provider));
    out.set_upstream_request_id(text(in.upstream_request_id));
    for (const std::string& pattern : in.routes) out.add_routes(text(pattern));
    for (const CandidateRecord& candidate : in.candidates) fill(*out.add_candidates(), candidate);
    out.set_candidates_left_out(static_cast<std::uint32_t>(in.candidates_left_out));
    out.set_panic(in.panic);
    if (in.version.seq != 0) {
        out.mutable_version()->set_store_uuid(in.version.store_uuid);
        out.mutable_version()->set_epoch(in.version.epoch);
        out.mutable_version()->set_seq(in.version.seq);
    }
    out.set_revision(in.revision);
    out.set_bytes_in(in.bytes_in);
    out.set_bytes_out(in.bytes_out);
    out.set_first_byte_ms(in.first_byte_ms);
    out.set_duration_ms(in.duration_ms);
    for (const std::string& note : in.conversion) out.add_conversion(text(note));
    out.set_error(text(in.error));
    out.set_coalesced_with(text(in.coalesced_with));
    out.set_readers(in.readers);
    return out;
}

v1::LookupAnswer to_answer(const RequestsFound& found, std::uint64_t nonce) {
    // A provider may give one id to many answers; a person reads a few.
    constexpr std::size_t kRecordsMax = 8;
    v1::LookupAnswer answer;
    answer.set_nonce(nonce);
    for (const RequestRecord& record : found.records) {
        if (static_cast<std::size_t>(answer.records_size()) == kRecordsMax) break;
        *answer.add_records() = to_proto(record);
    }
    answer.set_plain_since_ms(found.plain_since);
    answer.set_troubled_since_ms(found.troubled_since);
    return answer;
}

v1::LookupAnswer to_list(RequestsFound found, std::uint64_t nonce) {
    std::sort(found.records.begin(), found.records.end(), [](const RequestRecord& a, const RequestRecord& b) {
        return a.at < b.at;
    });
    v1::LookupAnswer answer;
    answer.set_nonce(nonce);
    for (const RequestRecord& record : found.records) {
        if (static_cast<std::size_t>(answer.records_size()) == RequestsFound::kListedMax) {
            ++found.left_out;
            continue;
        }
        *answer.add_records() = to_proto(record);
    }
    answer.set_left_out(static_cast<std::uint32_t>(found.left_out));
    return answer;
}

}  // namespace balancer::dataplane
