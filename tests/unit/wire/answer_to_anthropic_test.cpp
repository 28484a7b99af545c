#include "dataplane/wire/convert/answer_to_anthropic.hpp"

#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

using nlohmann::json;

json convert(std::string_view body, const ToolNames& names = {}) {
    std::string out = "before";
    Result<Usage> usage = answer_to_anthropic(test_reader(), body, {"msg_1", "claude", names}, out);
    if (!usage) {
        EXPECT_EQ(out, "before");
        return usage.error().text();
    }
    return parse(std::string_view(out).substr(6));
}

std::string choice(const std::string& message, const std::string& finish) {
    return R"({"id":"c","object":"chat.completion","model":"gpt","choices":[{"index":0,"message":)" +
           message + R"(,"logprobs":null,"finish_reason":)" + finish + "}]}";
}

TEST(AnswerToAnthropic, AWholeAnswer) {
    json message = convert(
        R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4.1-2025","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hi \u00e9 \"you\"","refusal":null,"annotations":[]},"finish_reason":"stop"},
        {"index":1,"message":{"content":"second"}}],
        "usage":{"prompt_tokens":100,"completion_tokens":7,"total_tokens":107,"prompt_tokens_details":{"cached_tokens":60}},"service_tier":"default"})"
    );
    json expected =
        json::parse(R"({"id":"msg_1","type":"message","role":"assistant","model":"claude",
        "content":[{"type":"text","text":"?"}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{"input_tokens":40,"cache_creation_input_tokens":0,"cache_read_input_tokens":60,"output_tokens":7}})"
        );
    expected["content"][0]["text"] = message["content"][0]["text"];
    EXPECT_EQ(message, expected);
}

TEST(AnswerToAnthropic, EveryFinishReason) {
    std::string text = R"({"content":"x"})";
    auto reason = [](const json& message) { return message["stop_reason"].get<std::string>(); };
    EXPECT_EQ(reason(convert(choice(text, R"("stop")"))), "end_turn");
    EXPECT_EQ(reason(convert(choice(text, R"("length")"))), "max_tokens");
    EXPECT_EQ(reason(convert(choice(text, R"("content_filter")"))), "refusal");
    EXPECT_EQ(reason(convert(choice(text, "null"))), "end_turn");
    EXPECT_EQ(reason(convert(choice(text, R"("eos")"))), "end_turn");
    EXPECT_EQ(reason(convert(choice(text, R"("model_length")"))), "max_tokens") << "Mistral";
    EXPECT_EQ(reason(convert(choice(text, R"("sensitive")"))), "refusal") << "Zhipu";
    EXPECT_EQ(
        reason(convert(choice(text, R"("model_context_window_exceeded")"))),
        "model_context_window_exceeded"
    );
    EXPECT_EQ(reason(convert(choice(text, R"("content_filter: SAFETY")"))), "refusal") << "Gemini";
    std::string call =
        R"({"content":null,"tool_calls":[{"id":"call_12345","type":"function","function":{"name":"a","arguments":"{}"}}]})";
    for (const char* finish : {R"("tool_calls")", R"("function_call")", R"("stop")", "null"}) {
        EXPECT_EQ(reason(convert(choice(call, finish))), "tool_use") << finish;
    }
    EXPECT_EQ(reason(convert(choice(call, R"("length")"))), "max_tokens");
    json refused = convert(choice(R"({"content":null,"refusal":"I cannot."})", R"("stop")"));
    EXPECT_EQ(reason(refused), "refusal");
    EXPECT_EQ(refused["content"][0]["text"], "I cannot.");
    json stopped = convert(
        R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop","stop_reason":"END"}]})"
    );
    EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
    EXPECT_EQ(stopped["stop_sequence"], "END");
}

