#include <fmt/format.h>

#include "tests/unit/wire/request_to_openai_fixture.hpp"

namespace balancer::wire::convert {
namespace {

TEST(RequestToOpenai, ToolsAndChoices) {
    auto with = [](const std::string& choice, const Capabilities& takes = {}) {
        return convert(
            R"({"messages":[{"role":"user","content":"x"}],"tools":[{"name":"Bash","description":"runs \"it\"",
            "input_schema":{"type":"object","properties":{"n":{"type":"number","exclusiveMinimum":0.0}}},"cache_control":{"type":"ephemeral"}},
            {"type":"custom","name":"Plain","strict":true,"input_schema":{}}],"tool_choice":)" +
                choice + "}",
            takes
        );
    };
    RequestOutcome outcome = with(R"({"type":"any","disable_parallel_tool_use":true})");
    ASSERT_TRUE(outcome.good) << outcome.error;
    EXPECT_EQ(
        outcome.body["tools"],
        json::parse(R"([{"type":"function","function":{"name":"Bash","description":"runs \"it\"",
        "parameters":{"type":"object","properties":{"n":{"type":"number","exclusiveMinimum":0.0}}}}},
        {"type":"function","function":{"name":"Plain","description":"","parameters":{"type":"object","properties":{}}}}])"
        )
    );
    EXPECT_NE(outcome.bytes.find("\"exclusiveMinimum\":0.0"), std::string::npos);
    EXPECT_EQ(outcome.body["tool_choice"], "required");
    EXPECT_EQ(outcome.body["parallel_tool_calls"], false);
    EXPECT_EQ(with(R"({"type":"auto"})").body["tool_choice"], "auto");
    EXPECT_EQ(with(R"({"type":"none"})").body["tool_choice"], "none");
    EXPECT_EQ(
        with(R"({"type":"tool","name":"Bash"})").body["tool_choice"],
        json::parse(R"({"type":"function","function":{"name":"Bash"}})")
    );
    Capabilities takes;
    takes.parallel_tools = false;
    EXPECT_TRUE(notes(
        with(R"({"type":"any","disable_parallel_tool_use":true})", takes),
        "disable_parallel_tool_use"
    ));
    takes.tools = false;
    EXPECT_FALSE(with("null", takes).capable);
}

TEST(RequestToOpenai, SchemasGetWhatOpenaiWantsOfThem) {
    auto parameters = [](const std::string& schema) {
        RequestOutcome outcome = convert(
            R"({"messages":[{"role":"user","content":"x"}],"tools":[{"name":"a","input_schema":)" +
            schema + "}]}"
        );
        return outcome.body["tools"][0]["function"]["parameters"];
    };
    json least = json::parse(R"({"type":"object","properties":{}})");
    for (const char* schema :
         {"{}",
          "{ \n }",
          R"({"type":"object"})",
          R"({"properties":{} })",
          R"({"type":"object","properties":{}})"}) {
        EXPECT_EQ(parameters(schema), least) << schema;
    }
    EXPECT_EQ(
        parameters(R"({"additionalProperties":false , "type":"object" })"),
        json::parse(R"({"additionalProperties":false,"type":"object","properties":{}})")
    );
}

TEST(RequestToOpenai, ServerToolsAndMcpAreForAnotherProvider) {
    RequestOutcome search = convert(
        R"({"messages":[{"role":"user","content":"x"}],"tools":[{"name":"a"},{"type":"web_search_20250305","name":"web_search","max_uses":8}]})"
    );
    EXPECT_FALSE(search.capable);
    EXPECT_NE(search.error.find("tools.1: \"web_search_20250305\""), std::string::npos)
        << search.error;
    EXPECT_FALSE(
        convert(R"({"messages":[{"role":"user","content":"x"}],"mcp_servers":[{"type":"url"}]})")
            .capable
    );
    EXPECT_TRUE(
        convert(R"({"messages":[{"role":"user","content":"x"}],"mcp_servers":[],"tools":[]})").good
    );
}

