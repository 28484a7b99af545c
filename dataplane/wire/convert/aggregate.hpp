// Anthropic's event stream as the whole message that it tells.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/convert/anthropic_event.hpp"
#include "dataplane/wire/convert/event_reader.hpp"
#include "dataplane/wire/convert/member_list.hpp"
#include "dataplane/wire/convert/stream_state.hpp"

namespace balancer::wire::convert {

// One answer. Blocks and members that are not known come through as they are; a block's text,
// thinking, signature, input and citations are put together from its deltas. Holds at most
// kMessageBytesMax.
class Aggregate {
  public:
    static constexpr std::size_t kMessageBytesMax = 64U << 20;

    // `reader` outlives this and is used only inside of the calls.
    explicit Aggregate(JsonReader& reader) : reader_(reader) {}

    void feed(std::string_view bytes);
    // The stream has ended; a message without its message_stop is cut.
    void end();

    // Once it is finished: the message, whole JSON.
    void append_message(std::string& out) const;

    // `begun` is true with the first block; nothing has gone out then.
    const StreamState& state() const { return state_; }

  private:
    struct Building {
        MemberList members;
        std::string text;  // insides, by what the deltas were of
        std::string thinking;
        std::string signature;
        std::string input;  // partial_json, not escaped
        std::string citations;
        bool open = true;
    };

    void read(const SseEvent& event);
    void take();
    void start_block();
    void add_delta();
    void stop_block();
    void break_off(StreamFault fault, std::string_view why);

    JsonReader& reader_;
    EventReader input_;
    StreamState state_;
    AnthropicEvent event_;
    MemberList message_;
    MemberList usage_;
    std::vector<Building> blocks_;
    std::size_t bytes_ = 0;
    bool started_ = false;
    bool ended_ = false;
};

}  // namespace balancer::wire::convert
