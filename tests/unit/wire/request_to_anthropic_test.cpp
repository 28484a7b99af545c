#include "dataplane/wire/convert/request_to_anthropic.hpp"

#include "dataplane/wire/convert/request_to_openai.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

using nlohmann::json;

struct Outcome {
    std::string error;
    json body;
    std::string bytes;
    std::vector<std::string> notes;
    bool include_usage = false;
};

Outcome convert(std::string_view text, bool stream = false) {
    PaddedBody body(text);
    Outcome outcome;
    Result<ConvertedForAnthropic> done =
        request_to_anthropic(test_reader(), body.view, {"claude", stream}, outcome.bytes);
    if (!done) {
        EXPECT_EQ(outcome.bytes, "");
        outcome.error = done.error().text();
        return outcome;
    }
    outcome.body = parse(outcome.bytes);
    outcome.notes = done->notes.list();
    outcome.include_usage = done->include_usage;
    return outcome;
}

json messages_of(const std::string& messages) {
    Outcome outcome = convert(R"({"model":"m","messages":[)" + messages + "]}");
    EXPECT_EQ(outcome.error, "");
    return outcome.body["messages"];
}

bool notes(const Outcome& outcome, std::string_view text) {
    for (const std::string& note : outcome.notes) {
        if (note.find(text) != std::string::npos) return true;
    }
    return false;
}

TEST(RequestToAnthropic, CarriesEverySettingOver) {
    Outcome outcome = convert(
        R"({"model":"m","messages":[{"role":"developer","content":"be brief"},{"role":"system","content":[{"type":"text","text":"and kind"}]},
        {"role":"user","content":"hi \u00e9"}],"max_completion_tokens":77,"temperature":0.50,"top_p":0.9,"stop":["a"," \n"],"user":"u1","stream":true,
        "stream_options":{"include_usage":true},"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}},
        "n":1,"seed":7,"logit_bias":{},"reasoning_effort":"low"})",
        true
    );
    ASSERT_EQ(outcome.error, "");
    EXPECT_EQ(
        outcome.body,
        json::parse(
            R"({"model":"claude","system":[{"type":"text","text":"be brief"},{"type":"text","text":"and kind"}],
        "messages":[{"role":"user","content":[{"type":"text","text":"hi \u00e9"}]}],"max_tokens":77,"temperature":0.5,"stop_sequences":["a"],
        "metadata":{"user_id":"u1"},"output_config":{"format":{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}},"stream":true})"
        )
    );
    EXPECT_TRUE(outcome.include_usage);
    EXPECT_NE(outcome.bytes.find("\"temperature\":0.50"), std::string::npos);
    EXPECT_TRUE(notes(outcome, "seed: dropped"));
    EXPECT_TRUE(notes(outcome, "reasoning_effort: dropped"));
    EXPECT_TRUE(notes(outcome, "stop: of white space only"));
    Outcome least =
        convert(R"({"messages":[{"role":"user","content":"x"}],"temperature":1.7,"stop":"s"})");
    EXPECT_EQ(least.body["max_tokens"], 8192);
    EXPECT_EQ(least.body["temperature"], 1);
    EXPECT_EQ(least.body["stop_sequences"], json::parse(R"(["s"])"));
    EXPECT_FALSE(least.body.contains("stream"));
}

