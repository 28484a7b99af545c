#include "dataplane/wire/convert/answer_to_openai.hpp"

#include "dataplane/wire/convert/expand.hpp"
#include "dataplane/wire/convert/stream_to_anthropic.hpp"
#include "dataplane/wire/convert/stream_to_openai.hpp"
#include "dataplane/wire/openai_error.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

using nlohmann::json;

const std::string kMessage =
    R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"thinking","thinking":"hm","signature":"s"},
    {"type":"text","text":"a \u00e9"},{"type":"text","text":" b"},{"type":"tool_use","id":"toolu_01","name":"Bash","input":{"c":"x \"y\"","n":1.50}},{"type":"tool_use","id":"toolu_02","name":"None","input":{}}],
    "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":20,"output_tokens":7}})";

ToOpenaiAnswerOptions options(bool usage = true) {
    return {"chatcmpl-1", "gpt", 1700000000, usage, "bal_1"};
}

TEST(AnswerToOpenai, AWholeMessage) {
    std::string out;
    ASSERT_TRUE(answer_to_openai(test_reader(), kMessage, options(), out));
    EXPECT_EQ(
        parse(out),
        json::parse(
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt","choices":[{"index":0,"message":{"role":"assistant","content":"a \u00e9 b","refusal":null,
        "reasoning_content":"hm","tool_calls":[{"id":"toolu_01","type":"function","function":{"name":"Bash","arguments":"{\"c\":\"x \\\"y\\\"\",\"n\":1.50}"}},{"id":"toolu_02","type":"function","function":{"name":"None","arguments":"{}"}}]},
        "logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":35,"completion_tokens":7,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":20}}})"
        )
    );
    for (const auto& [stop, finish] : std::initializer_list<std::pair<const char*, const char*>>{
             {"end_turn", "stop"},
             {"stop_sequence", "stop"},
             {"pause_turn", "stop"},
             {"max_tokens", "length"},
             {"model_context_window_exceeded", "length"},
             {"refusal", "content_filter"},
             {"new", "stop"}}) {
        std::string one;
        ASSERT_TRUE(answer_to_openai(
            test_reader(),
            std::string(R"({"type":"message","content":[],"stop_reason":")") + stop + "\"}",
            options(),
            one
        ));
        EXPECT_EQ(parse(one)["choices"][0]["finish_reason"], finish);
        EXPECT_EQ(parse(one)["choices"][0]["message"]["content"], json());
    }
    std::string none;
    for (const char* bad :
         {"",
          "{}",
          R"({"type":"error","error":{}})",
          R"({"type":"message","content":[{"type":"tool_use"}]})"}) {
        EXPECT_FALSE(answer_to_openai(test_reader(), bad, options(), none)) << bad;
        EXPECT_EQ(none, "");
    }
}

// The chunks of a stream; `done` says whether [DONE] was the last.
std::vector<json> chunks_of(std::string_view stream, bool& done) {
    std::vector<json> chunks;
    done = false;
    while (!stream.empty()) {
        std::size_t end = stream.find("\n\n");
        EXPECT_TRUE(stream.starts_with("data: ") && end != std::string_view::npos) << stream;
        EXPECT_FALSE(done) << "something behind [DONE]";
        if (end == std::string_view::npos) break;
        std::string_view data = stream.substr(6, end - 6);
        done = data == "[DONE]";
        if (!done) chunks.push_back(parse(data));
        stream.remove_prefix(end + 2);
    }
    return chunks;
}

std::string anthropic_stream() {
    std::string stream;
    EXPECT_TRUE(expand_message(test_reader(), kMessage, stream));
    return stream;
}

StreamState convert(
    std::string_view stream, std::string& out, bool usage = true, std::size_t piece = 1 << 20
) {
    StreamToOpenai converter(test_reader(), options(usage));
    for (std::size_t at = 0; at < stream.size(); at += piece)
        converter.feed(stream.substr(at, piece), out);
    converter.end(out);
    return converter.state();
}

