// One request and its answer. exchange.cpp reads as the table of contents; each phase has a file of its own.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/coalesce/calls.hpp"
#include "dataplane/downstream/client_stream.hpp"
#include "dataplane/exchange/classify.hpp"
#include "dataplane/exchange/intent.hpp"
#include "dataplane/exchange/outgoing.hpp"
#include "dataplane/exchange/rank.hpp"
#include "dataplane/telemetry/access_log.hpp"
#include "dataplane/telemetry/request_record.hpp"
#include "dataplane/upstream/answer_filter.hpp"
#include "dataplane/upstream/response.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"
#include "dataplane/wire/downstream_head.hpp"
#include "dataplane/wire/format.hpp"
#include "dataplane/wire/sse.hpp"
#include "dataplane/worker_state.hpp"

namespace balancer::dataplane {

struct AnswerConversion;

// "bal_" and 16 hex digits.
std::string make_request_id(WorkerState& worker);

// A request that ends with an answer of our own.
struct LocalFailure {
    Outcome outcome = Outcome::kBadRequest;
    wire::LocalError error;
};

// The request is at fault, and no retry changes that.
LocalFailure refusal(unsigned status, std::string type, std::string message);

// The data plane is short of something for a moment: a retry may do.
LocalFailure overloaded(unsigned status, std::string code, std::string message);

// Why there is no count of our own (`why`: CountDone's).
LocalFailure not_counted(const Error& why);

// Lives on one worker for one request; run() is called once. `head` points into `input`, which holds the head's bytes
// and perhaps more; when run() has returned, `input` holds only bytes of the next request.
class Exchange {
  public:
    enum class After {
        kKeepAlive,
        kClose,
        kLinger,  // close, but the client may still be sending
    };

    Exchange(
        WorkerState& worker,
        ClientStream& client,
        const wire::RequestHead& head,
        Buffer& input,
        std::size_t head_size
    );
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    boost::asio::awaitable<After> run();

    // Is it this request that is asked about, and still under way? By its own id or the provider's.
    bool has_id(std::string_view id) const;

    bool is_over() const { return over_; }
    UnixMs arrived() const { return record_.at; }

    // What has become of it so far. Overwrites all of `into`, whose memory is used again.
    void recollect(RequestRecord& into) const;

    // The process stops and waits no longer: the upstream call ends, nobody else is tried, and the client is told so.
    void end_early();

  private:
    using Refusal = std::optional<LocalFailure>;

    // What became of one candidate whose turn came; in the order of turns.
    struct Turn {
        std::size_t candidate = 0;  // in plan_
        CandidateFate fate = CandidateFate::kPassedOver;
        std::size_t note = 0;       // its words, if it has any: in record_.failed_attempts
        std::string_view why = {};  // literal; in place of a note
        AttemptTimes times = {};
        bool probe = false;
        bool pooled = false;
    };

    struct Asked {
        ReadStatus status;
        bool dead = false;  // the connection had ended before the request could reach anybody
    };

    // What came of reading another request's call.
    enum class Reading {
        kDone,     // the answer is out, or the client has gone
        kGone,     // there is no such call any more
        kTooLate,  // it does not begin
    };

    // One client's view of another request's answer (read_call.cpp).
    struct Shown;

    boost::asio::awaitable<void> serve();
    void note_defect(std::string_view what);
    void finish();

    // recollect.cpp
    void end_turn(CandidateFate fate);
    std::string_view phase() const;
    void recollect_candidates(RequestRecord& into) const;

    // authenticate.cpp
    Refusal authenticate();

    // read_body.cpp
    boost::asio::awaitable<Refusal> read_body(std::uint64_t bytes_max);
    boost::asio::awaitable<Refusal> read_sized_body();
    boost::asio::awaitable<Refusal> read_chunked_body(std::uint64_t bytes_max);
    std::uint64_t memory_share() const;
    std::uint64_t memory_left() const;
    Refusal admit(std::uint64_t bytes);
    void charge(std::uint64_t bytes);
    void drop_outgoing();
    void release_body();
    Refusal too_large(std::uint64_t limit) const;
    boost::asio::awaitable<IoResult> receive(char* data, std::size_t size);

    // inspect.cpp
    Refusal inspect();

    // plan.cpp
    bool is_claude_code() const;
    SessionKey sticky_key() const;
    Plan make_plan();
    LocalFailure no_candidate(const Plan& plan) const;

