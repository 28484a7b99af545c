#include "dataplane/telemetry/request_record.hpp"

#include <algorithm>

namespace balancer::dataplane {

bool RequestRecord::troubled() const {
    bool failed = std::any_of(candidates.begin(), candidates.end(), [](const CandidateRecord& one) {
        return one.fate == CandidateFate::kFailed || one.fate == CandidateFate::kBrokenOff;
    });
    if (failed && !counts_tokens) return true;
    switch (outcome) {
        case Outcome::kNoHealthyUpstream:
        case Outcome::kRetryBudget:
        case Outcome::kStreamBroken:
        case Outcome::kDownstreamDisconnect:
        case Outcome::kOverloaded:
        case Outcome::kNotReady:
        case Outcome::kShutdown:
        case Outcome::kInternalError:
            return true;
        // A client can make any number of faulty requests; they must not push out what is worth remembering.
        default: return false;
    }
}

std::size_t RequestRecord::bytes() const {
    std::size_t sum = sizeof(*this);
    for (const std::string* text : {&request_id, &method, &path, &model, &client_key, &remote, &session,
                                    &pinned_provider, &provider, &upstream_request_id, &error}) {
        sum += text->capacity();
    }
    for (const std::string& text : routes) sum += sizeof(text) + text.capacity();
    for (const std::string& text : conversion) sum += sizeof(text) + text.capacity();
    for (const CandidateRecord& one : candidates) {
        sum += sizeof(one) + one.provider.capacity() + one.model.capacity() + one.why.capacity();
    }
    return sum;
}

void assign_cut(std::string& text, std::string_view from, std::size_t bytes_max) {
    if (from.size() > bytes_max) {
        std::size_t end = bytes_max;
        while (end > 0 && (static_cast<unsigned char>(from[end]) & 0xC0) == 0x80) --end;
        from = from.substr(0, end);
    }
    text.assign(from);
}

}  // namespace balancer::dataplane
