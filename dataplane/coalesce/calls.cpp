#include "dataplane/coalesce/calls.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/net.hpp"

namespace balancer::dataplane {
namespace {

std::uint64_t key_of(Call::Mirror mirror) { return (std::uint64_t{mirror.worker} << 48) | mirror.ticket; }

std::shared_ptr<const AnswerEnd> gone() {
    return std::make_shared<const AnswerEnd>(AnswerEnd{AnswerEnd::Kind::kGone, {}});
}

}  // namespace

OwnCall::OwnCall(Calls& calls, std::shared_ptr<Call> call, std::string maker, std::function<void()> on_joined)
    : calls_(calls), call_(std::move(call)) {
    call_->maker = std::move(maker);
    call_->on_joined = std::move(on_joined);
}

OwnCall::~OwnCall() {
    call_->on_joined = nullptr;
    call_->on_deserted = nullptr;
    if (!ended()) calls_.end(*call_, gone());
}

void OwnCall::begin(std::shared_ptr<const AnswerHead> head) {
    call_->answer.begin(head);
    calls_.tell_mirrors(*call_, [head](Broadcast& answer) { answer.begin(head); });
}

void OwnCall::append(Chunk chunk) {
    call_->answer.append(chunk);
    calls_.tell_mirrors(*call_, [chunk](Broadcast& answer) { answer.append(chunk); });
    // Too long to be had from its start: the next one who asks the same gets a call of its own.
    if (!call_->answer.joinable()) calls_.unlist(*call_);
}

// Mirrors share the chunks: what those who read them have taken is not kept for their sake either.
void OwnCall::seal() {
    call_->answer.seal();
    calls_.unlist(*call_);
    calls_.tell_mirrors(*call_, [](Broadcast& answer) { answer.seal(); });
}

void OwnCall::end(AnswerEnd how, SteadyTime lingers_until) {
    if (call_->listed && lingers_until != SteadyTime{}) {
        call_->lingers_until = lingers_until;
        calls_.lingering_.push_back(call_);
    }
    calls_.end(*call_, std::make_shared<const AnswerEnd>(std::move(how)));
}

void OwnCall::end_and_keep(AnswerEnd how, KeptAnswer keep) {
    if (call_->listed) calls_.keep(call_, std::move(keep));
    calls_.end(*call_, std::make_shared<const AnswerEnd>(std::move(how)));
}

bool OwnCall::go_on_without_client(std::function<void()> on_deserted) {
    if (!has_readers()) {
        calls_.unlist(*call_);
        return false;
    }
    call_->on_deserted = std::move(on_deserted);
    return true;
}

CallReader::CallReader(Calls& calls, std::shared_ptr<Call> call)
    : calls_(calls), call_(std::move(call)), news_(calls.context_), was_kept_(call_->kept.has_value()) {
    news_.expires_at(SteadyTime::max());
    reader_.emplace(call_->answer, [this] { news_.cancel(); });
    calls_.on_come(*call_);
}

CallReader::~CallReader() {
    reader_.reset();
    calls_.on_left(call_);
}

net::awaitable<Broadcast::Take> CallReader::next(std::vector<Chunk>& out, std::size_t bytes_max) {
    for (;;) {
        Broadcast::Take taken = reader_->take(out, bytes_max);
        if (taken != Broadcast::Take::kWait || std::exchange(stopped_, false)) co_return taken;
        co_await news_.async_wait(kNoThrow);
    }
}

void CallReader::stop() {
    stopped_ = true;
    news_.cancel();
}

void CallReader::missed_it() { calls_.on_missed(*call_); }

Calls::Calls(
    net::io_context& context, ClaimTable& claims, WorkerIndex self, Broadcast::Limits limits, KeepLimits keep_limits
)
    : context_(context), claims_(claims), self_(self), limits_(limits), keep_limits_(keep_limits) {}

// `what` runs on that worker, with its Calls.
template <typename What>
void Calls::tell(WorkerIndex worker, What what) {
    Calls* there = all_[worker];
    net::post(there->context_, [there, what = std::move(what)]() mutable { what(*there); });
}

// `what` runs on each worker that mirrors `call`, with its broadcast of the same answer.
template <typename What>
void Calls::tell_mirrors(const Call& call, What what) {
    for (const Call::Mirror& mirror : call.mirrors) {
        tell(mirror.worker, [ticket = mirror.ticket, what](Calls& there) {
            std::shared_ptr<Call> copy = there.find_mirror(ticket);
            if (!copy) return;
            what(copy->answer);
            if (!copy->answer.joinable()) there.unlist(*copy);
        });
    }
}

void Calls::list(const std::shared_ptr<Call>& call) { call->listed = by_signature_.emplace(call->signature, call).second; }

void Calls::unlist(Call& call) {
    if (call.claimed) claims_.give_back(call.signature, self_);
    call.claimed = false;
    if (std::exchange(call.listed, false)) by_signature_.erase(call.signature);
}

Calls::Found Calls::find_or_begin(const wire::Signature& signature, Look look, Asks asks) {
    using Kind = ClaimTable::Claim::Kind;
    if (look == Look::kNowhere) return {std::make_shared<Call>(signature, limits_), true};
    if (auto found = by_signature_.find(signature); found != by_signature_.end()) {
        std::shared_ptr<Call> known = found->second;
        if (is_for(*known, asks)) return {std::move(known), false};
        drop(known);
    }
    auto call = std::make_shared<Call>(signature, limits_);
    ClaimTable::Claim claim = claims_.claim(signature, self_);
    // Held here and not listed: another signature that the table cannot tell from this one.
    bool elsewhere = claim.kind == Kind::kHeld && claim.holder != self_;
    call->claimed = claim.kind == Kind::kOurs;
    if (call->claimed) list(call);
    if (!elsewhere) return {std::move(call), true};
    call->home = claim.holder;
    call->ticket = ++tickets_;
    list(call);
    by_ticket_.emplace(*call->ticket, call);
    tell(claim.holder, [signature, by = Call::Mirror{self_, *call->ticket}, asks](Calls& home) {
        home.mirror(signature, by, asks);
    });
    return {std::move(call), false};
}

void Calls::mirror(const wire::Signature& signature, Call::Mirror by, Asks asks) {
    auto found = by_signature_.find(signature);
    // A mirror here may have the same signature as a call that has just ended here.
    std::shared_ptr<Call> known = found == by_signature_.end() || found->second->ticket ? nullptr : found->second;
    if (known && !is_for(*known, asks)) {
        drop(known);
        known = nullptr;
    }
    if (!known) {
        tell(by.worker, [ticket = by.ticket](Calls& there) { there.end_mirror(ticket, gone()); });
        return;
    }
    Call& call = *known;
    const Broadcast& answer = call.answer;
    if (!answer.ended()) {
        call.mirrors.push_back(by);
        mirrored_.emplace(key_of(by), known);
        if (call.on_joined) call.on_joined();
    } else {
        come_back(call);
    }
    std::vector<Chunk> chunks(answer.chunks().begin(), answer.chunks().end());
    tell(
        by.worker,
        [ticket = by.ticket,
         maker = call.maker,
         head = answer.head(),
         chunks = std::move(chunks),
         end = answer.how_it_ended(),
         kept = call.kept.has_value()](Calls& there) {
            std::shared_ptr<Call> copy = there.find_mirror(ticket);
            if (!copy) return;
            copy->maker = maker;
            copy->was_kept = kept;
            if (head) copy->answer.begin(head);
            for (const Chunk& chunk : chunks) copy->answer.append(chunk);
            if (end) there.end_mirror(ticket, end);
        }
    );
}

std::shared_ptr<Call> Calls::find_mirror(std::uint64_t ticket) {
    auto found = by_ticket_.find(ticket);
    return found == by_ticket_.end() ? nullptr : found->second;
}

// What has ended is not found any more; its readers keep what they read.
void Calls::end_mirror(std::uint64_t ticket, std::shared_ptr<const AnswerEnd> how) {
    std::shared_ptr<Call> copy = find_mirror(ticket);
    if (!copy) return;
    by_ticket_.erase(ticket);
    unlist(*copy);
    copy->answer.end(std::move(how));
}

void Calls::on_come(Call& call) {
    ++call.joined;
    come_back(call);
    if (call.on_joined) call.on_joined();
    if (!call.ticket) return;
    tell(call.home, [by = Call::Mirror{self_, *call.ticket}](Calls& home) { home.come_to_mirror(by); });
}

void Calls::on_missed(Call& call) {
    if (!call.ticket) {
        ++call.missed;
        return;
    }
    // The mirror may have ended, and be forgotten at home; the call is not, if it is kept.
    tell(call.home, [signature = call.signature, maker = call.maker](Calls& home) { home.miss(signature, maker); });
}

void Calls::come_to_mirror(Call::Mirror by) {
    auto found = mirrored_.find(key_of(by));
    if (found == mirrored_.end()) return;
    ++found->second->joined;
    come_back(*found->second);
}

void Calls::on_left(const std::shared_ptr<Call>& call) {
    if (call->answer.readers() > 0) return;
    if (call->ticket) {
        // Ended, or left by others, already.
        if (by_ticket_.erase(*call->ticket) == 0) return;
        unlist(*call);
        tell(call->home, [by = Call::Mirror{self_, *call->ticket}](Calls& home) { home.drop_mirror(by); });
        return;
    }
    if (!call->mirrors.empty() || !call->on_deserted) return;
    unlist(*call);
    std::exchange(call->on_deserted, nullptr)();
}

void Calls::drop_mirror(Call::Mirror by) {
    auto found = mirrored_.find(key_of(by));
    if (found == mirrored_.end()) return;  // ended meanwhile
    std::shared_ptr<Call> call = std::move(found->second);
    mirrored_.erase(found);
    std::erase_if(call->mirrors, [by](const Call::Mirror& mirror) { return key_of(mirror) == key_of(by); });
    on_left(call);
}

void Calls::end(Call& call, std::shared_ptr<const AnswerEnd> how) {
    call.on_deserted = nullptr;
    if (call.lingers_until == SteadyTime{} && !call.kept) unlist(call);
    for (const Call::Mirror& mirror : call.mirrors) {
        tell(mirror.worker, [ticket = mirror.ticket, how](Calls& there) { there.end_mirror(ticket, how); });
        mirrored_.erase(key_of(mirror));
    }
    call.mirrors.clear();
    call.answer.end(std::move(how));
}

Chunk Calls::make_chunk(std::string_view bytes) const {
    struct Counted {
        Counted(std::string_view bytes, std::shared_ptr<std::atomic<std::uint64_t>> c) : text(bytes), count(std::move(c)) {
            count->fetch_add(text.size() + kChunkOverhead, std::memory_order_relaxed);
        }
        ~Counted() { count->fetch_sub(text.size() + kChunkOverhead, std::memory_order_relaxed); }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        const std::string text;
        const std::shared_ptr<std::atomic<std::uint64_t>> count;
    };
    auto counted = std::make_shared<const Counted>(bytes, chunk_bytes_);
    return Chunk(counted, &counted->text);
}

void Calls::tidy(SteadyTime now) {
    std::erase_if(lingering_, [this, now](const std::shared_ptr<Call>& call) {
        if (call->lingers_until > now) return false;
        unlist(*call);
        return true;
    });
    while (!kept_.empty() && kept_.front()->kept->until <= now) drop_oldest();
}

}  // namespace balancer::dataplane
