// Writing Anthropic's event stream: indexes without gaps, one block open at a time, each closed
// before the next.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "dataplane/wire/convert/usage.hpp"

namespace balancer::wire::convert {

// Knows where in a stream it is; writes to the string that it is given. One per stream. Texts are
// insides of strings unless it says otherwise.
class AnthropicEvents {
  public:
    enum class Open { kNothing, kText, kThinking, kTool };

    bool started() const { return started_; }
    Open open() const { return open_; }

    // id and model are plain texts.
    void start_message(
        std::string& out, std::string_view id, std::string_view model, const Usage& usage
    );

    // Each closes what is open first.
    void start_text(std::string& out);
    void start_thinking(std::string& out);
    void start_tool(std::string& out, std::string_view id, std::string_view name);

    // Of the open block.
    void text(std::string& out, std::string_view inside);
    void thinking(std::string& out, std::string_view inside);
    void signature(std::string& out, std::string_view inside);
    void tool_input(std::string& out, std::string_view inside);

    void stop_block(std::string& out);

    // message_delta and message_stop; `stop_sequence` is raw JSON.
    void finish(
        std::string& out,
        std::string_view stop_reason,
        std::string_view stop_sequence,
        const Usage& usage
    );

  private:
    void start_block(std::string& out, Open open);
    void delta(
        std::string& out, std::string_view type, std::string_view member, std::string_view inside
    );

    bool started_ = false;
    Open open_ = Open::kNothing;
    std::size_t index_ = 0;  // of the open block, or of the next one
};

// `event: NAME`, and data up to and with its type.
void open_event(std::string& out, std::string_view name);
void close_event(std::string& out);

}  // namespace balancer::wire::convert
