#include "tests/unit/wire/request_to_openai_fixture.hpp"

namespace balancer::wire::convert {
namespace {

TEST(RequestToOpenai, CarriesEverySettingOver) {
    RequestOutcome outcome = convert(
        R"({"max_tokens":1024,"model":"claude","system":"be brief","temperature":0.70,"top_p":1.0,"top_k":5,
            "stop_sequences":["a","\n\u0041"],"metadata":{"user_id":"u\u0031"},"stream":false,
            "messages":[{"role":"user","content":"hi \u00e9 \ud83d\ude00 \"q\""}]})",
        {},
        true
    );
    ASSERT_TRUE(outcome.good) << outcome.error;
    EXPECT_EQ(
        outcome.body,
        json::parse(R"({"model":"gpt-x","messages":[{"role":"system","content":"be brief"},
        {"role":"user","content":"hi \u00e9 \ud83d\ude00 \"q\""}],"max_tokens":1024,"stop":["a","\n\u0041"],
        "temperature":0.7,"top_p":1.0,"user":"u1","stream":true,"stream_options":{"include_usage":true}})"
        )
    );
    EXPECT_NE(outcome.bytes.find(R"("temperature":0.70)"), std::string::npos)
        << "numbers keep their text";
    EXPECT_EQ(outcome.notes, std::vector<std::string>{"top_k: dropped"});
}

TEST(RequestToOpenai, FollowsTheProvidersCapabilities) {
    std::string body =
        R"({"max_tokens":128000,"top_k":5,"temperature":1,"stop_sequences":["1","2","3","4","5"],
        "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},
        "messages":[{"role":"user","content":"x"}]})";
    Capabilities takes;
    takes.max_completion_tokens = true;
    takes.output_tokens_max = 32768;
    takes.top_k = true;
    takes.sampling = false;
    takes.stream_usage = false;
    RequestOutcome outcome = convert(body, takes, true);
    EXPECT_EQ(outcome.body["max_completion_tokens"], 32768);
    EXPECT_FALSE(outcome.body.contains("max_tokens"));
    EXPECT_EQ(outcome.body["top_k"], 5);
    EXPECT_FALSE(outcome.body.contains("temperature"));
    EXPECT_FALSE(outcome.body.contains("stream_options"));
    EXPECT_EQ(outcome.body["stop"].size(), 4U);
    EXPECT_EQ(
        outcome.body["response_format"]["json_schema"]["schema"],
        json::parse(R"({"type":"object"})")
    );
    EXPECT_TRUE(notes(outcome, "max_tokens: lowered"));
    EXPECT_TRUE(notes(outcome, "temperature"));
    EXPECT_TRUE(notes(outcome, "stop_sequences"));
    takes.structured_output = false;
    EXPECT_TRUE(notes(convert(body, takes), "output_config.format: dropped"));
}

TEST(RequestToOpenai, ThinkingBecomesEffortWhereTheProviderTakesIt) {
    auto effort = [](const std::string& settings, bool takes) {
        Capabilities capabilities;
        capabilities.reasoning_effort = takes;
        RequestOutcome outcome = convert(
            "{" + settings + R"(,"messages":[{"role":"user","content":"x"}]})", capabilities
        );
        return outcome.body.value(
            "reasoning_effort", outcome.notes.empty() ? "none" : outcome.notes.front()
        );
    };
    EXPECT_EQ(effort(R"("thinking":{"type":"enabled","budget_tokens":1024})", true), "low");
    EXPECT_EQ(effort(R"("thinking":{"type":"enabled","budget_tokens":8000})", true), "medium");
    EXPECT_EQ(effort(R"("thinking":{"type":"enabled","budget_tokens":31999})", true), "high");
    EXPECT_EQ(
        effort(R"("thinking":{"type":"adaptive"},"output_config":{"effort":"medium"})", true),
        "medium"
    );
    EXPECT_EQ(
        effort(R"("thinking":{"type":"adaptive"},"output_config":{"effort":"max"})", true), "high"
    );
    EXPECT_EQ(effort(R"("thinking":{"type":"adaptive"})", true), "none");
    EXPECT_EQ(
        effort(R"("thinking":{"type":"disabled"},"output_config":{"effort":"high"})", true), "none"
    );
    EXPECT_EQ(
        effort(R"("thinking":{"type":"enabled","budget_tokens":1024})", false), "thinking: dropped"
    );
}

