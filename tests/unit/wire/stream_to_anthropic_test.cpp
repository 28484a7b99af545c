#include <fmt/format.h>

#include "tests/unit/wire/stream_to_anthropic_fixture.hpp"

namespace balancer::wire::convert {
namespace {

// Halves of a surrogate pair in two events, which another parser refuses.
std::string without_halves(std::string stream) {
    stream.erase(stream.find("\\ud83d"), 6);
    stream.erase(stream.find("\\ude00"), 6);
    return stream;
}

TEST(StreamToAnthropic, TheExactEventsOfAnAnswer) {
    StreamOutcome run = feed(kRole + delta(R"("content":"Hi")") + finish("stop"));
    EXPECT_EQ(
        run.out,
        "event: message_start\ndata: "
        "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"
        "\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":"
        "null,\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_"
        "tokens\":0,\"output_tokens\":0}}}\n\n"
        "event: content_block_start\ndata: "
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
        "\"text\":\"\"}}\n\n"
        "event: content_block_delta\ndata: "
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
        "\"Hi\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: "
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":"
        "null},\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_"
        "tokens\":20,\"output_tokens\":9}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
    );
    EXPECT_TRUE(run.state.has_usage);
    EXPECT_EQ(run.state.usage, (Usage{10, 0, 20, 9}));
}

TEST(StreamToAnthropic, EverySplitAndBothLineEndsGiveTheSameEvents) {
    StreamOutcome whole = feed(kLong);
    ASSERT_TRUE(whole.state.finished);
    SequenceCheck check;
    EXPECT_EQ(check.check(feed(without_halves(kLong)).out), "");
    EXPECT_TRUE(check.is_whole());
    std::string crlf;
    for (char c : kLong) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
    for (std::size_t piece = 1; piece < 400; ++piece) {
        ASSERT_EQ(feed(kLong, piece).out, whole.out) << piece;
        ASSERT_EQ(feed(crlf, piece).out, whole.out) << piece;
    }
    for (std::size_t cut = 0; cut < kLong.size(); cut += 7) {
        StreamToAnthropic converter(test_reader(), options());
        std::string out;
        converter.feed(std::string_view(kLong).substr(0, cut), out);
        converter.feed(std::string_view(kLong).substr(cut), out);
        ASSERT_EQ(out, whole.out) << cut;
    }
}

TEST(StreamToAnthropic, ThinkingTextAndToolsInTurn) {
    json message = message_of(without_halves(kLong));
    EXPECT_EQ(message["stop_reason"], "tool_use");
    const json& content = message["content"];
    ASSERT_EQ(content.size(), 4U) << content.dump(1);
    EXPECT_EQ(
        content[0],
        (json{
            {"type", "thinking"},
            {"thinking", "let me \xc3\xa9 think more"},
            {"signature", kConvertedSignature}})
    );
    EXPECT_EQ(content[1]["text"], "Hello \"w\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n");
    EXPECT_EQ(
        content[2],
        json::parse(
            R"({"type":"tool_use","id":"call_aaaaaaaa","name":"Bash","input":{"command":"ls \"x\""}})"
        )
    );
    EXPECT_EQ(
        content[3],
        json::parse(R"({"type":"tool_use","id":"call_bbbbbbbb","name":"Read","input":{}})")
    );
}

TEST(StreamToAnthropic, EveryStopReason) {
    auto reason = [](const std::string& stream) {
        return message_of(stream)["stop_reason"].get<std::string>();
    };
    std::string text = delta(R"("content":"x")");
    EXPECT_EQ(reason(text + finish("stop")), "end_turn");
    EXPECT_EQ(reason(text + finish("length")), "max_tokens");
    EXPECT_EQ(reason(text + finish("content_filter")), "refusal");
    EXPECT_EQ(reason(text + finish("model_length")), "max_tokens");
    EXPECT_EQ(reason(text + delta("", "\"stop\"")), "end_turn") << "no [DONE], and a clean end";
    EXPECT_EQ(reason(delta(R"("refusal":"no")") + finish("stop")), "refusal");
    json stopped = message_of(
        text +
        event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"END"}]})"
        ) +
        kDone
    );
    EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
    EXPECT_EQ(stopped["stop_sequence"], "END");
    EXPECT_EQ(message_of(kRole + finish("stop"))["content"], json::array());
}