    // attempt.cpp
    boost::asio::awaitable<void> try_candidates(const Plan& plan);
    boost::asio::awaitable<void> refuse(const Plan& plan);
    void be_at(const Provider* provider);
    boost::asio::awaitable<bool> take_permit(const Plan& plan, const Candidate& candidate, bool last);
    void give_permit_back();
    boost::asio::awaitable<Verdict> attempt(const Candidate& candidate);
    boost::asio::awaitable<ConnectFailure> connect(const Provider& provider, PooledConnection& connection);
    boost::asio::awaitable<Asked> ask(PooledConnection connection, const Provider& provider);
    void let_go();
    bool moves_on(const Verdict& verdict, const Candidate& candidate) const;
    Milliseconds patience(Milliseconds limit) const;
    void keep_session(const Provider& provider);
    void note(const Provider& provider, const Verdict& verdict, const ProbeTicket* probe = nullptr);
    void report(const Provider& provider, const Verdict& verdict, bool good, const ProbeTicket* probe);
    bool is_replaced(const Provider& provider) const;
    std::string_view model_sent(std::string_view candidates_model) const {
        return candidates_model.empty() ? std::string_view(record_.model) : candidates_model;
    }
    boost::asio::awaitable<void> simulate_delay();

    // prepare.cpp
    void prefer_thinking(Plan& plan);
    bool prepare(const Candidate& candidate);
    Result<void> convert_body(const Candidate& candidate);
    Result<void> splice(const Candidate& candidate);
    void pass_over(const Candidate& candidate, const Error& problem);
    Result<void> fit_converted(const Provider& provider);
    Result<void> fit(const Provider& provider, const Capabilities& takes, std::vector<wire::BodyEdit>& edits);
    void cut_foreign_thinking(const Provider& provider, std::vector<wire::BodyEdit>& edits);
    AnswerConversion conversion_for_client() const;
    std::unique_ptr<AnswerFilter> answer_filter(const Provider& provider);

    // judge.cpp
    boost::asio::awaitable<Verdict> judge(const Provider& provider);
    boost::asio::awaitable<Verdict> judge_stream(const Provider& provider);
    bool is_held_back(const Provider& provider) const;
    void count_held_back(std::uint64_t bytes);
    bool has_room_to_hold();
    Verdict judge_error_event(const Provider& provider, std::string_view data);
    std::optional<wire::SseEvent> next_event(wire::SseSplitter& events, std::string_view bytes);
    wire::LocalError read_error(const Provider& provider, unsigned status, std::string_view body);
    boost::asio::awaitable<ReadStatus> hold_body(std::size_t bytes_max);
    bool ended_without_saying_so() const;
    std::vector<std::string_view> client_keys() const;
    LocalFailure cut_refusal(const Provider& provider, unsigned status) const;

    // relay.cpp
    boost::asio::awaitable<void> relay(const Candidate& candidate);
    boost::asio::awaitable<void> relay_error(const Candidate& candidate);
    void note_error_answer(const Candidate& candidate);
    void note_upstream_id(const wire::ResponseHead& head);
    wire::BodyFraming begin_relay(const Candidate& candidate, std::string& head);
    std::size_t whole_events();
    boost::asio::awaitable<ErrorCode> forward(std::string_view head, std::size_t bytes, bool last);
    boost::asio::awaitable<void> relay_behind_pings(const Candidate& candidate);
    boost::asio::awaitable<void> cut(const Candidate& candidate, const ReadStatus& status);
    void note_error_event(const Provider& provider);

    boost::asio::awaitable<void> break_answer(bool stream, std::string_view before, wire::LocalError error);
    std::string event_of_answer(unsigned status, std::string_view body);

    // coalesce.cpp
    boost::asio::awaitable<bool> answered_by_another();
    bool is_shared() const;
    void begin_call(const wire::ResponseHead& upstream, const wire::BodyFraming& body);
    void append_to_call(Chunk chunk);
    void end_call(AnswerEnd how);
    std::optional<KeptAnswer> worth_keeping(const AnswerEnd& how) const;
    void end_call_with(const wire::LocalError& error);
    void share_whole(const wire::ResponseHead& head, std::string_view body);
    boost::asio::awaitable<ErrorCode> forward_to_all(std::string_view head, std::size_t bytes, bool last);
    boost::asio::awaitable<ErrorCode> keep_pace();
    void cut_off();
    LocalFailure too_slow() const;
    void lose_client();
    void on_client_gone();
    void on_deserted();

    // read_call.cpp
    boost::asio::awaitable<Reading> read_call(CallReader& reader);
    boost::asio::awaitable<Reading> read_call_through(CallReader& reader);
    void show(Shown& shown, const std::shared_ptr<const AnswerHead>& answer);
    void begin_showing(Shown& shown, std::uint64_t length);
    boost::asio::awaitable<void> show_chunks(Shown& shown, std::span<const Chunk> chunks, const AnswerEnd* end);
    boost::asio::awaitable<void> show_bytes(
        std::span<const boost::asio::const_buffer> buffers, std::size_t body_bytes
    );
    boost::asio::awaitable<void> show_whole(Shown& shown, const AnswerFilter::Step& step);
    boost::asio::awaitable<void> fail_reader(const Shown& shown, LocalFailure failure);
    LocalFailure lost_maker() const;