TEST(StreamToOpenai, TheChunksAddUpToTheMessage) {
    std::string out;
    StreamState state = convert(anthropic_stream(), out);
    ASSERT_TRUE(state.finished) << state.error.message;
    EXPECT_EQ(state.usage, (Usage{10, 5, 20, 7}));
    bool done = false;
    std::vector<json> chunks = chunks_of(out, done);
    EXPECT_TRUE(done);
    EXPECT_EQ(
        chunks.front()["choices"][0]["delta"],
        json::parse(R"({"role":"assistant","content":"","refusal":null})")
    );
    EXPECT_EQ(chunks.back()["choices"], json::array());
    EXPECT_EQ(chunks.back()["usage"]["prompt_tokens"], 35);
    EXPECT_EQ(chunks[chunks.size() - 2]["choices"][0]["finish_reason"], "tool_calls");
    std::string text, reasoning;
    std::vector<std::string> calls;
    for (std::size_t i = 0; i + 1 < chunks.size(); ++i) {
        EXPECT_EQ(chunks[i]["id"], "chatcmpl-1");
        EXPECT_EQ(chunks[i]["object"], "chat.completion.chunk");
        EXPECT_TRUE(chunks[i].contains("usage") && chunks[i]["usage"].is_null());
        const json& delta = chunks[i]["choices"][0]["delta"];
        if (delta.contains("content")) text += delta["content"].get<std::string>();
        if (delta.contains("reasoning_content"))
            reasoning += delta["reasoning_content"].get<std::string>();
        if (!delta.contains("tool_calls")) continue;
        const json& call = delta["tool_calls"][0];
        std::size_t index = call["index"];
        if (call.contains("id"))
            calls.push_back(
                call["id"].get<std::string>() + " " + call["function"]["name"].get<std::string>() +
                " "
            );
        ASSERT_EQ(index + 1, calls.size());
        calls[index] += call["function"]["arguments"].get<std::string>();
    }
    EXPECT_EQ(text, "a \xc3\xa9 b");
    EXPECT_EQ(reasoning, "hm");
    EXPECT_EQ(
        calls,
        (std::vector<std::string>{R"(toolu_01 Bash {"c":"x \"y\"","n":1.50})", "toolu_02 None {}"})
    );
}

TEST(StreamToOpenai, EverySplitGivesTheSameChunks) {
    std::string stream = anthropic_stream();
    std::string whole;
    convert(stream, whole, false);
    EXPECT_EQ(whole.find("\"usage\""), std::string::npos);
    for (std::size_t piece = 1; piece < 200; piece += 3) {
        std::string out;
        convert(stream, out, false, piece);
        ASSERT_EQ(out, whole) << piece;
    }
}

TEST(StreamToOpenai, FaultsBeforeAndBehindTheBeginning) {
    std::string stream = anthropic_stream();
    std::string out;
    std::size_t content = stream.find("event: content_block_delta");
    EXPECT_EQ(convert(stream.substr(0, content), out).fault, StreamFault::kCut);
    EXPECT_EQ(out, "") << "nothing has begun";
    StreamState said = convert(
        "event: error\ndata: "
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"full\"}}\n\n",
        out
    );
    EXPECT_EQ(said.fault, StreamFault::kProviderError);
    EXPECT_EQ(said.error.status, 529U);
    EXPECT_EQ(said.error.type, "overloaded_error");
    EXPECT_EQ(out, "");
    StreamState cut = convert(stream.substr(0, stream.size() - 10), out);
    EXPECT_EQ(cut.fault, StreamFault::kCut);
    EXPECT_TRUE(cut.begun);
    bool done = false;
    std::vector<json> chunks = chunks_of(out, done);
    EXPECT_FALSE(done);
    EXPECT_EQ(chunks.back()["error"]["type"], "server_error");
    EXPECT_EQ(chunks.back()["request_id"], "bal_1");
    EXPECT_EQ(
        convert("data: {\"type\":\"content_block_start\",\"index\":0}\n\n", out).fault,
        StreamFault::kMalformed
    );
    EXPECT_EQ(
        convert("data: " + std::string(kEventBytesMax, 'x'), out).fault, StreamFault::kTooLarge
    );
}

TEST(StreamToOpenai, ThroughBothMachinesTheAnswerStaysTheSame) {
    std::string chunks;
    ASSERT_TRUE(convert(anthropic_stream(), chunks).finished);
    StreamToAnthropic back(test_reader(), {"msg_1", "claude"});
    std::string stream;
    back.feed(chunks, stream);
    back.end(stream);
    ASSERT_TRUE(back.state().finished);
    std::string again;
    ASSERT_TRUE(convert(stream, again).finished);
    EXPECT_EQ(again, chunks);
}

TEST(ErrorToOpenai, InItsShape) {
    auto shaped = [](unsigned status, std::string_view body) {
        LocalError error = anthropic_error(status, body);
        std::string out;
        append_openai_error(out, error, "bal_1");
        json parsed = parse(out);
        parsed["status"] = openai_status_of(error);
        return parsed;
    };
    EXPECT_EQ(
        shaped(
            429, R"({"type":"error","error":{"type":"rate_limit_error","message":"slow \"down\""}})"
        ),
        json::parse(
            R"({"error":{"message":"slow \"down\"","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"},"request_id":"bal_1","status":429})"
        )
    );
    EXPECT_EQ(
        shaped(
            400,
            R"({"error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}})"
        )["error"]["code"],
        "context_length_exceeded"
    );
    EXPECT_EQ(shaped(529, R"({"error":{"type":"overloaded_error","message":"x"}})")["status"], 503);
    EXPECT_EQ(
        shaped(200, R"({"error":{"type":"authentication_error","message":"x"}})")["status"], 401
    );
    EXPECT_EQ(shaped(502, "<html>")["error"]["message"], "The provider answered with status 502");
}

}  // namespace
}  // namespace balancer::wire::convert