TEST(StreamToAnthropic, LeavesNothingBehindWhenItFailsBeforeContent) {
    for (const std::string& bad :
         {event(R"({"error":{"message":"Rate limit","type":"rate_limit_error"}})"),
          kRole + event("{\"choices\":"),
          kRole,
          std::string(),
          kRole + kDone,
          kDone,
          std::string("event: error\ndata: {\"message\":\"x\"}\n\n"),
          std::string("<html>\n\n</html>"),
          event(R"({"choices":[{"delta":{"content":"\q"}}]})")}) {
        StreamOutcome run = feed(bad);
        EXPECT_NE(run.state.fault, StreamFault::kNone) << bad;
        EXPECT_FALSE(run.state.begun) << bad;
        EXPECT_EQ(run.out, "") << bad;
        EXPECT_FALSE(run.state.error.message.empty());
    }
    StreamOutcome limited =
        feed(event(R"({"error":{"message":"Rate limit","type":"rate_limit_error"}})"));
    EXPECT_EQ(limited.state.fault, StreamFault::kProviderError);
    EXPECT_EQ(limited.state.error.status, 429U);
    EXPECT_EQ(limited.state.error.type, "rate_limit_error");
}

TEST(StreamToAnthropic, AFaultBehindContentIsAnErrorEventAndTheLast) {
    std::string text = delta(R"("content":"x")");
    struct Case {
        std::string bytes;
        StreamFault fault;
        std::string type;
    };
    for (const Case& one : {
             Case{
                 text + event(R"({"error":{"message":"m","code":502}})") + text,
                 StreamFault::kProviderError,
                 "api_error"},
             Case{text + event("{") + text, StreamFault::kMalformed, "overloaded_error"},
             Case{text, StreamFault::kCut, "overloaded_error"},
             Case{text + kDone, StreamFault::kCut, "overloaded_error"},
             Case{text + "data: {\"choi", StreamFault::kCut, "overloaded_error"},
             Case{
                 text + delta("", "\"error\"") + text,
                 StreamFault::kProviderError,
                 "overloaded_error"},
             Case{
                 text + finish("insufficient_system_resource"),
                 StreamFault::kProviderError,
                 "overloaded_error"},
             Case{text + finish("abort"), StreamFault::kProviderError, "overloaded_error"},
             Case{
                 text +
                     event(
                         R"({"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":429,"message":"m"}}]})"
                     ),
                 StreamFault::kProviderError,
                 "rate_limit_error"},
             Case{
                 text +
                     call(
                         R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{}"}})"
                     ) +
                     text + call(R"({"index":0,"function":{"arguments":"x"}})"),
                 StreamFault::kMalformed,
                 "overloaded_error"},
         }) {
        StreamOutcome run = feed(one.bytes);
        EXPECT_EQ(run.state.fault, one.fault) << one.bytes;
        SequenceCheck check;
        EXPECT_EQ(check.check(run.out), "") << run.out;
        EXPECT_TRUE(check.has_error());
        EXPECT_EQ(check.error()["type"], one.type) << one.bytes;
        EXPECT_NE(run.out.find("\"request_id\":\"bal_1\""), std::string::npos);
    }
}

TEST(StreamToAnthropic, WhatIsLostBehindTheReasonIsNotMissed) {
    std::string text = delta(R"("content":"x")");
    StreamToAnthropic whole(test_reader(), options());
    std::string out;
    whole.feed(text, out);
    whole.feed(delta("", "\"stop\""), out);
    EXPECT_TRUE(whole.finish(out));
    SequenceCheck check;
    EXPECT_EQ(check.check(out), "");
    EXPECT_TRUE(check.is_whole());
    EXPECT_EQ(check.message()["stop_reason"], "end_turn");
    StreamToAnthropic cut(test_reader(), options());
    out.clear();
    cut.feed(text, out);
    std::string before = out;
    EXPECT_FALSE(cut.finish(out));
    EXPECT_EQ(out, before);
    EXPECT_FALSE(cut.state().over()) << "what to say is the caller's to decide";
}

TEST(StreamToAnthropic, TheCallerCanBreakItOff) {
    StreamToAnthropic converter(test_reader(), options());
    std::string out;
    converter.feed(delta(R"("content":"x")"), out);
    LocalError error;
    error.type = kSendAgain;
    error.message = "reset";
    converter.fail(StreamFault::kCut, error, out);
    converter.feed(finish("stop"), out);
    converter.end(out);
    SequenceCheck check;
    EXPECT_EQ(check.check(out), "");
    EXPECT_EQ(check.error()["message"], "reset");
}