TEST(AnswerToAnthropic, ToolCallsAlwaysHaveAnObjectAsInput) {
    auto input = [](const std::string& arguments) {
        return convert(choice(
            R"({"content":"","tool_calls":[{"id":"call_12345","function":{"name":"a","arguments":)" +
                arguments + "}}]}",
            R"("tool_calls")"
        ))["content"][0]["input"];
    };
    EXPECT_EQ(input(R"("{\"a\":[1,\"\\u00e9\"]}")"), json::parse(R"({"a":[1,"\u00e9"]})"));
    EXPECT_EQ(input(R"("")"), json::object());
    EXPECT_EQ(input(R"(" \n ")"), json::object());
    EXPECT_EQ(input(R"("null")"), json::object());
    EXPECT_EQ(input("null"), json::object());
    EXPECT_EQ(input(R"({"b":1})"), json::parse(R"({"b":1})"));
    EXPECT_EQ(input(R"("[1]")"), json::parse(R"({"value":[1]})"));
    EXPECT_EQ(input(R"("{\"a\":")"), json::parse(R"({"error_parsing_arguments":"{\"a\":"})"));
    EXPECT_EQ(input(R"("{\"a\" 1}")"), json::parse(R"({"error_parsing_arguments":"{\"a\" 1}"})"));
}

TEST(AnswerToAnthropic, IdsAreOnesThatAnthropicTakes) {
    json content = convert(choice(
        R"({"tool_calls":[{"id":"call_abcdefgh","function":{"name":"a"}},{"id":"functions.Bash:0","function":{"name":"b"}},
        {"id":"0","function":{"name":"c"}},{"function":{"name":"d"}},{"id":"x","function":{}}]})",
        R"("tool_calls")"
    ))["content"];
    ASSERT_EQ(content.size(), 4U);
    EXPECT_EQ(content[0]["id"], "call_abcdefgh");
    EXPECT_EQ(content[1]["id"], "call_msg_1_1");
    EXPECT_EQ(content[2]["id"], "call_msg_1_2");
    EXPECT_EQ(content[3]["id"], "call_msg_1_3");
    content = convert(choice(
        R"({"tool_calls":[{"id":"call_abcdefgh","function":{"name":"a"}},{"id":"call_abcdefgh","function":{"name":"b"}}]})",
        R"("tool_calls")"
    ))["content"];
    EXPECT_EQ(content[0]["id"], "call_abcdefgh");
    EXPECT_EQ(content[1]["id"], "call_msg_1_1") << "two calls with one id are refused later";
    ToolNames names;
    std::string original(90, 'n');
    std::string sent = names.to_openai(original);
    EXPECT_EQ(
        convert(
            choice(R"({"tool_calls":[{"function":{"name":")" + sent + R"("}}]})", "null"), names
        )["content"][0]["name"],
        original
    );
}

TEST(AnswerToAnthropic, ReasoningBecomesAThinkingBlockInFront) {
    for (const char* member : {"reasoning_content", "reasoning"}) {
        json content = convert(
            choice(std::string(R"({"content":"y",")") + member + R"(":"because"})", R"("stop")")
        )["content"];
        ASSERT_EQ(content.size(), 2U);
        EXPECT_EQ(
            content[0],
            (json{{"type", "thinking"}, {"thinking", "because"}, {"signature", kConvertedSignature}}
            )
        );
    }
    EXPECT_EQ(
        convert(choice(R"({"content":"y","reasoning":{"a":1}})", "null"))["content"].size(), 1U
    );
    // Magistral's: parts of the content.
    json parts = convert(choice(
        R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"be"},{"type":"text","text":"cause"}]},{"type":"text","text":"y"}]})",
        R"("stop")"
    ))["content"];
    ASSERT_EQ(parts.size(), 2U) << parts.dump();
    EXPECT_EQ(parts[0]["thinking"], "because");
    EXPECT_EQ(parts[1]["text"], "y");
    EXPECT_EQ(
        convert(
            choice(R"({"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]})", "null")
        )["content"][0]["text"],
        "ab"
    );
    EXPECT_EQ(convert(choice(R"({"content":""})", R"("stop")"))["content"], json::array());
}