TEST(RequestToOpenai, DeferredToolsComeWhenTheyAreReferredTo) {
    std::string tools =
        R"("tools":[{"name":"ToolSearch","input_schema":{}},{"name":"WebSearch","input_schema":{},"defer_loading":true},
        {"name":"DeferredToolPlaceholder","input_schema":{},"defer_loading":true}])";
    std::string first = R"({"role":"user","content":"x"})";
    std::string later =
        first +
        R"(,{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"ToolSearch","input":{"query":"q"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference","tool_name":"WebSearch"}]},{"type":"text","text":"Tool loaded."}]})";
    auto names = [](const RequestOutcome& outcome) {
        std::string all;
        for (const json& tool : outcome.body["tools"])
            all += tool["function"]["name"].get<std::string>() + " ";
        return all;
    };
    EXPECT_EQ(names(convert("{" + tools + R"(,"messages":[)" + first + "]}")), "ToolSearch ");
    RequestOutcome outcome = convert("{" + tools + R"(,"messages":[)" + later + "]}");
    EXPECT_EQ(names(outcome), "ToolSearch WebSearch ");
    EXPECT_EQ(
        outcome.body["messages"][2],
        json::parse(
            R"({"role":"tool","tool_call_id":"t","content":"Tool WebSearch is now available."})"
        )
    );
    std::string searching =
        R"({"tools":[{"type":"tool_search_tool_regex_20251119","name":"s"},{"name":"D","defer_loading":true}],"messages":[)" +
        first + "]}";
    EXPECT_EQ(names(convert(searching)), "D ");
}

TEST(RequestToOpenai, LongToolNamesAreCutTheSameEverywhere) {
    std::string name = "mcp__server__" + std::string(70, 'n');
    RequestOutcome outcome = convert(
        R"({"tools":[{"name":")" + name + R"("}],"tool_choice":{"type":"tool","name":")" + name +
        R"("},"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":")" +
        name +
        R"(","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]})"
    );
    ASSERT_TRUE(outcome.good) << outcome.error;
    std::string sent = outcome.body["tools"][0]["function"]["name"];
    EXPECT_EQ(sent.size(), 64U);
    EXPECT_EQ(outcome.body["tool_choice"]["function"]["name"], sent);
    EXPECT_EQ(outcome.body["messages"][1]["tool_calls"][0]["function"]["name"], sent);
    EXPECT_EQ(outcome.names.from_openai(sent), name);
}

TEST(RequestToOpenai, ParallelResultsStandNextToTheirCallsInTheirOrder) {
    json messages = messages_of(R"({"role":"user","content":"go"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"I will."},
          {"type":"tool_use","id":"a","name":"Bash","input":{"command":"cat \"x\"","n":1.50}},{"type":"tool_use","id":"b","name":"Read","input":{}}]},
        {"role":"user","content":[{"tool_use_id":"b","type":"tool_result","content":"B"},{"type":"text","text":"and"},
          {"type":"tool_result","content":[{"type":"text","text":"A1"},{"type":"text","text":"A2"}],"is_error":true,"tool_use_id":"a","cache_control":{"type":"ephemeral"}}]})"
    );
    ASSERT_EQ(messages.size(), 5U) << messages.dump(1);
    EXPECT_EQ(messages[1], json::parse(R"({"role":"assistant","content":"I will.","tool_calls":[
        {"id":"a","type":"function","function":{"name":"Bash","arguments":"{\"command\":\"cat \\\"x\\\"\",\"n\":1.50}"}},
        {"id":"b","type":"function","function":{"name":"Read","arguments":"{}"}}]})"));
    EXPECT_EQ(
        messages[2], json::parse(R"({"role":"tool","tool_call_id":"a","content":"Error: A1\nA2"})")
    );
    EXPECT_EQ(messages[3], json::parse(R"({"role":"tool","tool_call_id":"b","content":"B"})"));
    EXPECT_EQ(messages[4], json::parse(R"({"role":"user","content":"and"})"));
}