TEST(RequestToAnthropic, OnlyOneOfTemperatureAndTopPIsSent) {
    struct Case {
        const char* given;
        const char* sent;
        const char* note;
    };
    for (const Case& one : std::initializer_list<Case>{
             {R"({"temperature":0.7,"top_p":0.9})", R"({"temperature":0.7})", "top_p: one of"},
             {R"({"temperature":1.0,"top_p":0.9})", R"({"top_p":0.9})", "temperature: one of"},
             {R"({"temperature":1.5,"top_p":0.9})", R"({"top_p":0.9})", "temperature: lowered to 1"},
             {R"({"temperature":0,"top_p":1})", R"({"temperature":0})", "top_p: one of"},
             {R"({"temperature":1,"top_p":1})", R"({"temperature":1})", "top_p: one of"},
             {R"({"top_p":0.25})", R"({"top_p":0.25})", nullptr},
             {R"({"temperature":0.25,"top_p":null})", R"({"temperature":0.25})", nullptr},
         }) {
        SCOPED_TRACE(one.given);
        json body = json::parse(one.given);
        body["messages"] = json::parse(R"([{"role":"user","content":"x"}])");
        Outcome outcome = convert(body.dump());
        ASSERT_EQ(outcome.error, "");
        json sent = json::object();
        for (const char* name : {"temperature", "top_p"}) {
            if (outcome.body.contains(name)) sent[name] = outcome.body[name];
        }
        EXPECT_EQ(sent, json::parse(one.sent));
        if (one.note != nullptr) {
            EXPECT_TRUE(notes(outcome, one.note));
        } else {
            EXPECT_TRUE(outcome.notes.empty());
        }
    }
}

TEST(RequestToAnthropic, ToolsAndChoices) {
    auto choice = [](const std::string& members) {
        Outcome outcome = convert(
            R"({"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"a","description":"d \"q\"","parameters":{"type":"object","properties":{"n":{"minimum":1.0}}},"strict":true}},
            {"type":"function","function":{"name":"b"}}])" +
            members + "}"
        );
        EXPECT_EQ(
            outcome.body["tools"],
            json::parse(
                R"([{"name":"a","description":"d \"q\"","input_schema":{"type":"object","properties":{"n":{"minimum":1.0}}}},{"name":"b","input_schema":{"type":"object","properties":{}}}])"
            )
        );
        return outcome.body.value("tool_choice", json());
    };
    EXPECT_EQ(choice(""), json());
    EXPECT_EQ(choice(R"(,"tool_choice":"auto")"), json::parse(R"({"type":"auto"})"));
    EXPECT_EQ(
        choice(R"(,"tool_choice":"none","parallel_tool_calls":false)"),
        json::parse(R"({"type":"none"})")
    );
    EXPECT_EQ(
        choice(R"(,"tool_choice":"required","parallel_tool_calls":false)"),
        json::parse(R"({"type":"any","disable_parallel_tool_use":true})")
    );
    EXPECT_EQ(
        choice(R"(,"parallel_tool_calls":false)"),
        json::parse(R"({"type":"auto","disable_parallel_tool_use":true})")
    );
    EXPECT_EQ(choice(R"(,"parallel_tool_calls":true)"), json());
    EXPECT_EQ(
        choice(R"(,"tool_choice":{"type":"function","function":{"name":"a"}})"),
        json::parse(R"({"type":"tool","name":"a"})")
    );
}

TEST(RequestToAnthropic, ImagesAndFiles) {
    EXPECT_EQ(
        messages_of(
            R"({"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image\/png;base64,QU\/D","detail":"low"}},
        {"type":"image_url","image_url":{"url":"https://x.example/a.png"}},{"type":"file","file":{"filename":"d.pdf","file_data":"data:application/pdf;base64,JVBE"}}]})"
        )[0]["content"],
        json::parse(
            R"([{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QU/D"}},
        {"type":"image","source":{"type":"url","url":"https://x.example/a.png"}},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}])"
        )
    );
    EXPECT_NE(
        convert(
            R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]})"
        )
            .error.find("messages.0.content.0: image_url"),
        std::string::npos
    );
    EXPECT_NE(
        convert(
            R"({"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]})"
        )
            .error.find("file_data"),
        std::string::npos
    );
    EXPECT_NE(
        convert(
            R"({"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]})"
        )
            .error.find("input_audio"),
        std::string::npos
    );
}

