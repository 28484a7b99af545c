// The tool calls of one stream: collected from fragments that may be interleaved, passed on one
// after the other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/anthropic_events.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"
#include "dataplane/wire/convert/tool_input.hpp"

namespace balancer::wire::convert {

// The call whose block is open is passed on fragment by fragment; the others wait. It is closed
// when its arguments are a whole JSON object and something else comes, or at the end. Fragments
// that come before a call's name are kept.
class StreamCalls {
  public:
    // All outlive this.
    StreamCalls(JsonReader& reader, const ToAnthropicOptions& options, AnthropicEvents& events)
        : reader_(reader), options_(options), events_(events), ids_(options.message_id) {}

    // False: a fragment behind the end of its call, which has gone out already, or more calls than
    // any model makes.
    bool add(const OpenaiCall& fragment, std::string& out);

    // Closes the open call if its arguments are whole. False: it has to stay open.
    bool close_if_whole(std::string& out);

    // Closes the open call and writes all that wait. False: arguments of which a part has gone out
    // turned out to be no JSON; unless the answer was cut at its length, where that is to be
    // expected.
    bool finish(bool cut_short, std::string& out);

    bool any() const;
    std::size_t bytes_held() const { return bytes_held_; }

  private:
    struct Call {
        std::size_t index = 0;
        std::string id;
        std::string name;
        std::string text;  // of the arguments so far, not escaped
        std::string held;  // their insides that have not gone out
        bool opened = false;
        bool closed = false;
        bool passes_on = false;  // the text begins like an object
    };

    bool continues(const Call& call, const OpenaiCall& fragment);
    Call& find(const OpenaiCall& fragment);
    void open(std::size_t at, std::string& out);
    void pass_on(Call& call, std::string& out);
    bool close(Call& call, bool cut_short, std::string& out);
    bool is_whole(const Call& call);

    static constexpr std::size_t kCallsMax = 512;
    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

    JsonReader& reader_;
    const ToAnthropicOptions& options_;
    AnthropicEvents& events_;
    AnthropicToolIds ids_;
    std::vector<Call> calls_;
    std::size_t open_ = kNone;
    std::size_t bytes_held_ = 0;
    std::size_t whole_checked_at_ =
        0;  // size of the open call's text when it was last found not to be whole
};

}  // namespace balancer::wire::convert