TEST(RequestToOpenai, ResultsSpreadOverTurnsAndOrphansAreRepaired) {
    RequestOutcome outcome = convert(with_messages(
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"b","content":"too early"}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"A","input":{}},{"type":"tool_use","id":"b","name":"B","input":{}},{"type":"tool_use","id":"c","name":"C"}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"ra"}]},
        {"role":"system","content":"s"},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":""},{"type":"tool_result","tool_use_id":"x","content":"orphan"}]},
        {"role":"user","content":"on"})"
    ));
    ASSERT_TRUE(outcome.good) << outcome.error;
    const json& messages = outcome.body["messages"];
    ASSERT_EQ(messages.size(), 6U) << messages.dump(1);
    EXPECT_EQ(messages[1]["tool_call_id"], "a");
    EXPECT_EQ(messages[2]["tool_call_id"], "b");
    EXPECT_NE(messages[2]["content"].get<std::string>().find("Error"), std::string::npos);
    EXPECT_EQ(messages[3], json::parse(R"({"role":"tool","tool_call_id":"c","content":""})"));
    EXPECT_EQ(messages[4]["role"], "system");
    EXPECT_EQ(messages[5]["content"], "on");
    EXPECT_TRUE(notes(outcome, "tool_result: without its call"));
    EXPECT_TRUE(notes(outcome, "tool_use: without a result"));
}

TEST(RequestToOpenai, AnImageInAResultFollowsAllResults) {
    json messages = messages_of(
        R"({"role":"assistant","content":[{"type":"tool_use","id":"a","name":"Read","input":{}},{"type":"tool_use","id":"b","name":"Read","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image","source":{"type":"base64","data":"QQ==","media_type":"image/png"}}]},
        {"type":"tool_result","tool_use_id":"b"},{"type":"text","text":"t"}]})"
    );
    ASSERT_EQ(messages.size(), 5U) << messages.dump(1);
    EXPECT_NE(messages[1]["content"], "");
    EXPECT_EQ(messages[2]["content"], "");
    EXPECT_EQ(messages[3]["role"], "user");
    EXPECT_EQ(messages[3]["content"][1]["image_url"]["url"], "data:image/png;base64,QQ==");
    EXPECT_EQ(messages[4]["content"], "t");
}

TEST(RequestToOpenai, ManyCallsAndLongNamesAreNoBurden) {
    std::string calls;
    std::string results;
    for (int i = 0; i < 20'000; ++i) {
        std::string comma = i == 0 ? "" : ",";
        calls += comma + R"({"type":"tool_use","id":"same","name":")" + std::to_string(i) +
                 std::string(70, 'n') + "\"}";
        results += comma + R"({"type":"tool_result","tool_use_id":"same"})";
    }
    RequestOutcome outcome = convert(with_messages(
        R"({"role":"assistant","content":[)" + calls + R"(]},{"role":"user","content":[)" +
        results + "]}"
    ));
    ASSERT_TRUE(outcome.good) << outcome.error;
    EXPECT_EQ(outcome.body["messages"].size(), 20'001U);
}