TEST(RequestToAnthropic, CallsAndResultsInOneTurnEach) {
    json messages = messages_of(
        R"({"role":"user","content":"go"},{"role":"assistant","content":null,"tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"a","arguments":"{\"x\":[1,\"\\u00e9\"]}"}},{"id":"functions.b:1","type":"function","function":{"name":"b","arguments":""}}]},
        {"role":"tool","tool_call_id":"functions.b:1","content":[{"type":"text","text":"B"}]},{"role":"tool","tool_call_id":"call_1","content":"A"},{"role":"user","content":"and"},{"role":"user","content":"so"}
    )"
    );
    ASSERT_EQ(messages.size(), 3U) << messages.dump(1);
    EXPECT_EQ(
        messages[1]["content"],
        json::parse(
            R"([{"type":"tool_use","id":"call_1","name":"a","input":{"x":[1,"\u00e9"]}},{"type":"tool_use","id":"functions_b_1","name":"b","input":{}}])"
        )
    );
    EXPECT_EQ(
        messages[2]["content"],
        json::parse(
            R"([{"type":"tool_result","tool_use_id":"functions_b_1","content":[{"type":"text","text":"B"}]},
        {"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"A"}]},{"type":"text","text":"and"},{"type":"text","text":"so"}])"
        )
    );
}

// As servers do that count the calls of each turn anew.
TEST(RequestToAnthropic, IdsThatComeAgainAreMadeUniqueWithTheirResults) {
    auto call = [](const std::string& id) {
        return json{{"id", id}, {"type", "function"}, {"function", {{"name", "a"}, {"arguments", "{}"}}}};
    };
    auto result = [](const std::string& id, const std::string& text) {
        return json{{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
    };
    json body;
    body["messages"] = json::array({
        {{"role", "user"}, {"content", "go"}},
        {{"role", "assistant"}, {"tool_calls", json::array({call("call:0"), call("call_0_2")})}},
        result("call:0", "1"),
        result("call_0_2", "2"),
        {{"role", "assistant"}, {"tool_calls", json::array({call("call:0")})}},
        result("call:0", "3"),
        // Two of one turn, and one without a result.
        {{"role", "assistant"}, {"tool_calls", json::array({call("call:0"), call("call:0"), call("call:0")})}},
        result("call:0", "4"),
        result("call:0", "5"),
    });
    Outcome outcome = convert(body.dump());
    ASSERT_EQ(outcome.error, "");
    std::vector<std::string> calls;
    std::vector<std::string> results;
    for (const json& message : outcome.body["messages"]) {
        for (const json& block : message["content"]) {
            if (block["type"] == "tool_use") calls.push_back(block["id"]);
            if (block["type"] != "tool_result") continue;
            bool missing = block.contains("is_error");
            results.push_back(
                block["tool_use_id"].get<std::string>() + "=" +
                (missing ? "none" : block["content"][0]["text"].get<std::string>())
            );
        }
    }
    EXPECT_EQ(calls, (std::vector<std::string>{"call_0", "call_0_2", "call_0_3", "call_0_4", "call_0_5", "call_0_6"}));
    EXPECT_EQ(
        results,
        (std::vector<std::string>{
            "call_0=1", "call_0_2=2", "call_0_3=3", "call_0_4=4", "call_0_5=5", "call_0_6=none"
        })
    );
    EXPECT_TRUE(notes(outcome, "tool_calls: ids that come again, made unique"));
}

TEST(RequestToAnthropic, ASchemaForTheAnswerIsOneThatAnthropicTakes) {
    auto sent = [](const std::string& schema) {
        return convert(
            R"({"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":)" +
            schema + "}}}"
        );
    };
    Outcome outcome = sent(
        R"({"type":"object","properties":{"minimum":{"type":"integer","minimum":1.0,"maximum":9},
        "s":{"type":["string","null"],"minLength":1,"maxLength":9,"pattern":"^a","format":"regex","description":"d \"q\""},
        "u":{"type":"string","format":"uri"},
        "l":{"type":"array","minItems":1,"maxItems":3,"items":{"type":"object","properties":{"e":{"enum":["a",1,null]}}}},
        "two":{"type":"array","minItems":2,"items":{"$ref":"#/$defs/d"}},
        "any":{"anyOf":[{"type":"object","additionalProperties":{"type":"string"}},{"type":"null"}]}},
        "required":["s"],"additionalProperties":false,"$defs":{"d":{"type":["object","null"],"properties":{}}}})"
    );
    ASSERT_EQ(outcome.error, "");
    EXPECT_EQ(
        outcome.body["output_config"]["format"]["schema"],
        json::parse(
            R"({"type":"object","properties":{"minimum":{"type":"integer"},
        "s":{"type":["string","null"],"pattern":"^a","description":"d \"q\""},
        "u":{"type":"string","format":"uri"},
        "l":{"type":"array","minItems":1,"items":{"type":"object","properties":{"e":{"enum":["a",1,null]}},"additionalProperties":false}},
        "two":{"type":"array","items":{"$ref":"#/$defs/d"}},
        "any":{"anyOf":[{"type":"object","additionalProperties":false},{"type":"null"}]}},
        "required":["s"],"additionalProperties":false,"$defs":{"d":{"type":["object","null"],"properties":{},"additionalProperties":false}}})"
        )
    );
    for (const char* note : {"minimum of the schema dropped", "maximum of the schema dropped", "minLength of the schema",
                             "maxLength of the schema", "format of the schema", "maxItems of the schema",
                             "minItems of the schema", "additionalProperties set to false"}) {
        EXPECT_TRUE(notes(outcome, std::string("response_format: ") + note)) << note;
    }
    // One that is good goes as it is written.
    std::string good = R"({ "type": "object", "properties": {"n": {"type":"number","enum":[1.50]}}, "additionalProperties" : false})";
    outcome = sent(good);
    EXPECT_EQ(outcome.body["output_config"]["format"]["schema"], json::parse(good));
    EXPECT_NE(outcome.bytes.find("[1.50]"), std::string::npos);
    EXPECT_TRUE(outcome.notes.empty());
}