TEST(AnswerToAnthropic, WhatIsNoCompletionIsTheProvidersFault) {
    for (const char* bad :
         {"",
          "<html>",
          "[]",
          "{}",
          R"({"choices":[]})",
          R"({"choices":[null]})",
          R"({"choices":[{"message":{"content":"x"}}]} x)",
          R"({"error":{"message":"x"},"choices":[{"message":{"content":"x"}}]})",
          R"({"choices":[{"message":{"content":"\q"}}]})",
          R"({"choices":[{"message":{"content":"half"},"finish_reason":"error"}]})",
          R"({"choices":[{"message":{"content":"half"},"finish_reason":"abort"}]})",
          R"({"choices":[{"message":{"content":"half"},"finish_reason":"insufficient_system_resource"}]})",
          R"({"choices":[{"message":{"content":"half"},"finish_reason":"network_error"}]})",
          R"({"choices":[{"message":{"content":"half"},"finish_reason":"stop","error":{"code":502,"message":"m"}}]})"}) {
        EXPECT_TRUE(convert(bad).is_string()) << bad;
    }
}

TEST(AnswerToAnthropic, AnErrorInPlaceOfACompletionIsKnownAsOne) {
    auto told = [](std::string_view body) {
        std::string out;
        Result<Usage> usage = answer_to_anthropic(test_reader(), body, {"msg_1", "claude"}, out);
        EXPECT_FALSE(usage) << body;
        return !usage && is_told_error(usage.error());
    };
    EXPECT_TRUE(told(R"({"error":{"message":"x"}})"));
    EXPECT_TRUE(told(R"({"error":"x","choices":[]})"));
    EXPECT_TRUE(told(
        R"({"choices":[{"message":{"content":"half"},"finish_reason":"error","error":{"message":"x"}}]})"
    ));
    EXPECT_FALSE(told("{}"));
    EXPECT_FALSE(told("<html>"));
    EXPECT_FALSE(told(R"({"choices":[{"message":{"content":"half"},"finish_reason":"abort"}]})"));
}

struct Expected {
    unsigned given;
    const char* body;
    unsigned status;
    const char* type;
    const char* message;
};

TEST(ErrorToAnthropic, StatusTypeAndWords) {
    const Expected kCases[] = {
        {401,
         R"({"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})",
         401,
         "authentication_error",
         "Incorrect API key"},
        {403, R"({"error":{"message":"no"}})", 403, "permission_error", "no"},
        {404,
         R"({"error":{"message":"The model does not exist","code":"model_not_found"}})",
         404,
         "not_found_error",
         "The model does not exist"},
        {429,
         R"({"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}})",
         429,
         "rate_limit_error",
         "Rate limit reached"},
        {429,
         R"({"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}})",
         402,
         "billing_error",
         "You exceeded your current quota"},
        {400,
         R"({"error":{"message":"Unknown \"x\"","type":"invalid_request_error"}})",
         400,
         "invalid_request_error",
         "Unknown \"x\""},
        {422,
         R"({"detail":[{"loc":["body"],"msg":"bad"}]})",
         422,
         "invalid_request_error",
         R"([{"loc":["body"],"msg":"bad"}])"},
        {400,
         R"({"object":"error","message":"old vLLM","type":"BadRequestError","code":400})",
         400,
         "invalid_request_error",
         "old vLLM"},
        {413, "", 413, "request_too_large", "The provider answered with status 413"},
        {500, R"({"error":"text"})", 500, "api_error", "text"},
        {502,
         "<html>Bad gateway</html>",
         502,
         "api_error",
         "The provider answered with status 502"},
        {503,
         "no capacity",
         529,
         "overloaded_error",
         "The provider answered with status 529: no capacity"},
        {504,
         R"({"type":"error","error":{"type":"timeout","message":"late"}})",
         504,
         "timeout_error",
         "late"},
        {200, R"({"error":{"code":502,"message":"upstream"}})", 502, "api_error", "upstream"},
        {200,
         R"({"error":{"type":"rate_limit_error","message":"slow"}})",
         429,
         "rate_limit_error",
         "slow"},
        {200,
         R"({"error":{"type":"overloaded_error","message":"full"}})",
         529,
         "overloaded_error",
         "full"},
        {200, R"({"error":{"message":"what"}})", 500, "api_error", "what"},
    };
    for (const Expected& one : kCases) {
        LocalError error = error_to_anthropic(test_reader(), one.given, one.body);
        EXPECT_EQ(error.status, one.status) << one.body;
        EXPECT_EQ(error.type, one.type) << one.body;
        EXPECT_EQ(error.message, one.message) << one.body;
    }
}