// With "strict" and an optional property the whole request is a 400 at OpenAI.
TEST(RequestToOpenai, StrictOnlyWhereTheSchemaKeepsItsRules) {
    auto kept = [](const std::string& schema) {
        RequestOutcome outcome = convert(
            R"({"messages":[{"role":"user","content":"x"}],"output_config":{"format":{"type":"json_schema","schema":)" +
            schema + R"(}},"tools":[{"name":"t","strict":true,"input_schema":)" + schema + "}]}"
        );
        EXPECT_TRUE(outcome.good) << outcome.error;
        json function = outcome.body["tools"][0]["function"];
        json format = outcome.body["response_format"]["json_schema"];
        EXPECT_EQ(function["parameters"], format["schema"]);
        bool strict = function.contains("strict");
        EXPECT_EQ(format.contains("strict"), strict);
        EXPECT_EQ(notes(outcome, "tools.strict: not held"), !strict) << schema;
        EXPECT_EQ(notes(outcome, "output_config.format: not held"), !strict) << schema;
        return strict;
    };
    EXPECT_TRUE(kept(
        R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false})"
    ));
    EXPECT_TRUE(kept(
        R"({"type":"object","properties":{"a":{"type":["object","null"],"properties":{"b":{"type":"integer","enum":[1]}},"required":["b"],"additionalProperties":false},
        "l":{"type":"array","items":{"anyOf":[{"type":"string"},{"$ref":"#/$defs/x"}]}}},"required":["l","a"],"additionalProperties":false,
        "$defs":{"x":{"type":"object","properties":{},"additionalProperties":false}}})"
    ));
    for (const char* schema : {
             R"({"type":"object","properties":{"a":{}},"required":["a"]})",
             R"({"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":true})",
             R"({"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":{"type":"string"}})",
             R"({"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false})",
             R"({"type":"object","properties":{"a":{"type":"object","properties":{}}},"required":["a"],"additionalProperties":false})",
             R"({"type":"object","properties":{"a":{"items":{"properties":{"b":{}},"additionalProperties":false}}},"required":["a"],"additionalProperties":false})",
             R"({"type":"object","properties":{"a":{"anyOf":[{"properties":{"b":{}}}]}},"required":["a"],"additionalProperties":false})",
             R"({"type":"object","properties":{},"additionalProperties":false,"$defs":{"x":{"type":"object","properties":{}}}})",
             R"({"type":"object","properties":{},"additionalProperties":false,"allOf":[{}]})",
             R"({"type":"object","properties":{"a":true},"required":["a"],"additionalProperties":false})",
             R"({"type":"object","properties":{},"additionalProperties":false,"anyOf":[{"type":"object","properties":{},"additionalProperties":false}]})",
         }) {
        EXPECT_FALSE(kept(schema)) << schema;
    }
    auto of_property = [&](const std::string& property) {
        return kept(
            R"({"type":"object","properties":{"a":)" + property +
            R"(},"required":["a"],"additionalProperties":false,"$defs":{"x":{"type":"string"}}})"
        );
    };
    EXPECT_TRUE(of_property(R"({"$ref":"#/$defs/x"})"));
    EXPECT_FALSE(of_property(R"({"$ref":"#/$defs/x","description":"d"})"));
    EXPECT_TRUE(of_property(R"({"anyOf":[{"type":"string"},{"type":"null"}],"description":"d"})"));
    EXPECT_FALSE(of_property(R"({"anyOf":[{"type":"string"},{"description":"anything"}]})"));
    EXPECT_FALSE(of_property(R"({"description":"anything"})"));
    EXPECT_FALSE(of_property(R"({"enum":["x"]})"));
    EXPECT_FALSE(of_property(R"({"type":"array","items":{}})"));
    for (const char* format : {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}) {
        EXPECT_TRUE(of_property(fmt::format(R"({{"type":"string","format":"{}"}})", format))) << format;
    }
    for (const char* format : {"uri", "uri-reference", "regex", "int32", "byte", ""}) {
        EXPECT_FALSE(of_property(fmt::format(R"({{"type":"string","format":"{}"}})", format))) << format;
    }
}

TEST(RequestToOpenai, ImagesOfParallelCallsSayWhichCallTheyAreOf) {
    json messages = messages_of(
        R"({"role":"assistant","content":[{"type":"tool_use","id":"call_a","name":"Shot","input":{}},{"type":"tool_use","id":"call_b","name":"Read","input":{}},
        {"type":"tool_use","id":"call_c","name":"Shot","input":{}}]},
        {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"call_c","content":[{"type":"image","source":{"type":"base64","data":"Q0M=","media_type":"image/png"}}]},
        {"type":"tool_result","tool_use_id":"call_b","content":"text"},
        {"type":"tool_result","tool_use_id":"call_a","content":[{"type":"text","text":"seen"},{"type":"image","source":{"type":"base64","data":"QUE=","media_type":"image/png"}}]}]})"
    );
    ASSERT_EQ(messages.size(), 5U) << messages.dump(1);
    EXPECT_EQ(messages[1]["content"], "seen");
    json parts = messages[4]["content"];
    ASSERT_EQ(parts.size(), 4U) << parts.dump(1);
    EXPECT_EQ(parts[0]["text"], "The result of Shot (call call_a), as an attachment:");
    EXPECT_EQ(parts[1]["image_url"]["url"], "data:image/png;base64,QUE=");
    EXPECT_EQ(parts[2]["text"], "The result of Shot (call call_c), as an attachment:");
    EXPECT_EQ(parts[3]["image_url"]["url"], "data:image/png;base64,Q0M=");
}

}  // namespace
}  // namespace balancer::wire::convert