TEST(StreamToAnthropic, WhatGrowsWithoutEndIsAFault) {
    std::string big(kEventBytesMax + 1, 'x');
    EXPECT_EQ(feed("data: " + big).state.fault, StreamFault::kTooLarge);
    EXPECT_EQ(feed("data: " + big, 1 << 20).state.fault, StreamFault::kTooLarge);
    EXPECT_EQ(feed(delta("\"content\":\"" + big + "\"")).state.fault, StreamFault::kTooLarge);
    StreamToAnthropic converter(test_reader(), options());
    std::string out;
    std::string piece =
        call(R"({"index":0,"function":{"arguments":")" + std::string(1 << 20, 'x') + R"("}})");
    for (int i = 0; i < 9; ++i) converter.feed(piece, out);
    EXPECT_EQ(converter.state().fault, StreamFault::kTooLarge);
    StreamToAnthropic many(test_reader(), options());
    for (int i = 0; i < 1000; ++i)
        many.feed(call("{\"index\":" + std::to_string(i) + R"(,"function":{"name":"n"}})"), out);
    EXPECT_EQ(many.state().fault, StreamFault::kMalformed);
}

TEST(StreamToAnthropic, ThinkingAsAPartOfTheContent) {
    json content = message_of(
        delta(R"("content":[{"type":"thinking","thinking":[{"type":"text","text":"be"}]}])") +
        delta(R"("content":[{"type":"thinking","thinking":"cause"}])") +
        delta(R"("content":[{"type":"text","text":"y"}])") + delta(R"("content":"z")") +
        finish("stop")
    )["content"];
    ASSERT_EQ(content.size(), 2U) << content.dump();
    EXPECT_EQ(content[0]["thinking"], "because");
    EXPECT_EQ(content[1]["text"], "yz");
}

TEST(StreamToAnthropic, UsageThatIsToldTwiceIsTheGreater) {
    auto usage = [](int prompt, int completion, int cached) {
        return event(fmt::format(
            R"({{"choices":[],"usage":{{"prompt_tokens":{},"completion_tokens":{},"prompt_tokens_details":{{"cached_tokens":{}}}}}}})",
            prompt,
            completion,
            cached
        ));
    };
    std::string text = delta(R"("content":"x")");
    std::string end = delta("", "\"stop\"") + kDone;
    EXPECT_EQ(feed(usage(30, 1, 0) + text + usage(0, 0, 0) + end).state.usage, (Usage{30, 0, 0, 1}));
    EXPECT_EQ(feed(usage(30, 1, 0) + text + usage(30, 9, 20) + end).state.usage, (Usage{10, 0, 20, 9}));
    // Known before the content, it is in the first event.
    EXPECT_NE(feed(usage(30, 0, 0) + text + end).out.find(R"("input_tokens":30,"cache)"), std::string::npos);
}

TEST(StreamToAnthropic, AWholeMessageInAStreamIsReadOnce) {
    auto text = [](const std::string& stream) {
        json content = message_of(stream)["content"];
        return content.size() == 1 ? content[0]["text"].get<std::string>() : content.dump();
    };
    std::string last =
        R"({"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi you"}}],)"
        R"("usage":{"prompt_tokens":3,"completion_tokens":2}})";
    std::string both =
        R"({"choices":[{"index":0,"finish_reason":"stop","message":{"content":"Hi you"},"delta":{"content":""}}]})";
    std::string begun = delta(R"("content":"Hi ")") + delta(R"("content":"you")");
    EXPECT_EQ(text(begun + event(last) + kDone), "Hi you") << "MiniMax";
    EXPECT_EQ(text(begun + event(both) + kDone), "Hi you");
    EXPECT_EQ(text(event(last) + kDone), "Hi you") << "and nothing else";
    EXPECT_EQ(feed(begun + event(last) + kDone).state.usage.output_tokens, 2U);
    for (const char* more : {
             R"({"choices":[{"finish_reason":"stop","delta":{"content":"you"},"message":{"content":"Hi you"}}]})",
             R"({"choices":[{"finish_reason":"stop","message":{"content":"Hi you"},"delta":{"content":"you"}}]})"}) {
        EXPECT_EQ(text(delta(R"("content":"Hi ")") + event(more) + kDone), "Hi you");
    }
}

TEST(StreamToAnthropic, DataOfSeveralLinesAndWithoutABlankIsRead) {
    json message = message_of(
        "data:{\"choices\":[{\"delta\":\ndata: {\"content\":\"x\"}}]}\n\n" + finish("stop")
    );
    EXPECT_EQ(message["content"][0]["text"], "x");
}

}  // namespace
}  // namespace balancer::wire::convert