TEST(ErrorToAnthropic, WhatAGatewayWrapsIsWhatIsSaid) {
    const Expected kCases[] = {
        // Gemini's list of one.
        {400,
         R"([{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}])",
         400,
         "invalid_request_error",
         "API key not valid."},
        {400,
         " [ {\"error\":{\"code\":400,\"message\":\"The input token count (134123) exceeds the "
         "maximum number of tokens allowed (131072).\"}} ]",
         400,
         "invalid_request_error",
         "prompt is too long: 134123 tokens > 131072 maximum"},
        // OpenRouter's cause: JSON as a text, JSON itself, words.
        {400,
         R"({"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.\",\"code\":\"context_length_exceeded\"}}","provider_name":"X"}}})",
         400,
         "invalid_request_error",
         "prompt is too long: 9000 tokens > 8192 maximum"},
        {400,
         R"({"error":{"message":"Provider returned error","code":400,"metadata":{"raw":{"error":{"message":"bad tool"}}}}})",
         400,
         "invalid_request_error",
         "bad tool"},
        {429,
         R"({"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream."}}})",
         429,
         "rate_limit_error",
         "x is temporarily rate-limited upstream."},
        {502,
         R"({"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"<html>bad</html>"}}})",
         502,
         "api_error",
         "Provider returned error"},
        {400,
         R"({"error":{"message":"Provider returned error","metadata":{"raw":"{\"broken"}}})",
         400,
         "invalid_request_error",
         "Provider returned error"},
        // A proxy's: the provider's body as the message.
        {400,
         R"({"error":{"message":"[{\"error\":{\"message\":\"Input is too long for requested model.\"}}]"}})",
         400,
         "invalid_request_error",
         "prompt is too long: Input is too long for requested model."},
        // In the choice that was broken off.
        {200,
         R"({"choices":[{"index":0,"finish_reason":"error","error":{"code":429,"message":"slow down"}}]})",
         429,
         "rate_limit_error",
         "slow down"},
        // Inside of a success, of no known kind.
        {200,
         R"({"error":{"message":"Input validation error: `inputs` must have less than 1000 tokens. Given: 4000","http_status_code":422}})",
         400,
         "invalid_request_error",
         "prompt is too long: 4000 tokens > 1000 maximum"},
    };
    for (const Expected& one : kCases) {
        LocalError error = error_to_anthropic(test_reader(), one.given, one.body);
        EXPECT_EQ(error.status, one.status) << one.body;
        EXPECT_EQ(error.type, one.type) << one.body;
        EXPECT_EQ(error.message, one.message) << one.body;
    }
    // Nesting has an end.
    std::string nested = "x";
    for (int i = 0; i < 40; ++i) {
        std::string inside;
        append_inside(inside, nested);
        if (inside.size() > 100000) break;
        nested = R"({"error":{"message":")" + inside + R"("}})";
    }
    EXPECT_FALSE(error_to_anthropic(test_reader(), 400, nested).message.empty());
}

TEST(ErrorToAnthropic, TooLongIsSaidSoThatTheClientCompacts) {
    auto said = [](const std::string& message, const std::string& code = "null") {
        LocalError error = error_to_anthropic(
            test_reader(), 400, R"({"error":{"message":")" + message + R"(","code":)" + code + "}}"
        );
        EXPECT_EQ(error.type, "invalid_request_error");
        return error.message;
    };
    EXPECT_EQ(
        said(
            "This model's maximum context length is 128000 tokens. However, your messages resulted "
            "in 130,001 tokens. Please reduce the length of the messages.",
            R"("context_length_exceeded")"
        ),
        "prompt is too long: 130001 tokens > 128000 maximum"
    );
    EXPECT_EQ(said("too much", R"("context_length_exceeded")"), "prompt is too long: too much");
    EXPECT_EQ(
        said("max_tokens is too large: 128000. This model supports at most 16384 completion tokens"
        ),
        "max_tokens is too large: 128000. This model supports at most 16384 completion tokens"
    );
    EXPECT_EQ(
        error_to_anthropic(
            test_reader(), 500, R"({"error":{"message":"x","code":"context_length_exceeded"}})"
        )
            .status,
        400U
    );
}

}  // namespace
}  // namespace balancer::wire::convert