TEST(RequestToOpenai, SystemBlocksBecomeOneMessageWithoutTheAttribution) {
    RequestOutcome outcome =
        convert(R"({"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},
        {"type":"text","text":"one","cache_control":{"type":"ephemeral"}},{"type":"text","text":"two"}],
        "messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
        {"role":"system","content":"mid","output_config":{"effort":"low"}}]})");
    EXPECT_EQ(outcome.body["messages"], json::parse(R"([{"role":"system","content":"one\ntwo"},
        {"role":"user","content":"a\nb"},{"role":"system","content":"mid"}])"));
    EXPECT_TRUE(notes(outcome, "cache_control"));
    EXPECT_TRUE(notes(outcome, "attribution"));
    Capabilities takes;
    takes.system_anywhere = false;
    EXPECT_EQ(
        messages_of(R"({"role":"user","content":"a"},{"role":"system","content":"mid"})", takes)[1],
        json::parse(R"({"role":"user","content":"mid"})")
    );
}

TEST(RequestToOpenai, CacheMarksStayWhereTheProviderTakesThem) {
    Capabilities takes;
    takes.cache_control = true;
    json messages = messages_of(
        R"({"role":"user","content":[{"type":"text","text":"a"},
            {"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}}]})",
        takes
    );
    EXPECT_EQ(
        messages[0]["content"][1],
        json::parse(R"({"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}})")
    );
}

TEST(RequestToOpenai, ImagesOfBothKinds) {
    std::string images = R"({"role":"user","content":[{"type":"text","text":"see"},
        {"type":"image","source":{"type":"base64","data":"QUJD","media_type":"image/png"}},
        {"type":"image","source":{"type":"url","url":"https://x.example/a.png"}}]})";
    EXPECT_EQ(messages_of(images)[0]["content"], json::parse(R"([{"type":"text","text":"see"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},
        {"type":"image_url","image_url":{"url":"https://x.example/a.png"}}])"));
    Capabilities takes;
    takes.images = false;
    RequestOutcome refused = convert(with_messages(images), takes);
    EXPECT_FALSE(refused.capable);
    EXPECT_EQ(
        refused.error, "messages.0.content.1: \"image\" blocks are not taken by this provider"
    );
    EXPECT_NE(
        why(R"({"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]})"
        )
            .find("messages.0.content.0: \"image\""),
        std::string::npos
    );
}

TEST(RequestToOpenai, DocumentsAreTakenOrRefusedByName) {
    std::string pdf =
        R"({"role":"user","content":[{"type":"document","title":"d.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}]})";
    RequestOutcome refused = convert(with_messages(pdf));
    EXPECT_FALSE(refused.capable);
    EXPECT_EQ(
        refused.error, "messages.0.content.0: \"document\" blocks are not taken by this provider"
    );
    Capabilities takes;
    takes.documents = true;
    EXPECT_EQ(
        messages_of(pdf, takes)[0]["content"],
        json::parse(
            R"([{"type":"file","file":{"filename":"d.pdf","file_data":"data:application/pdf;base64,JVBE"}}])"
        )
    );
    // Text is text for everybody.
    EXPECT_EQ(
        messages_of(
            R"({"role":"user","content":[{"type":"document","title":"t","source":{"type":"text","media_type":"text/plain","data":"body"}},
        {"type":"document","source":{"type":"content","content":[{"type":"text","text":"c"}]}},
        {"type":"search_result","source":"s","title":"r","content":[{"type":"text","text":"f"}]}]})"
        )[0]["content"],
        "t\nbody\nc\nr\ns\nf"
    );
    std::string in_result =
        R"({"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Read","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"x"},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}]}]})";
    EXPECT_EQ(
        why(in_result),
        "messages.1.content.0.content.1: \"document\" blocks are not taken by this provider"
    );
}

