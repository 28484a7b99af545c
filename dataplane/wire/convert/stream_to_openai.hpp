// Anthropic's event stream as a stream of chat completion chunks.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/wire/convert/answer_to_openai.hpp"
#include "dataplane/wire/convert/anthropic_event.hpp"
#include "dataplane/wire/convert/event_reader.hpp"
#include "dataplane/wire/convert/stream_state.hpp"

namespace balancer::wire::convert {

// One answer. Bytes of the provider's body go in, in pieces of any size; whole events come out, the
// same ones for every way to cut the pieces, `[DONE]` the last. A fault behind the beginning ends
// it with an error object in place of `[DONE]`. Pings are the caller's to add, as comments.
class StreamToOpenai {
  public:
    // `reader` outlives this and is used only inside of the calls.
    StreamToOpenai(JsonReader& reader, ToOpenaiAnswerOptions options);

    // As of StreamToAnthropic.
    void feed(std::string_view bytes, std::string& out);
    void end(std::string& out);
    void fail(StreamFault fault, LocalError error, std::string& out);
    const StreamState& state() const { return state_; }

  private:
    void read(const SseEvent& event, std::string& out);
    void take(std::string& out);
    void start_block(std::string& out);
    void add_delta(std::string& out);
    void stop_block(std::string& out);
    void begin(std::string& out);
    void complete(std::string& out);
    void open_chunk(std::string& out);
    void close_chunk(std::string& out, std::string_view finish_reason);
    void text_chunk(std::string& out, std::string_view member, std::string_view inside);
    void arguments_chunk(std::string& out, std::string_view inside);
    void break_off(StreamFault fault, std::string_view why, std::string& out);

    JsonReader& reader_;
    ToOpenaiAnswerOptions options_;
    EventReader input_;
    AnthropicEvent event_;
    StreamState state_;
    std::string stop_reason_;
    bool started_ = false;
    bool ended_ = false;
    bool in_tool_ = false;        // the open block is a call
    bool has_arguments_ = false;  // and a part of its arguments has gone out
    std::size_t calls_ = 0;
};

}  // namespace balancer::wire::convert
