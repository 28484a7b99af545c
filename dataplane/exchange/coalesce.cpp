// Identical requests share one upstream call (docs/decisions/0019-coalescing.md). Whoever comes first makes it, as if it were
// alone, and tells the others; this is how it tells them, and when it goes on for their sake.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/net.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/exchange/replay.hpp"
#include "dataplane/wire/chunked.hpp"

namespace balancer::dataplane {
namespace {

// A client of one's own that is further behind than others may be.
constexpr std::size_t kBacklogMax = Broadcast::Limits{}.backlog_max;

}  // namespace

// True: the answer was another request's, and is out. False: this one makes the call.
net::awaitable<bool> Exchange::answered_by_another() {
    const DeduplicationSettings& wanted = settings().deduplication;
    if (!wanted.enabled || !is_inference() || worker_.draining) co_return false;
    auto max_tokens = wanted.include_max_tokens ? wire::MaxTokens::kCounted : wire::MaxTokens::kLeftOut;
    wire::Signature signature = worker_.signer.sign(head_, fields_, max_tokens);
    auto asks = says_it_asks_again(head_) ? Calls::Asks::kAgain : Calls::Asks::kFirst;
    // What is found may be gone by the time it is asked; once more, and then without.
    for (int looks = 0; looks < 2 && !over(); ++looks) {
        Calls::Found found = worker_.calls.find_or_begin(signature, Calls::Look::kEverywhere, asks);
        if (found.ours) {
            own_.emplace(worker_.calls, std::move(found.call), record_.request_id, [this] { client_.nudge(); });
            co_return false;
        }
        CallReader reader(worker_.calls, std::move(found.call));
        Reading reading = co_await read_call(reader);
        if (reading == Reading::kDone) co_return true;
        if (reading == Reading::kTooLate) break;
    }
    co_return false;
}

bool Exchange::is_shared() const { return own_ && !own_->ended() && own_->wanted(); }

// The head as this request's own client gets it.
void Exchange::begin_call(const wire::ResponseHead& upstream, const wire::BodyFraming& body) {
    if (!is_shared()) return;
    wire::ResponseHead head = upstream;
    head.framing = body.framing;
    head.content_length = body.content_length;
    own_->begin(std::make_shared<const AnswerHead>(head, record_.provider));
}

// Answers that nobody may join take no memory; those that are joined take what their readers have yet to read.
void Exchange::append_to_call(Chunk chunk) {
    // Half of it at most: answers must not keep requests out.
    std::uint64_t room = std::min(memory_share() / 2, memory_left());
    worker_.calls.make_room(room);
    if (worker_.calls.chunk_bytes() > room) own_->seal();
    own_->append(std::move(chunk));
}

void Exchange::end_call(AnswerEnd how) {
    if (!own_ || own_->ended()) return;
    how.outcome = record_.outcome;
    if (std::optional<KeptAnswer> keep = worth_keeping(how)) return own_->end_and_keep(std::move(how), *std::move(keep));
    // A stream that broke behind the commit has cost its tokens; the same prompt, sent again at once, mostly breaks again.
    bool lingers = committed_ && (saw_error_event_ || how.kind == AnswerEnd::Kind::kFailed) && !ending_;
    Milliseconds delay = lingers ? settings().deduplication.error_delay : Milliseconds(0);
    own_->end(std::move(how), delay.count() > 0 ? steady_now() + delay : SteadyTime{});
}

// A whole, good answer, by a provider that would be asked again. The window is the one in force now, so that what is kept first
// goes first.
std::optional<KeptAnswer> Exchange::worth_keeping(const AnswerEnd& how) const {
    Milliseconds window = worker_.snapshot->settings.deduplication.replay_window;
    bool good = how.kind == AnswerEnd::Kind::kWhole && committed_ && good_so_far_ && !ending_;
    if (window.count() <= 0 || !good) return {};
    KeptAnswer keep{steady_now() + window, record_.provider, record_.model};
    if (snapshot_ != worker_.snapshot && !is_served_alike(keep, *snapshot_, *worker_.snapshot)) return {};
    return keep;
}

void Exchange::end_call_with(const wire::LocalError& error) { end_call({AnswerEnd::Kind::kFailed, error}); }

// An answer that this request's client gets in another way than as it is.
void Exchange::share_whole(const wire::ResponseHead& head, std::string_view body) {
    if (!is_shared()) return;
    begin_call(head, {wire::Framing::kLength, body.size()});
    if (!body.empty()) append_to_call(worker_.calls.make_chunk(body));
    end_call({});
}

// Like forward(), for all who read this call. The own client's part waits in line, so that it keeps nobody waiting; without
// others it sets the pace.
net::awaitable<ErrorCode> Exchange::forward_to_all(std::string_view head, std::size_t bytes, bool last) {
    ClientPiece piece{std::string(head)};
    count_held_back(0);
    if (bytes > 0) {
        piece.shared = worker_.calls.make_chunk(response_->body().substr(0, bytes));
        append_to_call(piece.shared);
        response_->consume(bytes);
        events_scanned_ -= std::min(events_scanned_, bytes);
        if (chunked_out_) {
            fmt::format_to(std::back_inserter(piece.before), "{:x}\r\n", bytes);
            piece.after = last ? "\r\n0\r\n\r\n" : "\r\n";
        }
    } else if (last && chunked_out_) {
        piece.after = wire::kLastChunk;
    }
    if (last) end_call({});
    if (client_gone_) co_return ErrorCode();
    if (piece.size() > 0) client_.write_behind(std::move(piece));
    record_.bytes_out += bytes;
    worker_.metrics.bytes_to_clients.add(bytes);
    if (client_.unwritten() > kBacklogMax) {
        cut_off();
        co_return ErrorCode();
    }
    co_return co_await keep_pace();
}

// Until the own client has taken what is there for it, or somebody else waits for more.
net::awaitable<ErrorCode> Exchange::keep_pace() {
    while (client_.unwritten() > 0 && !client_gone_ && (own_->ended() || !own_->has_readers())) {
        co_await client_.progress();
    }
    if (response_) held_up_ = response_->stream().timed_out();
    co_return client_gone_ ? ErrorCode() : client_.failed();
}

// The own client is too far behind the others. What it has not taken is lost to it.
void Exchange::cut_off() {
    std::string event;
    if (head_sent_ && response_ && wire::is_event_stream(response_->head())) {
        event = wire::error_event(format_, too_slow().error, record_.request_id);
        if (chunked_out_) event = fmt::format("{:x}\r\n{}\r\n", event.size(), event);
    }
    client_.cut_behind(std::move(event));
    close_after_ = true;
    lose_client();
}

LocalFailure Exchange::too_slow() const {
    wire::LocalError error = overloaded(503, "TOO_SLOW", {}).error;
    error.type = wire::kSendAgain;
    error.message = fmt::format(
        "This client is more than {} MiB behind the answer, which others read too; send the request again.", kBacklogMax >> 20
    );
    return {Outcome::kDownstreamDisconnect, std::move(error)};
}

// Nothing more goes to the client. Whether the call goes on is the others' matter.
void Exchange::lose_client() {
    if (std::exchange(client_gone_, true)) return;
    bool has_all = own_ && own_->ended() && client_.unwritten() == 0 && !client_.failed();
    if (own_ && !has_all) own_->client_missed_it();
    goes_on_ = own_ && !own_->ended() && own_->go_on_without_client([this] { on_deserted(); });
}

void Exchange::on_client_gone() {
    lose_client();
    if (goes_on_) {
        client_.close();
    } else {
        on_deserted();
    }
}

// Nobody waits for the answer any more.
void Exchange::on_deserted() {
    goes_on_ = false;
    if (active_ != nullptr) active_->abort();
    if (reader_ != nullptr) reader_->stop();
    client_.nudge();
}

}  // namespace balancer::dataplane
