// Whole answers that are kept for a while: who may have one, what they may take, and when they go.
#include <algorithm>
#include <utility>

#include "dataplane/coalesce/calls.hpp"

namespace balancer::dataplane {

// A kept answer is for those who did not get it. Anybody else who sends the same request wants a new one.
bool Calls::is_for(const Call& call, Asks asks) {
    return !call.kept || asks == Asks::kAgain || call.missed > 0;
}

// Who comes may be one who left; from now on it is not missed.
void Calls::come_back(Call& call) {
    if (call.missed > 0) --call.missed;
}

// It is listed, and stays so. One that is too large for this worker's share would drive out all others for nothing.
void Calls::keep(const std::shared_ptr<Call>& call, KeptAnswer keep) {
    const std::uint64_t workers = std::max<std::size_t>(all_.size(), 1);
    const std::uint64_t bytes_max = keep_limits_.bytes / workers;
    const std::uint64_t answers_max = keep_limits_.answers / workers;
    const std::uint64_t cost = call->answer.bytes_kept() + call->answer.chunks().size() * kChunkOverhead;
    if (cost > bytes_max || answers_max == 0) return;
    while (kept_cost_ + cost > bytes_max || kept_.size() >= answers_max) drop_oldest();
    call->kept = std::move(keep);
    call->kept_cost = cost;
    kept_cost_ += cost;
    kept_.push_back(call);
}

// Who reads it already reads it to its end.
void Calls::drop(const std::shared_ptr<Call>& kept) {
    unlist(*kept);
    kept_cost_ -= kept->kept_cost;
    std::erase(kept_, kept);
}

void Calls::drop_oldest() {
    std::shared_ptr<Call> oldest = std::move(kept_.front());
    kept_.pop_front();
    unlist(*oldest);
    kept_cost_ -= oldest->kept_cost;
}

void Calls::make_room(std::uint64_t chunk_bytes_max) {
    while (!kept_.empty() && chunk_bytes() > chunk_bytes_max) drop_oldest();
}

void Calls::drop_kept_unless(const std::function<bool(const KeptAnswer&)>& is_good) {
    std::erase_if(kept_, [&](const std::shared_ptr<Call>& call) {
        if (is_good(*call->kept)) return false;
        unlist(*call);
        kept_cost_ -= call->kept_cost;
        return true;
    });
}

void Calls::miss(const wire::Signature& signature, std::string_view maker) {
    auto found = by_signature_.find(signature);
    if (found != by_signature_.end() && !found->second->ticket && found->second->maker == maker) ++found->second->missed;
}

}  // namespace balancer::dataplane