TEST(RequestToOpenai, ThinkingIsLeftOutOrGivenAsReasoning) {
    std::string turns =
        R"({"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"only \u0041","signature":"s"}]},
        {"role":"assistant","content":[{"type":"redacted_thinking","data":"d"},{"type":"thinking","thinking":"why","signature":"s"},{"type":"text","text":"y"}]})";
    json messages = messages_of(turns);
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ(messages[1], json::parse(R"({"role":"assistant","content":"y"})"));
    Capabilities takes;
    takes.thinking = true;
    EXPECT_EQ(
        messages_of(turns, takes)[1],
        json::parse(R"({"role":"assistant","content":"y","reasoning_content":"why"})")
    );
}

TEST(RequestToOpenai, WhatTheFutureBringsIsDroppedAndNoted) {
    RequestOutcome outcome = convert(
        R"({"messages":[{"role":"user","content":"x","extra":{"a":[1]}}],"context_management":{"edits":[]},
        "safeguards":[{"type":"x"}],"a strange \u0041 name":1,"output_config":{"new":[1]},"thinking":{"type":"new"}})"
    );
    ASSERT_TRUE(outcome.good) << outcome.error;
    EXPECT_TRUE(notes(outcome, "context_management: dropped"));
    EXPECT_TRUE(notes(outcome, "safeguards: dropped"));
    EXPECT_TRUE(notes(outcome, "an unknown field"));
    // In what the assistant said, what cannot be shown is left out; in what it is asked, it is not.
    EXPECT_EQ(
        messages_of(
            R"({"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},
        {"type":"web_search_tool_result","tool_use_id":"s","content":{"type":"error"}},{"type":"new_block"},{"type":"text","text":"found"}]})"
        )[0]["content"],
        "found"
    );
    EXPECT_EQ(
        why(R"({"role":"user","content":[{"type":"container_upload","file_id":"f"}]})"),
        "messages.0.content.0: \"container_upload\" blocks are not known to a provider of type "
        "openai"
    );
}

TEST(RequestToOpenai, SaysWhatIsWrongInTheApisWords) {
    EXPECT_EQ(
        why(R"({"role":"tool","content":"x"})"),
        "messages.0.role: Input should be 'user', 'assistant' or 'system'"
    );
    EXPECT_EQ(why(R"({"content":"x"})"), "messages.0.role: Field required");
    EXPECT_EQ(why(R"({"role":"user"})"), "messages.0.content: Field required");
    EXPECT_EQ(
        why(R"({"role":"user","content":[{"text":"x"}]})"),
        "messages.0.content.0.type: Field required"
    );
    EXPECT_EQ(
        why(R"({"role":"assistant","content":[{"type":"tool_use","name":"n"}]})"),
        "messages.0.content.0.id: Field required"
    );
    EXPECT_EQ(
        why(R"({"role":"user","content":[{"type":"tool_result"}]})"),
        "messages.0.content.0.tool_use_id: Field required"
    );
    EXPECT_EQ(why(""), "messages: at least one message is required");
    EXPECT_EQ(why("7"), "messages.0: Input should be an object");
    EXPECT_EQ(convert(R"({"messages":5})").error, "messages: Input should be a valid list");
    EXPECT_EQ(
        convert(R"({"messages":[{"role":"user","content":"x"}],"max_tokens":"many"})").error,
        "max_tokens: Input should be a valid number"
    );
    EXPECT_FALSE(convert("[]").good);
    EXPECT_FALSE(convert("").good);
    EXPECT_FALSE(convert(with_messages(R"({"role":"user","content":"\q"})")).good);
    EXPECT_FALSE(
        convert(
            R"({"messages":[{"role":"user","content":"x"}],"tools":[{"name":"a","input_schema":{"b" 1}}]})"
        )
            .good
    );
}

// In linear time: searching through all results or names for each call would be seen in how long
// this takes.
TEST(RequestToOpenai, ALongUserIdIsCutBetweenLetters) {
    std::string id(63, 'a');
    RequestOutcome outcome = convert(
        R"({"messages":[{"role":"user","content":"x"}],"metadata":{"user_id":")" + id +
        R"(\u00e9z"}})"
    );
    EXPECT_EQ(outcome.body["user"], id);
    EXPECT_TRUE(notes(outcome, "metadata.user_id"));
}

}  // namespace
}  // namespace balancer::wire::convert
