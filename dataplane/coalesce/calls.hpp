// Upstream calls that several clients may share: who makes one, who reads it, and its way from worker to worker.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "dataplane/coalesce/broadcast.hpp"
#include "dataplane/coalesce/claim_table.hpp"
#include "dataplane/wire/signature.hpp"

namespace balancer::dataplane {

class Calls;

// A call as one worker sees it: the worker that makes it, or one whose clients read it (a mirror, which shares the chunks).
// Only Calls, OwnCall and CallReader touch its insides.
struct Call {
    // A worker that mirrors this call, and its own number for that.
    struct Mirror {
        WorkerIndex worker = 0;
        std::uint64_t ticket = 0;
    };

    Call(const wire::Signature& s, Broadcast::Limits limits) : signature(s), answer(limits) {}

    const wire::Signature signature;
    Broadcast answer;
    bool listed = false;   // found by those who come
    bool claimed = false;  // of one's own: and by those who come to other workers
    std::string maker;     // the request that makes it; of a mirror, once its home has answered
    // Of one's own:
    std::vector<Mirror> mirrors;
    std::function<void()> on_joined;    // somebody has come to read it
    std::function<void()> on_deserted;  // nobody is left; null while the maker's own client is there
    std::uint32_t joined = 0;           // readers that have come so far, here and elsewhere
    SteadyTime lingers_until = {};      // ended, and still found
    // Of a mirror:
    std::optional<std::uint64_t> ticket;
    WorkerIndex home = 0;
};

// The maker's side of a call. Gone without an end, it sends its readers to start afresh. Lives on one worker.
class OwnCall {
  public:
    // `maker` names the request. `on_joined` runs whenever a reader comes, here or on another worker.
    OwnCall(Calls& calls, std::shared_ptr<Call> call, std::string maker = {}, std::function<void()> on_joined = {});
    ~OwnCall();
    OwnCall(const OwnCall&) = delete;
    OwnCall& operator=(const OwnCall&) = delete;

    void begin(std::shared_ptr<const AnswerHead> head);
    void append(Chunk chunk);

    // Nobody finds it any more: there is no room to keep it for them.
    void seal();

    // That was all. Whoever comes before `lingers_until` (SteadyTime{}: nobody) gets the same.
    void end(AnswerEnd how, SteadyTime lingers_until = {});

    bool begun() const { return call_->answer.head() != nullptr; }
    bool ended() const { return call_->answer.ended(); }
    bool has_readers() const { return call_->answer.readers() > 0 || !call_->mirrors.empty(); }
    std::uint32_t joined() const { return call_->joined; }

    // Whether it makes a difference to anybody but the maker's client what is told to it.
    bool wanted() const { return call_->listed || has_readers(); }

    // The maker's own client has gone. False: nobody else is there either, and the call is to be given up. True: it goes on,
    // until `on_deserted` runs.
    bool go_on_without_client(std::function<void()> on_deserted);

  private:
    Calls& calls_;
    std::shared_ptr<Call> call_;
};

// One client's side of a call that somebody else makes. Lives on one worker, on which the call is too.
class CallReader {
  public:
    CallReader(Calls& calls, std::shared_ptr<Call> call);
    ~CallReader();
    CallReader(const CallReader&) = delete;
    CallReader& operator=(const CallReader&) = delete;

    // The next chunks, as soon as there are any. kWait: stop() has been called, which ends one wait.
    boost::asio::awaitable<Broadcast::Take> next(std::vector<Chunk>& out, std::size_t bytes_max);

    // Ends the wait for chunks that is under way, or else the next one.
    void stop();

    // The request that makes the call; empty while another worker has not told yet.
    const std::string& maker() const { return call_->maker; }

    const std::shared_ptr<const AnswerHead>& head() const { return reader_->head(); }
    const AnswerEnd* end() const { return reader_->end(); }
    std::uint64_t behind() const { return reader_->behind(); }

  private:
    Calls& calls_;
    std::shared_ptr<Call> call_;
    boost::asio::steady_timer news_;  // never expires; cancelled to wake next()
    bool stopped_ = false;
    std::optional<Broadcast::Reader> reader_;
};

// The calls that one worker makes or whose answers its clients read. Lives on its worker; other workers' Calls reach it by
// post. All of a process live until none of their workers runs any more.
class Calls {
  public:
    Calls(boost::asio::io_context& context, ClaimTable& claims, WorkerIndex self, Broadcast::Limits limits = {});
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

    // All of the process, by their WorkerIndex. Before the workers run.
    void meet(std::vector<Calls*> all) { all_ = std::move(all); }

    enum class Look {
        kEverywhere,
        kNowhere,  // what was found everywhere turned out to be gone, twice
    };

    // Not ours: to be read, with a CallReader made before anything else is done here. Ours: to be made, with an OwnCall.
    struct Found {
        std::shared_ptr<Call> call;
        bool ours = false;
    };
    Found find_or_begin(const wire::Signature& signature, Look look);

    // Ends what has lingered long enough.
    void tidy(SteadyTime now);

    // A chunk of a call that is made here: counted for as long as anybody has it, on whichever worker.
    Chunk make_chunk(std::string_view bytes) const;

    std::size_t listed() const { return by_signature_.size(); }
    std::size_t mirrors() const { return by_ticket_.size(); }
    std::uint64_t chunk_bytes() const { return chunk_bytes_->load(std::memory_order_relaxed); }

  private:
    friend class OwnCall;
    friend class CallReader;

    void list(const std::shared_ptr<Call>& call);
    void unlist(Call& call);
    void on_come(Call& call);
    void on_left(const std::shared_ptr<Call>& call);
    void end(Call& call, std::shared_ptr<const AnswerEnd> how);

    // Asked by other workers.
    void mirror(const wire::Signature& signature, Call::Mirror by);
    void come_to_mirror(Call::Mirror by);
    void drop_mirror(Call::Mirror by);
    std::shared_ptr<Call> find_mirror(std::uint64_t ticket);
    void end_mirror(std::uint64_t ticket, std::shared_ptr<const AnswerEnd> how);

    template <typename What>
    void tell(WorkerIndex worker, What what);
    template <typename What>
    void tell_mirrors(const Call& call, What what);

    boost::asio::io_context& context_;
    ClaimTable& claims_;
    const WorkerIndex self_;
    const Broadcast::Limits limits_;
    std::vector<Calls*> all_;
    std::unordered_map<wire::Signature, std::shared_ptr<Call>, wire::SignatureHash> by_signature_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Call>> by_ticket_;  // mirrors here, until they have ended
    std::unordered_map<std::uint64_t, std::shared_ptr<Call>> mirrored_;   // own calls, by key_of each of their mirrors
    std::vector<std::shared_ptr<Call>> lingering_;
    std::uint64_t tickets_ = 0;
    // Chunks give it back on whichever thread drops them last, perhaps after this is gone.
    std::shared_ptr<std::atomic<std::uint64_t>> chunk_bytes_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace balancer::dataplane
