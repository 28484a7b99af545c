// Chunk streams made of parts, and what becomes of them.
#pragma once

#include "dataplane/wire/convert/stream_to_anthropic.hpp"

#include <algorithm>

#include "tests/support/event_sequence.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {

using nlohmann::json;
using tests::SequenceCheck;

inline ToAnthropicOptions options() {
    return {"msg_1", "claude", {}, "bal_1"};
}

struct StreamOutcome {
    std::string out;
    StreamState state;
};

inline StreamOutcome feed(std::string_view stream, std::size_t piece = std::string_view::npos) {
    StreamToAnthropic converter(test_reader(), options());
    StreamOutcome run;
    for (std::size_t at = 0; at < stream.size(); at += std::min(piece, stream.size())) {
        converter.feed(stream.substr(at, piece), run.out);
    }
    converter.end(run.out);
    run.state = converter.state();
    return run;
}

inline std::string event(const std::string& data) {
    return "data: " + data + "\n\n";
}

inline std::string delta(const std::string& members, const std::string& finish = "null") {
    return event(
        R"({"id":"c","object":"chat.completion.chunk","created":1,"model":"g","choices":[{"index":0,"delta":{)" +
        members + R"(},"logprobs":null,"finish_reason":)" + finish + "}]}"
    );
}

inline std::string call(const std::string& members) {
    return delta(R"("tool_calls":[)" + members + "]");
}

inline const std::string kDone = "data: [DONE]\n\n";
inline const std::string kRole = delta(R"("role":"assistant","content":"","refusal":null)");
inline const std::string kUsage = event(
    R"({"id":"c","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":20}}})"
);

inline std::string finish(const std::string& reason) {
    return delta("", "\"" + reason + "\"") + kUsage + kDone;
}

// The message that a client puts together; a fault of the test when the stream is not whole.
inline json message_of(const std::string& stream) {
    StreamOutcome run = feed(stream);
    SequenceCheck check;
    EXPECT_EQ(check.check(run.out), "") << run.out;
    EXPECT_TRUE(check.is_whole()) << run.out << run.state.error.message;
    EXPECT_TRUE(run.state.finished);
    return check.message();
}

inline const std::string kLong =
    ": OPENROUTER PROCESSING\n\n" + kRole + delta(R"("reasoning_content":"let me \u00e9 think")") +
    delta(R"("reasoning_content":" more","content":"")") + delta(R"("content":"Hello \"w")") +
    delta("\"content\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\ud83d\"") +
    delta(R"("content":"\ude00\n","vendor":{"x":[1]})") +
    call(
        R"({"index":0,"id":"call_aaaaaaaa","type":"function","function":{"name":"Bash","arguments":""}})"
    ) +
    call(R"({"index":0,"function":{"arguments":"{\"command\":"}})") +
    call(R"({"index":0,"function":{"arguments":"\"ls \\\"x\\\"\"}"}})") +
    call(R"({"index":1,"id":"call_bbbbbbbb","function":{"name":"Read","arguments":"{}"}})") +
    finish("tool_calls");

}  // namespace balancer::wire::convert
