#include <chrono>

#include "dataplane/wire/convert/aggregate.hpp"
#include "tests/unit/wire/stream_to_anthropic_fixture.hpp"

namespace balancer::wire::convert {
namespace {

TEST(StreamToAnthropic, ArgumentsOfTheOpenCallGoOutAtOnce) {
    StreamToAnthropic converter(test_reader(), options());
    std::string out;
    converter.feed(
        call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"Bash","arguments":"{\"a\""}})"),
        out
    );
    EXPECT_TRUE(converter.state().begun);
    EXPECT_NE(out.find(R"("partial_json":"{\"a\"")"), std::string::npos) << out;
}

// Of a server that says the name again with each fragment, and numbers none: whether it begins another call is asked each time.
// 16000 looks at the whole text so far would take minutes.
TEST(StreamToAnthropic, AMegabyteInSmallFragmentsIsNotReadAgainForEach) {
    constexpr std::size_t kFragment = 64;
    std::string text(1U << 20, 'x');
    // Each could be the object's end.
    for (std::size_t at = kFragment - 1; at < text.size(); at += kFragment) text[at] = '}';
    text = R"({"a":")" + text + R"("} )";
    StreamToAnthropic converter(test_reader(), options());
    std::string out;
    auto began = std::chrono::steady_clock::now();
    for (std::size_t at = 0; at < text.size(); at += kFragment) {
        json function = {{"name", "Bash"}, {"arguments", text.substr(at, kFragment)}};
        converter.feed(call(json{{"index", 0}, {"function", function}}.dump()), out);
    }
    converter.feed(finish("tool_calls"), out);
    converter.end(out);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
    ASSERT_TRUE(converter.state().finished) << converter.state().error.message;
    Aggregate whole(test_reader());
    whole.feed(out);
    whole.end();
    std::string message;
    whole.append_message(message);
    json content = parse(message)["content"];
    ASSERT_EQ(content.size(), 1U);
    EXPECT_EQ(content[0]["input"], json::parse(text));
}

TEST(StreamToAnthropic, InterleavedCallsAreEachWhole) {
    json content = message_of(
        call(
            R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{\"x\":"}},{"index":1,"id":"call_bbbbbbbb","function":{"name":"B","arguments":"{\"y\""}})"
        ) +
        call(R"({"index":2,"id":"call_cccccccc","function":{"name":"C","arguments":"{\"z\":3}"}})"
        ) +
        call(
            R"({"index":1,"function":{"arguments":":2"}},{"index":0,"function":{"arguments":"1}"}})"
        ) +
        delta(R"("content":"said between")") + call(R"({"index":1,"function":{"arguments":"}"}})") +
        finish("tool_calls")
    )["content"];
    ASSERT_EQ(content.size(), 4U) << content.dump(1);
    std::string all;
    for (const json& block : content)
        all += block["type"] == "text"
                   ? "text "
                   : block["name"].get<std::string>() + block["input"].dump() + " ";
    EXPECT_EQ(all, "A{\"x\":1} text B{\"y\":2} C{\"z\":3} ");
}

TEST(StreamToAnthropic, TextInsideOfAnUnfinishedCallComesBehindIt) {
    json content = message_of(
        call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{\"x\":"}})") +
        delta(R"("content":"aside","reasoning":"why")") +
        call(R"({"index":0,"function":{"arguments":"1}"}})") + finish("tool_calls")
    )["content"];
    ASSERT_EQ(content.size(), 3U) << content.dump(1);
    EXPECT_EQ(content[0]["input"]["x"], 1);
    EXPECT_EQ(content[1]["thinking"], "why");
    EXPECT_EQ(content[2]["text"], "aside");
}

TEST(StreamToAnthropic, FragmentsBeforeANameAreKept) {
    json content = message_of(
        call(R"({"index":0,"function":{"arguments":"{\"x\""}})") +
        call(R"({"index":0,"function":{"arguments":":1"}})") +
        call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A"}})") +
        call(R"({"index":0,"function":{"arguments":"}"}})") + finish("tool_calls")
    )["content"];
    ASSERT_EQ(content.size(), 1U);
    EXPECT_EQ(content[0]["input"], json::parse(R"({"x":1})"));
    // Until the end without a name: no call.
    EXPECT_EQ(
        message_of(
            call(R"({"index":0,"function":{"arguments":"{}"}})") + finish("tool_calls")
        )["content"]
            .size(),
        0U
    );
}