    // reply.cpp
    boost::asio::awaitable<void> fail(LocalFailure failure);
    boost::asio::awaitable<void> end_with(std::string event);
    boost::asio::awaitable<void> give_up(const Plan& plan);
    boost::asio::awaitable<void> reply(
        unsigned status,
        std::string_view content_type,
        std::string_view body,
        std::string_view more_lines = {}  // further header lines, each with its CR LF
    );
    wire::OwnHeaders own_headers() const;
    LocalFailure shutting_down() const;
    void log_failure(std::string_view why);
    void on_silence();

    // count_locally.cpp
    const tokens::Encoding* local_encoding(const Plan& plan) const;
    boost::asio::awaitable<void> count_locally(const tokens::Encoding& encoding);

    // models_page.cpp
    boost::asio::awaitable<void> serve_models();

    // page.cpp
    boost::asio::awaitable<void> serve_page();
    boost::asio::awaitable<void> relay_to_control_plane();

    // Nobody waits for the answer any more.
    bool deserted() const { return client_gone_ && !goes_on_; }
    bool over() const { return deserted() || ending_; }
    // Counting tokens says nothing about the health of inference, and leaves no prompt cache.
    bool is_inference() const { return operation_ != Operation::kCountTokens; }
    const Settings& settings() const { return snapshot_->settings; }
    const Timeouts& timeouts(const Provider& provider) const;
    bool wants_close() const;

    WorkerState& worker_;
    ClientStream& client_;
    const wire::RequestHead& head_;
    Buffer& input_;
    std::size_t input_used_;  // bytes of input_ that belong to this request
    Buffer next_input_;       // what came behind a chunked body; takes input_'s place at the end
    SteadyTime began_ = steady_now();
    Operation operation_ = Operation::kUnknown;
    wire::Format format_ = wire::Format::kAnthropic;  // the client's
    std::shared_ptr<const Snapshot> snapshot_;
    std::shared_ptr<const HealthView> health_;

    std::vector<std::string_view> balancer_keys_;  // the head's credential fields that hold keys of ours
    Buffer body_;
    std::uint64_t body_admitted_ = 0;
    bool body_read_ = false;
    wire::BodyFields fields_;
    Session session_;

    std::vector<const Route*> routes_;  // that match
    Plan plan_;
    std::uint16_t sticky_ = 0;          // the session's provider: StickyTable::provider_hash
    std::vector<Turn> turns_;
    std::string said_;                  // the words of an error of our own
    bool over_ = false;                 // finish() has begun

    std::optional<LocalFailure> refusal_;  // what to say when a provider refused the request and its words were cut
    Outgoing outgoing_;                       // for the candidate that is tried
    std::optional<LocalFailure> not_taken_;   // what to say when no candidate can take this request
    std::optional<wire::LocalError> told_;    // the provider's error, when its bytes are not in the client's format

    std::unique_ptr<UpstreamResponse> response_;
    const Provider* asked_ = nullptr;     // whose response_ is
    std::uint64_t held_back_ = 0;         // of response_, counted as memory for bodies
    const Provider* permit_ = nullptr;    // counted in process.in_flight
    const Provider* counted_ = nullptr;   // counted in the provider's in_flight gauge
    const Provider* at_ = nullptr;        // counted in the provider's attempts_in_flight gauge
    UpstreamStream* active_ = nullptr;    // what a leaving client aborts
    std::optional<OwnCall> own_;          // what others may read of this request's call
    CallReader* reader_ = nullptr;        // of another one's, while it is read
    bool goes_on_ = false;                // the client has gone, and others read
    bool committed_ = false;              // the answer was judged good when its relay began
    wire::SseSplitter events_;
    std::size_t events_scanned_ = 0;
    wire::convert::OpenaiAnswer chunk_;  // scratch memory
    bool saw_finish_ = false;      // a clean end of the body is the answer's
    bool saw_message_stop_ = false;
    bool saw_error_event_ = false;
    bool held_up_ = false;         // the answer's time ran out during a write to the client
    std::string error_event_;      // its data
    bool good_so_far_ = false;     // judged good, and not yet noted
    std::size_t attempts_ = 0;
    bool others_left_ = false;     // candidates behind the one that is tried
    UnixMs attempt_began_ = 0;
    AccountUse account_use_;  // what the answer at hand told

    SweepEntry silence_;
    bool chunked_out_ = false;
    bool until_close_out_ = false;
    bool head_sent_ = false;
    bool client_gone_ = false;
    bool ending_ = false;  // see end_early()
    bool close_after_ = false;
    AccessRecord record_;
};

}  // namespace balancer::dataplane
