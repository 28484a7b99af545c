// What a fake provider does, request by request: a script in C++ or in JSON (README.md lists the
// keys).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "tests/support/http_text.hpp"

namespace balancer::tests {

using std::chrono::milliseconds;

struct ToolUse {
    std::string name;
    std::string input_json;  // an object, compact
};

// One piece of a stream, sent as it is, after `gap` of silence.
struct StreamEvent {
    std::string bytes;
    milliseconds gap{0};
};

// An assistant's message to generate, whole or as a stream.
struct MessageSpec {
    std::string text = "Hello from the fake provider.";
    std::size_t text_bytes = 0;   // not 0: filler of this size instead of `text`
    std::string model;            // empty: the request's
    std::string thinking;         // not empty: a thinking block comes first
    std::string signature;        // of it, and the only one that is taken; empty: kFakeSignature
    std::optional<ToolUse> tool;  // a tool_use block comes last
    std::string stop_reason;      // empty: end_turn, or tool_use with a tool
    unsigned input_tokens = 25;
    unsigned output_tokens = 0;  // 0: the number of words

    // Of a stream only.
    milliseconds event_gap{0};        // before each event after message_start
    unsigned pings_before_start = 0;  // `ping` events before message_start
    milliseconds ping_gap{0};         // before each of those
    std::size_t delta_bytes = 0;      // size of a text delta; 0: a word each
};

// What Anthropic answers when something is wrong.
struct ErrorSpec {
    std::string type;     // empty: the status's own
    std::string message;  // empty: the type's own
};

// An `error` event in a stream, after which the stream ends (as Anthropic's does).
struct ErrorEvent {
    std::size_t after_events = 0;
    ErrorSpec error;
};

enum class Framing { kNatural, kContentLength, kChunked, kUntilClose };

// The reply stops before its end.
struct Break {
    enum class How {
        kReset,     // RST
        kClose,     // FIN, without the terminal chunk
        kFinish,    // the terminal chunk, as if all had been said
        kHang,      // silence until the peer gives up
        kBadChunk,  // a chunk size that is none, then FIN
    };
    enum class After { kHeadBytes, kBodyBytes, kEvents };
    How how = How::kReset;
    After after = After::kHeadBytes;
    std::size_t count = 0;  // body bytes are counted on the wire, chunk framing included
};

enum class Closing {
    kKeepAlive,
    kAnnounced,  // `connection: close`, then FIN
    kSilent,     // FIN right after the reply, although it was not announced
};

// One request's treatment.
struct Step {
    unsigned status = 200;
    HeaderLines headers;              // added; a name given here replaces the generated line
    std::optional<std::string> body;  // verbatim, instead of anything generated
    std::optional<ErrorSpec>
        error;  // generated error body; the default for a status of 400 and more
    MessageSpec message;
    std::optional<std::vector<StreamEvent>> events;  // a stream verbatim
    Framing framing = Framing::kNatural;  // natural: chunked streams, other bodies by length
    Closing closing = Closing::kKeepAlive;

    bool refuse = false;         // RST at accept; on a kept connection, RST instead of an answer
    milliseconds delay{0};       // before the head
    unsigned informational = 0;  // `100 Continue` heads before the real one
    std::optional<ErrorEvent> error_event;
    std::optional<Break> break_off;
    std::size_t trickle_bytes = 0;  // not 0: at most so many bytes at a time,
    milliseconds trickle_gap{1};    // and this pause between them
    int content_length_off_by = 0;  // the lie in content-length; a long one ends with FIN
    bool garbage_head = false;      // bytes that are not HTTP instead of the head
    std::size_t times = 1;          // requests that this step serves
};

// All that is given must hold.
struct Match {
    std::optional<std::string> path;  // without the query; not given: /v1/messages and …/chat/completions
    std::optional<std::string> model;
    std::optional<std::string> header;  // present, whatever its value
    std::optional<bool> stream;
};

enum class AtTheEnd { kRepeatLast, kLoop };

// Steps in their order; no step at all means success.
struct Rule {
    Match match;
    std::vector<Step> steps;
    AtTheEnd at_the_end = AtTheEnd::kRepeatLast;
};

enum class OnExpect { kContinue, kIgnore, kRefuse };

// The first rule that matches serves the request and moves on by one step. Nothing matches:
// success. Paths other than /v1/messages take part only when a rule names them, so that a client's
// probes do not use steps up.
struct Script {
    std::vector<Rule> rules;
    OnExpect on_expect = OnExpect::kContinue;  // what `Expect: 100-continue` gets; kRefuse is a 417
    bool reads_body = true;                    // false: answers at the head, and closes
};

// A script of one rule.
Script script_of(std::vector<Step> steps, AtTheEnd at_the_end = AtTheEnd::kRepeatLast);

// Steps that tests name often.
Step status_step(unsigned status, HeaderLines headers = {});
Step break_step(Break::How how, Break::After after, std::size_t count);

// Strict: an unknown key is an error that names it.
Result<Script> parse_script(std::string_view json);

// Where a rule stands. Not thread-safe.
class ScriptCursor {
  public:
    explicit ScriptCursor(Script script = {});

    struct Facts {
        std::string path;
        std::string model;
        const HeaderLines* headers = nullptr;
        bool stream = false;
    };

    // The step for this request, used up.
    Step next(const Facts& facts);

    // True when the next message step of a rule without conditions refuses; that step is then used
    // up.
    bool refuses_connection();

    const Script& script() const { return script_; }

  private:
    struct Position {
        std::size_t step = 0;
        std::size_t served = 0;  // by that step
    };
    const Step* current(std::size_t rule) const;
    void advance(std::size_t rule);

    Script script_;
    std::vector<Position> positions_;
};

}  // namespace balancer::tests