TEST(StreamToAnthropic, ServersThatNumberNothingOrAllAlike) {
    auto names = [](const std::string& calls) {
        json content = message_of(calls + finish("stop"))["content"];
        std::string all;
        for (const json& block : content) {
            all += block["name"].get<std::string>() + block["input"].dump() + " ";
        }
        return all;
    };
    EXPECT_EQ(
        names(call(
            R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{\"x\":1}"}},{"index":0,"id":"call_bbbbbbbb","function":{"name":"B","arguments":"{\"y\":2}"}})"
        )),
        "A{\"x\":1} B{\"y\":2} "
    );
    EXPECT_EQ(
        names(
            call(R"({"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{"}})") +
            call(R"({"function":{"arguments":"}"}})") +
            call(R"({"id":"call_bbbbbbbb","function":{"name":"B","arguments":"{}"}})")
        ),
        "A{} B{} "
    );
    EXPECT_EQ(
        names(call(
            R"({"function":{"name":"A","arguments":"{\"x\":1}"}},{"function":{"name":"B","arguments":{"y":2}}})"
        )),
        "A{\"x\":1} B{\"y\":2} "
    );
    EXPECT_EQ(
        names(
            delta(R"("function_call":{"name":"F","arguments":"{\"x\""})") +
            delta(R"("function_call":{"arguments":":1}"})")
        ),
        "F{\"x\":1} "
    );
    // Numbered alike, without ids: each whole, or in parts.
    EXPECT_EQ(
        names(
            call(R"({"index":0,"id":"","function":{"name":"A","arguments":"{\"x\":1}"}})") +
            call(R"({"index":0,"id":"","function":{"name":"B","arguments":"{\"y\":2}"}})")
        ),
        "A{\"x\":1} B{\"y\":2} "
    );
    EXPECT_EQ(
        names(
            call(R"({"index":0,"function":{"name":"A","arguments":"{\"x\":1}"}})") +
            call(R"({"index":0,"function":{"name":"A","arguments":"{\"x\":2}"}})")
        ),
        "A{\"x\":1} A{\"x\":2} "
    );
    EXPECT_EQ(
        names(
            call(R"({"index":0,"function":{"name":"A","arguments":""}})") +
            call(R"({"index":0,"function":{"name":"B","arguments":""}})") +
            call(R"({"index":0,"function":{"arguments":"{\"y\":2}"}})")
        ),
        "A{} B{\"y\":2} "
    );
    // A new id with every fragment.
    EXPECT_EQ(
        names(
            call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{\"x\""}})") +
            call(R"({"index":0,"id":"call_bbbbbbbb","function":{"arguments":":1"}})") +
            call(R"({"index":0,"id":"call_cccccccc","function":{"name":"","arguments":"}"}})") +
            call(R"({"index":1,"id":"call_dddddddd","function":{"name":"B","arguments":"{}"}})")
        ),
        "A{\"x\":1} B{} "
    );
    // The name again with every fragment, and with one that brings nothing more.
    EXPECT_EQ(
        names(
            call(R"({"index":0,"function":{"name":"A","arguments":"{"}})") +
            call(R"({"index":0,"function":{"name":"A","arguments":"}"}})") +
            call(R"({"index":0,"function":{"name":"A","arguments":""}})")
        ),
        "A{} "
    );
    EXPECT_EQ(
        names(
            call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{"}})") +
            call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"}"}})")
        ),
        "A{} "
    );
}

TEST(StreamToAnthropic, NoTwoCallsHaveTheSameId) {
    json content = message_of(
        call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{}"}})") +
        call(R"({"index":1,"id":"call_aaaaaaaa","function":{"name":"B","arguments":"{}"}})") +
        finish("tool_calls")
    )["content"];
    ASSERT_EQ(content.size(), 2U);
    EXPECT_EQ(content[0]["id"], "call_aaaaaaaa");
    EXPECT_EQ(content[1]["id"], "call_msg_1_1");
}

TEST(StreamToAnthropic, ArgumentsAreAnObjectWhateverComes) {
    auto input = [](const std::string& arguments) {
        return message_of(
            call(
                R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":)" +
                arguments + "}}"
            ) +
            finish("tool_calls")
        )["content"][0]["input"];
    };
    EXPECT_EQ(input("null"), json::object());
    EXPECT_EQ(input(R"("")"), json::object());
    EXPECT_EQ(input(R"(" \n")"), json::object());
    EXPECT_EQ(input(R"("null")"), json::object());
    EXPECT_EQ(input(R"(" {\"a\":1} ")"), json::parse(R"({"a":1})"));
    EXPECT_EQ(input(R"("[1]")"), json::parse(R"({"value":[1]})"));
    EXPECT_EQ(input(R"("nonsense")"), json::parse(R"({"error_parsing_arguments":"nonsense"})"));
    StreamOutcome run = feed(
        call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{\"a\":"}})") +
        finish("tool_calls")
    );
    EXPECT_EQ(run.state.fault, StreamFault::kBadArguments);
    SequenceCheck check;
    EXPECT_EQ(check.check(run.out), "");
    EXPECT_EQ(check.error()["type"], "api_error");
    // Cut at its length, an answer ends as Anthropic's own does.
    run = feed(
        call(R"({"index":0,"id":"call_aaaaaaaa","function":{"name":"A","arguments":"{\"a\":"}})") +
        finish("length")
    );
    SequenceCheck at_length;
    EXPECT_EQ(at_length.check(run.out), "");
    EXPECT_TRUE(at_length.has_broken_input());
    EXPECT_EQ(at_length.message()["stop_reason"], "max_tokens");
}

}  // namespace
}  // namespace balancer::wire::convert
