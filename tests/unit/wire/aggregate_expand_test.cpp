#include "dataplane/wire/convert/aggregate.hpp"
#include "dataplane/wire/convert/expand.hpp"
#include "tests/support/event_sequence.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

using nlohmann::json;
using tests::SequenceCheck;

std::string event(const std::string& data) {
    return "event: " + json::parse(data)["type"].get<std::string>() + "\ndata: " + data + "\n\n";
}

const std::string kStart = event(
    R"({"type":"message_start","message":{"id":"msg_9","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"container":null,"usage":{"input_tokens":12,"cache_read_input_tokens":3,"output_tokens":1,"service_tier":"standard"}}})"
);
const std::string kEnd =
    event(
        R"({"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":40,"input_tokens":null,"server_tool_use":{"web_search_requests":1}}})"
    ) +
    event(R"({"type":"message_stop"})");
const std::string kBlocks =
    event(
        R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})"
    ) +
    event(
        R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h\u00e9 "}})"
    ) +
    "event: ping\ndata: {\"type\": \"ping\"}\n\n" +
    event(
        R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"m"}})"
    ) +
    event(
        R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln+/=="}})"
    ) +
    event(R"({"type":"content_block_stop","index":0})") +
    event(R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})") +
    event(
        R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a \"b\"\n"}})"
    ) +
    event(
        R"({"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"x","n":1.50}}})"
    ) +
    event(R"({"type":"content_block_stop","index":1})") +
    event(
        R"({"type":"content_block_start","index":2,"content_block":{"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result","url":"u"}]}})"
    ) +
    event(R"({"type":"content_block_stop","index":2})") +
    event(
        R"({"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t1","name":"Bash","input":{},"caller":{"type":"direct"}}})"
    ) +
    event(
        R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}})"
    ) +
    event(
        R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"command\": \"l"}})"
    ) +
    event(
        R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"s\", \"n\":1.50}"}})"
    ) +
    event(R"({"type":"content_block_stop","index":3})") +
    event(
        R"({"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"t2","name":"None","input":{}}})"
    ) +
    event(R"({"type":"content_block_stop","index":4})");

const json kMessage = json::parse(
    R"({"id":"msg_9","type":"message","role":"assistant","model":"claude","stop_reason":"tool_use","stop_sequence":null,"container":null,
    "content":[{"type":"thinking","thinking":"h\u00e9 m","signature":"c2ln+/=="},{"type":"text","text":"a \"b\"\n","citations":[{"type":"x","n":1.5}]},
      {"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result","url":"u"}]},
      {"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls","n":1.5},"caller":{"type":"direct"}},{"type":"tool_use","id":"t2","name":"None","input":{}}],
    "usage":{"input_tokens":12,"cache_read_input_tokens":3,"output_tokens":40,"service_tier":"standard","server_tool_use":{"web_search_requests":1}}})"
);

StreamState aggregate(std::string_view stream, std::string& out, std::size_t piece = 1 << 20) {
    Aggregate whole(test_reader());
    for (std::size_t at = 0; at < stream.size(); at += piece) whole.feed(stream.substr(at, piece));
    whole.end();
    if (whole.state().finished) whole.append_message(out);
    return whole.state();
}

TEST(Aggregate, PutsTheMessageTogetherWhateverThePieces) {
    std::string stream = kStart + kBlocks + kEnd;
    std::string first;
    StreamState state = aggregate(stream, first);
    ASSERT_TRUE(state.finished) << state.error.message;
    EXPECT_EQ(parse(first), kMessage);
    EXPECT_NE(first.find("\"n\":1.50"), std::string::npos) << "numbers keep their text";
    EXPECT_EQ(state.usage, (Usage{12, 0, 3, 40}));
    for (std::size_t piece : {1U, 2U, 3U, 7U, 64U}) {
        std::string out;
        aggregate(stream, out, piece);
        EXPECT_EQ(out, first) << piece;
    }
}

