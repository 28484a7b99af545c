// What a data plane remembers of one request, for whoever asks what became of it. Nothing of its content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/telemetry/metrics.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// The numbers are those of balancer.v1.CandidateRecord.Fate.
enum class CandidateFate : std::uint8_t {
    kNotReached = 0,  // another one was before it
    kLeftOut = 1,     // not a candidate
    kPassedOver = 2,  // its turn came, and it was not asked
    kFailed = 3,
    kAnswered = 4,
    kUnderWay = 5,
    kBrokenOff = 6,  // the client went, or the process stopped
};

// Milliseconds of one attempt; -1: did not come to it.
struct AttemptTimes {
    std::int64_t began = -1;       // from the request's arrival
    std::int64_t connect = -1;     // until a connection stood, TLS included
    std::int64_t first_byte = -1;  // from the request's sending to the answer's head
    std::int64_t duration = -1;
};

struct CandidateRecord {
    std::string provider;
    std::string model;  // as sent; empty: the client's own
    CandidateFate fate = CandidateFate::kNotReached;
    std::string why;   // redacted words
    UnixMs until = 0;  // benched until then; 0: not a matter of time
    FailureClass failure = FailureClass::kNone;
    unsigned http_status = 0;
    bool sticky = false;
    bool ramping = false;
    bool probe = false;
    bool pooled = false;
    AttemptTimes times;
};

// Strings are cut when they are set (assign_cut): a record is small whatever a client sends.
struct RequestRecord {
    static constexpr std::size_t kCandidatesMax = 24;
    static constexpr std::size_t kNameMax = 200;
    static constexpr std::size_t kWordsMax = 600;

    std::string request_id;
    std::string_view worker;  // lives as long as the process's workers
    UnixMs at = 0;
    std::string_view phase;   // literal; empty: it has ended
    bool counts_tokens = false;
    Outcome outcome = Outcome::kLocal;
    unsigned status = 0;
    std::string method;
    std::string path;
    std::string model;
    bool stream = false;
    std::string client_key;
    std::string remote;
    std::string session;
    std::string_view session_kind;  // literal
    std::string pinned_provider;
    std::string provider;
    std::string upstream_request_id;
    std::string coalesced_with;  // the request from whose upstream call it was answered; empty: its own
    std::uint32_t readers = 0;   // others that were answered from its call
    std::vector<std::string> routes;
    std::vector<CandidateRecord> candidates;
    std::size_t candidates_left_out = 0;
    bool panic = false;
    SnapshotVersion version;  // seq 0: there was none
    std::uint64_t revision = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::int64_t first_byte_ms = -1;
    std::int64_t duration_ms = 0;
    std::vector<std::string> conversion;
    std::string error;

    // Something that an operator may be asked about: a failed attempt, an error that is no client's fault, a client
    // that did not wait. Not a provider that does not count tokens: there are many, and each count would tell of them.
    bool troubled() const;

    // Memory that it holds, about.
    std::size_t bytes() const;
};

// At most `bytes_max`, never in the middle of a character; keeps the memory that `text` has.
void assign_cut(std::string& text, std::string_view from, std::size_t bytes_max = RequestRecord::kNameMax);

}  // namespace balancer::dataplane
