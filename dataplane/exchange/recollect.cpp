// What is remembered of a request for whoever asks about it (balancerctl explain). Made from what the exchange knows
// anyway: once at its end, and whenever somebody asks before.
#include <algorithm>

#include "dataplane/exchange/exchange.hpp"

namespace balancer::dataplane {
namespace {

void assign_words(std::string& text, std::string_view words) {
    assign_cut(text, words, RequestRecord::kWordsMax);
}

template <class From, class Get>
void assign_list(std::vector<std::string>& list, const From& from, std::size_t count_max, Get get) {
    list.resize(std::min<std::size_t>(from.size(), count_max));
    for (std::size_t i = 0; i < list.size(); ++i) assign_cut(list[i], get(from[i]));
}

// The next place in the list, cleared; null when there is no room for one more.
CandidateRecord* next_place(RequestRecord& into, std::size_t& used) {
    if (used == RequestRecord::kCandidatesMax) {
        ++into.candidates_left_out;
        return nullptr;
    }
    if (used == into.candidates.size()) into.candidates.emplace_back();
    CandidateRecord& place = into.candidates[used++];
    place.why.clear();
    place.fate = CandidateFate::kNotReached;
    place.until = 0;
    place.failure = FailureClass::kNone;
    place.http_status = 0;
    place.sticky = place.ramping = place.probe = place.pooled = false;
    place.times = {};
    return &place;
}

}  // namespace

bool Exchange::has_id(std::string_view id) const {
    if (over_) return false;  // the ring has it
    return record_.request_id == id || (!id.empty() && record_.upstream_request_id == id);
}

void Exchange::end_turn(CandidateFate fate) {
    Turn& turn = turns_.back();
    turn.fate = fate;
    turn.times.duration = elapsed_ms(began_, steady_now()) - turn.times.began;
}

std::string_view Exchange::phase() const {
    if (over_) return {};
    if (operation_ == Operation::kManagement) return "waits for the control plane's answer";
    if (!body_read_) return "its body is being read";
    if (reader_ != nullptr) return head_sent_ ? "reads an identical request's answer" : "waits for an identical request's answer";
    if (turns_.empty()) return "is being looked at";
    if (turns_.back().fate != CandidateFate::kUnderWay) return "waits for its turn at a provider";
    if (response_ && response_->saw_bytes() && good_so_far_) return "its answer is being relayed";
    return response_ ? "waits for the provider's answer" : "connects to the provider";
}

void Exchange::recollect_candidates(RequestRecord& into) const {
    std::size_t used = 0;
    into.candidates_left_out = 0;
    for (std::size_t i = 0; i < plan_.candidates.size(); ++i) {
        const Candidate& candidate = plan_.candidates[i];
        CandidateRecord* place = next_place(into, used);
        if (place == nullptr) continue;
        assign_cut(place->provider, candidate.provider->name);
        assign_cut(place->model, candidate.model);
        place->sticky = sticky_ != 0 && StickyTable::provider_hash(candidate.provider->name) == sticky_;
        place->ramping = candidate.ramping;
        if (candidate.benched != nullptr) {
            place->until = candidate.benched->benched_until;
            assign_words(place->why, candidate.benched->cause);
        } else if (const auto& credential = candidate.provider->credential) {
            const WindowHold* hold = credential->held(model_sent(candidate.model), record_.at);
            if (hold != nullptr) {
                place->until = hold->until;
                assign_words(place->why, hold->why);
            }
        }
        // The last one: who was busy at first may have had another.
        auto turn = std::find_if(turns_.rbegin(), turns_.rend(), [i](const Turn& one) { return one.candidate == i; });
        if (turn == turns_.rend()) continue;
        place->fate = turn->fate;
        place->times = turn->times;
        place->probe = turn->probe;
        place->pooled = turn->pooled;
        bool answered = turn->fate == CandidateFate::kAnswered || turn->fate == CandidateFate::kUnderWay ||
                        turn->fate == CandidateFate::kBrokenOff;
        if (!turn->why.empty()) {
            assign_words(place->why, turn->why);
        } else if (!answered && turn->note < record_.failed_attempts.size()) {
            const wire::AttemptNote& note = record_.failed_attempts[turn->note];
            place->failure = note.failure;
            place->http_status = note.http_status;
            assign_words(place->why, note.detail);
        }
    }
    for (const SkippedCandidate& skipped : plan_.skipped) {
        CandidateRecord* place = next_place(into, used);
        if (place == nullptr) continue;
        place->fate = CandidateFate::kLeftOut;
        assign_cut(place->provider, skipped.provider->name);
        assign_cut(place->model, skipped.model);
        place->until = skipped.until;
        assign_words(place->why, skipped.why);
    }
    auto leave_out = [&](const Route& route) {
        for (const LeftOutTarget& target : route.left_out) {
            CandidateRecord* place = next_place(into, used);
            if (place == nullptr) continue;
            place->fate = CandidateFate::kLeftOut;
            assign_cut(place->provider, target.provider);
            assign_cut(place->model, target.model);
            assign_words(place->why, target.why);
        }
    };
    for (const Route* route : routes_) leave_out(*route);
    // What a route of these would have said: somebody wonders why there was none.
    if (snapshot_ && session_.kind != SessionKind::kNone) {
        for (const Route& route : snapshot_->deserted_routes) {
            if (route.pattern.matches(record_.model)) leave_out(route);
        }
    }
    into.candidates.resize(used);
}

void Exchange::recollect(RequestRecord& into) const {
    assign_cut(into.request_id, record_.request_id);
    into.worker = record_.worker;
    into.at = record_.at;
    into.phase = phase();
    into.counts_tokens = operation_ == Operation::kCountTokens;
    into.outcome = record_.outcome;
    into.status = record_.status;
    assign_cut(into.method, record_.method);
    assign_cut(into.path, record_.path);
    assign_cut(into.model, record_.model);
    into.stream = record_.stream;
    assign_cut(into.client_key, record_.client_key);
    assign_cut(into.remote, record_.remote);
    assign_cut(into.session, record_.session);
    into.session_kind = name_of(session_.kind);
    assign_cut(into.pinned_provider, fields_.provider ? std::string_view(*fields_.provider) : std::string_view());
    assign_cut(into.provider, record_.provider);
    assign_cut(into.upstream_request_id, record_.upstream_request_id);
    assign_cut(into.coalesced_with, reader_ != nullptr ? reader_->maker() : record_.coalesced_with);
    into.readers = own_ ? own_->joined() : record_.readers;
    assign_list(into.routes, routes_, RequestRecord::kCandidatesMax, [](const Route* route) {
        return std::string_view(route->pattern.text());
    });
    recollect_candidates(into);
    into.panic = plan_.panic;
    into.version = snapshot_ ? snapshot_->version : SnapshotVersion{};
    into.revision = snapshot_ ? snapshot_->revision : 0;
    into.bytes_in = record_.bytes_in;
    into.bytes_out = record_.bytes_out;
    into.first_byte_ms = record_.first_byte_ms;
    into.duration_ms = over_ ? record_.duration_ms : elapsed_ms(began_, steady_now());
    assign_list(into.conversion, record_.conversion, RequestRecord::kCandidatesMax, [](const std::string& note) {
        return std::string_view(note);
    });
    assign_words(into.error, said_);
}

}  // namespace balancer::dataplane