TEST(RequestToAnthropic, OrphansAreRepairedAndEmptyTurnsLeftOut) {
    Outcome outcome = convert(
        R"({"messages":[{"role":"user","content":"go"},{"role":"tool","tool_call_id":"x","content":"orphan"},
        {"role":"assistant","content":"","tool_calls":[{"id":"c1","function":{"name":"a","arguments":"nonsense"}}]},{"role":"user","content":"on"},
        {"role":"assistant","content":""},{"role":"system","content":"now in French"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}],"tool_calls":[{"id":"c2","function":{"name":"a"}}]}]})"
    );
    ASSERT_EQ(outcome.error, "");
    const json& messages = outcome.body["messages"];
    ASSERT_EQ(messages.size(), 6U) << messages.dump(1);
    EXPECT_EQ(
        messages[1]["content"][0]["input"], json::parse(R"({"error_parsing_arguments":"nonsense"})")
    );
    EXPECT_EQ(messages[2]["content"][0]["tool_use_id"], "c1");
    EXPECT_EQ(messages[2]["content"][0]["is_error"], true);
    EXPECT_EQ(messages[2]["content"][1]["text"], "on");
    EXPECT_EQ(messages[3]["content"][0]["text"], "now in French");
    EXPECT_EQ(messages[4]["content"][0]["text"], "no");
    EXPECT_EQ(messages[5]["content"][0]["tool_use_id"], "c2");
    EXPECT_TRUE(notes(outcome, "tool message: without its call"));
}