TEST(Aggregate, ACutOrBrokenStreamIsAFault) {
    std::string out;
    EXPECT_EQ(aggregate(kStart + kBlocks, out).fault, StreamFault::kCut);
    EXPECT_EQ(aggregate("", out).fault, StreamFault::kCut);
    EXPECT_EQ(aggregate(kStart + kBlocks + "event: message_sto", out).fault, StreamFault::kCut);
    EXPECT_EQ(aggregate(kBlocks, out).fault, StreamFault::kMalformed);
    EXPECT_EQ(aggregate(kStart + kStart, out).fault, StreamFault::kMalformed);
    EXPECT_EQ(
        aggregate(
            kStart +
                event(R"({"type":"content_block_start","index":1,"content_block":{"type":"text"}})"
                ),
            out
        )
            .fault,
        StreamFault::kMalformed
    );
    EXPECT_EQ(
        aggregate(
            kStart +
                event(
                    R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}})"
                ),
            out
        )
            .fault,
        StreamFault::kMalformed
    );
    EXPECT_EQ(aggregate(kStart + "data: {\n\n", out).fault, StreamFault::kMalformed);
    EXPECT_EQ(
        aggregate(kStart + "data: " + std::string(kEventBytesMax, 'x'), out).fault,
        StreamFault::kTooLarge
    );
    StreamState said = aggregate(
        kStart +
            event(R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"),
        out
    );
    EXPECT_EQ(said.fault, StreamFault::kProviderError);
    EXPECT_EQ(said.error.type, "overloaded_error");
    EXPECT_EQ(said.error.message, "Overloaded");
    said = aggregate(
        event(R"({"type":"error","error":{"type":"billing_error","message":"Credit"}})"), out
    );
    EXPECT_EQ(said.error.type, "billing_error");
    EXPECT_EQ(said.error.status, 402U);
    EXPECT_EQ(out, "");
}

TEST(Aggregate, InputThatIsNoJsonIsShownAndNotPassedOn) {
    std::string out;
    aggregate(
        kStart +
            event(
                R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}})"
            ) +
            event(
                R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}})"
            ) +
            event(R"({"type":"content_block_stop","index":0})") + kEnd,
        out
    );
    EXPECT_EQ(
        parse(out)["content"][0]["input"], json::parse(R"({"error_parsing_arguments":"{\"a\":"})")
    );
}

TEST(Expand, TellsTheMessageAsAStreamAndBack) {
    std::string stream;
    // Pretty-printed: an event's data stays on one line.
    Result<Usage> usage = expand_message(test_reader(), kMessage.dump(2), stream);
    ASSERT_TRUE(usage) << usage.error().text();
    EXPECT_EQ(*usage, (Usage{12, 0, 3, 40}));
    SequenceCheck check;
    EXPECT_EQ(check.check(stream), "") << stream;
    EXPECT_EQ(check.message(), kMessage);
    std::string back;
    ASSERT_TRUE(aggregate(stream, back).finished);
    EXPECT_EQ(parse(back), kMessage);
    // Text goes out in deltas, as of a real stream.
    EXPECT_NE(stream.find(R"("text":"","type":"text","citations":[])"), std::string::npos)
        << stream;
    EXPECT_NE(stream.find("signature_delta"), std::string::npos);
}

TEST(Expand, ObjectsOfManyMembersAreRefusedAndNotSearched) {
    std::string members;
    for (int i = 0; i < 200'000; ++i) members += ",\"m" + std::to_string(i) + "\":1";
    std::string out;
    EXPECT_FALSE(
        expand_message(test_reader(), R"({"type":"message","content":[])" + members + "}", out)
    );
    EXPECT_FALSE(expand_message(
        test_reader(), R"({"type":"message","content":[{"type":"x")" + members + "}]}", out
    ));
    EXPECT_EQ(
        aggregate(
            "data: {\"type\":\"message_start\",\"message\":{\"type\":\"message\"" + members +
                "}}\n\n",
            out
        )
            .fault,
        StreamFault::kMalformed
    );
}

TEST(Expand, WhatIsNoMessageIsRefused) {
    std::string out;
    for (const char* bad :
         {"",
          "{}",
          R"({"type":"message"})",
          R"({"type":"error","error":{}})",
          R"({"type":"message","content":"x"})",
          R"({"type":"message","content":[7]})",
          R"({"type":"message","content":[{"text":"x"}]})",
          R"({"type":"message","content":[{"type":"text","text":"\q"}]})"}) {
        EXPECT_FALSE(expand_message(test_reader(), bad, out)) << bad;
        EXPECT_EQ(out, "") << bad;
    }
    ASSERT_TRUE(expand_message(test_reader(), R"({"type":"message","content":[]})", out));
    SequenceCheck check;
    EXPECT_EQ(check.check(out), "");
    EXPECT_EQ(check.message()["stop_reason"], "end_turn");
}

}  // namespace
}  // namespace balancer::wire::convert
