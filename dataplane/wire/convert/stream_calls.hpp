// The tool calls of one stream: collected from fragments that may be interleaved, passed on one
// after the other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/wire/convert/answer_to_anthropic.hpp"
#include "dataplane/wire/convert/anthropic_events.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/openai_answer.hpp"
#include "dataplane/wire/convert/tool_input.hpp"

namespace balancer::wire::convert {

// Follows a text to the end of the object that it begins with, each byte once. That its brackets match is all it says:
// not that they are of one kind, or that the text is JSON.
class ObjectEnd {
  public:
    void feed(std::string_view more);
    // `{` is its first byte that is not blank.
    bool began() const { return began_; }
    // And nothing that is not blank is behind the end.
    bool reached() const { return at_ == At::kBehind; }

  private:
    enum class At { kBefore, kInside, kBehind, kOther };

    void step(char c);

    At at_ = At::kBefore;
    std::size_t depth_ = 0;
    bool began_ = false;
    bool in_string_ = false;
    bool escaped_ = false;
};

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
        ObjectEnd end;     // of the text
        std::optional<bool> is_object;  // the whole text, once its end is reached
        bool opened = false;
        bool closed = false;
        bool passes_on = false;  // the text begins like an object
    };

    bool continues(Call& call, const OpenaiCall& fragment);
    Call& find(const OpenaiCall& fragment);
    void open(std::size_t at, std::string& out);
    void pass_on(Call& call, std::string& out);
    bool close(Call& call, bool cut_short, std::string& out);
    bool is_whole(Call& call);

    static constexpr std::size_t kCallsMax = 512;
    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

    JsonReader& reader_;
    const ToAnthropicOptions& options_;
    AnthropicEvents& events_;
    AnthropicToolIds ids_;
    std::vector<Call> calls_;
    std::size_t open_ = kNone;
    std::size_t bytes_held_ = 0;
};

}  // namespace balancer::wire::convert