TEST(RequestToAnthropic, SaysWhatIsWrong) {
    EXPECT_EQ(convert(R"({"messages":[]})").error, "messages: at least one message is required");
    EXPECT_EQ(
        convert(R"({"messages":[{"role":"user","content":""}]})").error,
        "messages: at least one message with content is required"
    );
    EXPECT_EQ(
        convert(R"({"messages":[{"role":"robot","content":"x"}]})").error,
        "messages.0.role: must be system, developer, user, assistant or tool"
    );
    EXPECT_EQ(
        convert(R"({"messages":[{"role":"user","content":7}]})").error,
        "messages.0.content: must be a string or a list of content parts"
    );
    EXPECT_NE(convert(R"({"n":2,"messages":[{"role":"user","content":"x"}]})").error, "");
    EXPECT_NE(convert(R"({"functions":[],"messages":[{"role":"user","content":"x"}]})").error, "");
    EXPECT_NE(
        convert(R"({"tools":[{"type":"custom"}],"messages":[{"role":"user","content":"x"}]})")
            .error,
        ""
    );
    EXPECT_NE(convert(R"({"messages":[{"role":"user","content":"\q"}]})").error, "");
    EXPECT_EQ(
        convert(
            R"({"tools":null,"stop":null,"functions":null,"max_tokens":null,"messages":[{"role":"user","content":"x"}]})"
        )
            .error,
        ""
    );
}

TEST(RequestToAnthropic, ThereAndBackIsTheSameConversation) {
    std::string first =
        R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"go"},{"role":"assistant","content":"I will.","tool_calls":[{"id":"call_1","type":"function","function":{"name":"a","arguments":"{\"x\":1}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"A"}],"max_tokens":9})";
    Outcome there = convert(first);
    ASSERT_EQ(there.error, "");
    PaddedBody body(there.bytes);
    std::string back;
    ToOpenaiOptions options{"m", false, {}};
    ASSERT_TRUE(request_to_openai(test_reader(), body.view, options, back));
    EXPECT_EQ(parse(back), json::parse(first));
}

// Anthropic answers 400 to an e-mail address or a telephone number there.
TEST(RequestToAnthropic, AUserIsNamedWithoutTellingWho) {
    auto user_id = [](const std::string& user) {
        Outcome outcome =
            convert(R"({"messages":[{"role":"user","content":"x"}],"user":")" + user + "\"}");
        return outcome.body["metadata"]["user_id"].get<std::string>();
    };
    EXPECT_EQ(user_id("user_4f2a-9"), "user_4f2a-9");
    std::string of_mail = user_id("jane.doe@example.com");
    for (const char* personal :
         {"jane.doe@example.com", "+49 170 1234567", "5551234567", "555-123-4567", "Jane Doe", "\\u00e9"}) {
        std::string id = user_id(personal);
        EXPECT_TRUE(id.starts_with("user_")) << id;
        EXPECT_EQ(id.size(), 37U);
        EXPECT_EQ(user_id(personal), id) << "the same user has the same name";
    }
    EXPECT_NE(user_id("jane.doe@example.org"), of_mail);
    EXPECT_EQ(user_id("jane.doe\\u0040example.com"), of_mail);
}

TEST(RequestToAnthropic, MediaTypesAreThoseThatAnthropicKnows) {
    auto type = [](const std::string& url) {
        Outcome outcome = convert(
            R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":")" +
            url + R"("}}]}]})"
        );
        EXPECT_EQ(outcome.error, "");
        return outcome.body["messages"][0]["content"][0]["source"];
    };
    EXPECT_EQ(type("data:image/jpg;base64,QQ==")["media_type"], "image/jpeg");
    EXPECT_EQ(type("data:image/png;charset=utf-8;base64,QQ==")["media_type"], "image/png");
    EXPECT_EQ(type("data:image/png;charset=utf-8;base64,QQ==")["data"], "QQ==");
    EXPECT_EQ(type("data:Image/WEBP;base64,QQ==")["media_type"], "image/webp");
}

TEST(RequestToAnthropic, WhatASystemMessageCannotHoldIsNoted) {
    Outcome outcome = convert(
        R"({"messages":[{"role":"system","content":[{"type":"text","text":"s"},{"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]},{"role":"user","content":"x"}]})"
    );
    ASSERT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.body["system"].size(), 1U);
    EXPECT_TRUE(notes(outcome, "system message: parts that are no text, dropped"));
}

}  // namespace
}  // namespace balancer::wire::convert
