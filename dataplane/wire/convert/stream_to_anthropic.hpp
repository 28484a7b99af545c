// A stream of chat completion chunks as Anthropic's event stream.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/event_reader.hpp"
#include "dataplane/wire/convert/stop_reason.hpp"
#include "dataplane/wire/convert/stream_calls.hpp"
#include "dataplane/wire/convert/stream_state.hpp"

namespace balancer::wire::convert {

// One answer. Bytes of the provider's body go in, in pieces of any size; whole events come out, the
// same ones for every way to cut the pieces. Pings are the caller's to add, between two calls.
//
// Holds at most kEventBytesMax of an event that is not whole, and as much of what has to wait for
// another block's end.
class StreamToAnthropic {
  public:
    // `reader` outlives this and is used only inside of the calls.
    StreamToAnthropic(JsonReader& reader, ToAnthropicOptions options);
    StreamToAnthropic(const StreamToAnthropic&) = delete;
    StreamToAnthropic& operator=(const StreamToAnthropic&) = delete;

    // Appends to `out`. What comes behind the end or a fault is ignored.
    void feed(std::string_view bytes, std::string& out);

    // The provider's body has ended, and whole as far as HTTP can tell.
    void end(std::string& out);

    // Nothing more will come: the connection is lost, or silent. Whether the answer is whole all the
    // same: then its end is written. Else the caller goes on with fail().
    bool finish(std::string& out);

    // The caller's own news that nothing more will come: a cut connection, a timeout. An error
    // event is written if content has begun.
    void fail(StreamFault fault, LocalError error, std::string& out);

    const StreamState& state() const { return state_; }

  private:
    void read(const SseEvent& event, std::string& out);
    void read_chunk(std::string& out);
    void add_content(std::string& out);
    void begin(std::string& out);
    void add_text(std::string_view inside, std::string& out);
    void add_reasoning(std::string_view inside, std::string& out);
    void close_block(std::string& out);
    void complete(std::string& out);
    void break_off(StreamFault fault, std::string_view why, std::string& out);
    OpenaiEnd ending() const;
    bool holds_too_much() const;

    JsonReader& reader_;
    ToAnthropicOptions options_;
    EventReader input_;
    AnthropicEvents events_;
    StreamCalls calls_;
    StreamState state_;
    OpenaiAnswer chunk_;
    std::string finish_reason_;
    std::string stop_text_;
    std::string held_text_;  // said while a call's block was open
    std::string held_reasoning_;
    bool refused_ = false;
    bool ended_ = false;
};

}  // namespace balancer::wire::convert
