// Upstream calls that several clients may share: who makes one, who reads it, its way from worker to worker, and who may
// have it again.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
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

// A whole answer that is kept for those who ask again because they did not get it.
struct KeptAnswer {
    SteadyTime until = {};
    std::string provider;  // whose it is
    std::string model;     // as it was asked for
};

// What all kept answers of a process may take. Each worker has an equal share.
struct KeepLimits {
    std::uint64_t bytes = 64U << 20;
    std::size_t answers = 1024;
};

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
    SteadyTime lingers_until = {};      // failed, and still found
    std::optional<KeptAnswer> kept;     // ended, and found by those who ask again
    std::uint64_t kept_cost = 0;        // of what KeepLimits allows
    std::uint32_t missed = 0;           // clients that left without all of it, and have not come again
    // Of a mirror:
    std::optional<std::uint64_t> ticket;
    WorkerIndex home = 0;
    bool was_kept = false;  // when it was asked for
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

    // That was all of a good answer. Those who ask again (Calls::Asks) get the same, while there is room.
    void end_and_keep(AnswerEnd how, KeptAnswer keep);

    // The maker's own client is not going to have all of it.
    void client_missed_it() { ++call_->missed; }

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

    // This client is not going to have all of it.
    void missed_it();

    // It fell too far behind.
    bool was_cut() const { return reader_->is_cut(); }

    // The answer was kept, whole, when this client came.
    bool is_replay() const { return was_kept_ || call_->was_kept; }

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
    bool was_kept_ = false;
    std::optional<Broadcast::Reader> reader_;
};

// The calls that one worker makes or whose answers its clients read. Lives on its worker; other workers' Calls reach it by
// post. All of a process live until none of their workers runs any more.
class Calls {
  public:
    Calls(
        boost::asio::io_context& context,
        ClaimTable& claims,
        WorkerIndex self,
        Broadcast::Limits limits = {},
        KeepLimits keep_limits = {}
    );
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

    // All of the process, by their WorkerIndex. Before the workers run.
    void meet(std::vector<Calls*> all) { all_ = std::move(all); }

    enum class Look {
        kEverywhere,
        kNowhere,  // what was found everywhere turned out to be gone, twice
    };

    // Whether a request says of itself that an earlier one did not get its answer.
    enum class Asks { kFirst, kAgain };

    // Not ours: to be read, with a CallReader made before anything else is done here. Ours: to be made, with an OwnCall.
    struct Found {
        std::shared_ptr<Call> call;
        bool ours = false;
    };
    Found find_or_begin(const wire::Signature& signature, Look look, Asks asks = Asks::kFirst);

    // Ends what has lingered, or been kept, long enough.
    void tidy(SteadyTime now);

    // Drops kept answers, the oldest first, until no more than so many chunk_bytes() are left, or none of them.
    void make_room(std::uint64_t chunk_bytes_max);
    void drop_kept_unless(const std::function<bool(const KeptAnswer&)>& is_good);

    // A chunk of a call that is made here: counted for as long as anybody has it, on whichever worker.
    Chunk make_chunk(std::string_view bytes) const;

    std::size_t listed() const { return by_signature_.size(); }  // kept ones too
    std::size_t kept() const { return kept_.size(); }
    std::size_t mirrors() const { return by_ticket_.size(); }
    std::uint64_t chunk_bytes() const { return chunk_bytes_->load(std::memory_order_relaxed); }

  private:
    friend class OwnCall;
    friend class CallReader;

    // What a chunk of a few bytes takes beside them.
    static constexpr std::uint64_t kChunkOverhead = 96;

    void list(const std::shared_ptr<Call>& call);
    void unlist(Call& call);
    void on_come(Call& call);
    void on_missed(Call& call);
    void on_left(const std::shared_ptr<Call>& call);
    void end(Call& call, std::shared_ptr<const AnswerEnd> how);

    // keep.cpp
    static bool is_for(const Call& call, Asks asks);
    static void come_back(Call& call);
    void keep(const std::shared_ptr<Call>& call, KeptAnswer keep);
    void drop(const std::shared_ptr<Call>& kept);
    void drop_oldest();
    void miss(const wire::Signature& signature, std::string_view maker);

    // Asked by other workers.
    void mirror(const wire::Signature& signature, Call::Mirror by, Asks asks);
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
    const KeepLimits keep_limits_;  // of all workers
    std::vector<Calls*> all_;
    std::unordered_map<wire::Signature, std::shared_ptr<Call>, wire::SignatureHash> by_signature_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Call>> by_ticket_;  // mirrors here, until they have ended
    std::unordered_map<std::uint64_t, std::shared_ptr<Call>> mirrored_;   // own calls, by key_of each of their mirrors
    std::vector<std::shared_ptr<Call>> lingering_;
    std::deque<std::shared_ptr<Call>> kept_;  // in the order in which they ended
    std::uint64_t kept_cost_ = 0;
    std::uint64_t tickets_ = 0;
    // Chunks give it back on whichever thread drops them last, perhaps after this is gone.
    std::shared_ptr<std::atomic<std::uint64_t>> chunk_bytes_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace balancer::dataplane
