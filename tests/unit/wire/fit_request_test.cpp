#include "dataplane/wire/convert/fit_request.hpp"

#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

using nlohmann::json;

Capabilities without(std::initializer_list<bool Capabilities::*> missing) {
    Capabilities takes = anthropic_capabilities();
    for (auto one : missing) takes.*one = false;
    return takes;
}

struct Fitted {
    std::string body;  // or "refused: …"
    std::vector<std::string> notes;
    bool not_capable = false;
};

Fitted fit(const std::string& text, const Capabilities& takes, Pin pin = Pin::kLeave) {
    PaddedBody body(text);
    Result<FittedRequest> fitted = fit_request(test_reader(), body.view, takes, pin);
    if (!fitted) return {"refused: " + fitted.error().text(), {}, is_not_capable(fitted.error())};
    Fitted out;
    for (std::string_view piece : splice_body(body.view, fitted->edits)) out.body += piece;
    out.notes = fitted->notes.list();
    return out;
}

// One of everything, with spaces where JSON allows them.
const std::string kWhole = R"({ "model":"m", "max_tokens": 128000 ,"stream":true,
 "system":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h","scope":"global"}}],
 "messages":[{"role":"user","content":[{"type":"text","text":"\u00e9 1.50"}]},
  {"role":"system","content":"s","output_config":{"effort":"high"}},
  {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"sig"},{"type":"tool_use","id":"toolu_1","name":"n","input":{"a":1.0e3},"cache_control":{"type":"ephemeral"}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"r"},{"type":"tool_reference","tool_name":"n\"2"}]}]}],
 "tools":[{"name":"n","defer_loading":true,"strict":true,"input_schema":{"type":"object","cache_control":{"x":1}},"input_examples":[{}],"eager_input_streaming":true}],
 "tool_choice":{"type":"auto","disable_parallel_tool_use":true},
 "thinking":{"type":"enabled","budget_tokens":31999,"display":"updates"},
 "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
 "output_config":{"effort":"medium"}, "temperature":1, "top_p":0.5,"top_k":3,
 "service_tier":"auto","speed":"fast","unknown":{"kept":[1.50]} })";

TEST(FitRequest, WhatIsTakenStaysByteForByte) {
    EXPECT_EQ(fit(kWhole, anthropic_capabilities()).body, kWhole);
    EXPECT_TRUE(fit(kWhole, anthropic_capabilities()).notes.empty());
}

// Each switch takes its own fields out and nothing else: what is left is the body with these members erased.
TEST(FitRequest, EachCapabilityTakesItsOwnFieldsAndNothingElse) {
    struct Case {
        bool Capabilities::*missing;
        std::vector<std::string> gone;  // JSON pointers, back to front
        std::vector<std::pair<std::string, json>> changed;
    };
    for (const Case& one : std::vector<Case>{
             {&Capabilities::context_management, {"/context_management"}, {}},
             {&Capabilities::thinking, {"/context_management", "/thinking", "/messages/2/content/0"}, {}},
             {&Capabilities::thinking_display, {"/thinking/display"}, {}},
             {&Capabilities::cache_control,
              {"/messages/2/content/1/cache_control", "/system/1/cache_control"},
              {}},
             {&Capabilities::cache_ttl, {"/system/1/cache_control/ttl"}, {}},
             {&Capabilities::cache_scope, {"/system/1/cache_control/scope"}, {}},
             {&Capabilities::effort, {"/output_config", "/messages/1/output_config"}, {}},
             {&Capabilities::turn_control, {"/messages/1/output_config"}, {}},
             {&Capabilities::structured_output, {"/tools/0/strict"}, {}},
             {&Capabilities::advanced_tools,
              {"/tools/0/defer_loading", "/tools/0/input_examples", "/tools/0/eager_input_streaming"},
              {{"/messages/3/content/0/content/1",
                {{"type", "text"}, {"text", "Tool n\"2 is now available."}}}}},
             {&Capabilities::parallel_tools, {"/tool_choice/disable_parallel_tool_use"}, {}},
             {&Capabilities::service_tier, {"/service_tier", "/speed"}, {}},
             {&Capabilities::sampling, {"/temperature", "/top_p"}, {}},
             {&Capabilities::top_k, {"/top_k"}, {}},
             {&Capabilities::system_anywhere, {}, {{"/messages/1/role", "user"}}},
             {&Capabilities::server_tools, {}, {}},
             {&Capabilities::files, {}, {}},
             {&Capabilities::images, {}, {}},
             {&Capabilities::documents, {}, {}},
         }) {
        Fitted fitted = fit(kWhole, without({one.missing}));
        json expected = json::parse(kWhole);
        for (const std::string& pointer : one.gone) {
            json::json_pointer at(pointer);
            ASSERT_TRUE(expected.contains(at)) << pointer;
            json& parent = expected[at.parent_pointer()];
            if (parent.is_array()) {
                parent.erase(std::stoul(at.back()));
            } else {
                parent.erase(at.back());
            }
        }
        for (const auto& [pointer, value] : one.changed) expected[json::json_pointer(pointer)] = value;
        ASSERT_TRUE(json::accept(fitted.body)) << fitted.body;
        EXPECT_EQ(json::parse(fitted.body), expected) << fitted.body;
        EXPECT_EQ(fitted.notes.empty(), one.gone.empty() && one.changed.empty());
        // Numbers and escapes are as they were.
        EXPECT_NE(fitted.body.find(R"("\u00e9 1.50")"), std::string::npos);
        EXPECT_NE(fitted.body.find("1.0e3"), std::string::npos);
        EXPECT_NE(fitted.body.find(R"("unknown":{"kept":[1.50]} })"), std::string::npos);
    }
}

TEST(FitRequest, AllTogetherAndThePinWithThem) {
    Capabilities nothing = anthropic_capabilities();
    for (auto one : {&Capabilities::context_management, &Capabilities::thinking, &Capabilities::cache_control,
                     &Capabilities::effort, &Capabilities::structured_output, &Capabilities::advanced_tools,
                     &Capabilities::service_tier, &Capabilities::sampling, &Capabilities::top_k}) {
        nothing.*one = false;
    }
    nothing.output_tokens_max = 8192;
    std::string body = kWhole;
    body.insert(body.rfind('}'), R"(, "provider" : "p")");
    Fitted fitted = fit(body, nothing, Pin::kCut);
    ASSERT_TRUE(json::accept(fitted.body)) << fitted.body;
    json left = json::parse(fitted.body);
    for (const char* gone : {"context_management", "thinking", "output_config", "service_tier", "speed", "temperature",
                             "top_p", "top_k", "provider"}) {
        EXPECT_FALSE(left.contains(gone)) << gone;
    }
    EXPECT_EQ(left["max_tokens"], 8192);
    EXPECT_EQ(fitted.body.find("cache_control\":{\"type"), std::string::npos);
    EXPECT_TRUE(left["tools"][0]["input_schema"].contains("cache_control")) << "a schema's own words are no cache mark";
    // A member alone in its object, and members at either end.
    EXPECT_EQ(fit(R"({"top_k":1,"messages":[],"top_p":1})", nothing).body, R"({"messages":[]})");
    EXPECT_EQ(fit(R"({"top_k":1})", nothing).body, "{}");
    EXPECT_EQ(fit(R"({"a":1,"top_k":1 , "provider":"p"})", nothing, Pin::kCut).body, R"({"a":1})");
    EXPECT_EQ(fit(R"({"provider":"p","top_k":1,"a":1})", nothing, Pin::kCut).body, R"({"a":1})");
}

TEST(FitRequest, WhatTheAnswerDependsOnIsRefusedByName) {
    auto asking = [](const std::string& block) {
        return R"({"messages":[{"role":"user","content":[{"type":"text","text":"x"},)" + block + "]}]}";
    };
    struct Case {
        std::string body;
        bool Capabilities::*missing;
        const char* words;
    };
    for (const Case& one : std::vector<Case>{
             {asking(R"({"type":"image","source":{"type":"base64","data":"QQ=="}})"), &Capabilities::images,
              "messages.0.content.1: \"image\" blocks are not taken by this provider"},
             {asking(R"({"type":"tool_result","tool_use_id":"t","content":[{"source":{},"type":"document"}]})"),
              &Capabilities::documents, "messages.0.content.1.content.0: \"document\""},
             {asking(R"({"type":"document","source":{"type":"file","file_id":"f"}})"), &Capabilities::files,
              "messages.0.content.1.source: uploaded files"},
             {asking(R"({"type":"web_search_tool_result","tool_use_id":"t","content":[]})"), &Capabilities::server_tools,
              "messages.0.content.1: \"web_search_tool_result\""},
             {R"({"messages":[],"tools":[{"name":"a"},{"type":"web_search_20250305","name":"web_search"}]})",
              &Capabilities::server_tools, "tools.1: \"web_search_20250305\" is a tool of Anthropic's own"},
             {R"({"messages":[],"mcp_servers":[{"url":"https://x"}]})", &Capabilities::server_tools, "mcp_servers:"},
             {R"({"messages":[],"tools":[{"name":"a"}]})", &Capabilities::tools, "tools.0: this provider takes no tools"},
         }) {
        Fitted fitted = fit(one.body, without({one.missing}));
        EXPECT_TRUE(fitted.not_capable) << fitted.body;
        EXPECT_NE(fitted.body.find(one.words), std::string::npos) << fitted.body;
        EXPECT_EQ(fit(one.body, anthropic_capabilities()).body, one.body);
    }
    EXPECT_EQ(fit(R"({"tools":[],"mcp_servers":[]})", without({&Capabilities::tools, &Capabilities::server_tools})).body,
              R"({"tools":[],"mcp_servers":[]})");
}

TEST(FitRequest, AMessageOfThinkingAloneGoesAsAWhole) {
    std::string body =
        R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"d"}]},{"role":"user","content":"b"}]})";
    EXPECT_EQ(
        fit(body, without({&Capabilities::thinking})).body,
        R"({"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]})"
    );
}

TEST(FitRequest, ALimitOfTokensTakesTheBudgetAlong) {
    Capabilities takes = anthropic_capabilities();
    takes.output_tokens_max = 8192;
    auto asking = [](const char* max, const char* budget) {
        return std::string(R"({"thinking":{"type":"enabled","budget_tokens":)") + budget + R"(},"max_tokens":)" + max + "}";
    };
    EXPECT_EQ(fit(asking("32000", "31999"), takes).body, asking("8192", "4096"));
    EXPECT_EQ(fit(asking("32000", "2000"), takes).body, asking("8192", "2000"));
    EXPECT_EQ(fit(asking("8192", "8000"), takes).body, asking("8192", "8000"));
    takes.output_tokens_max = 1500;
    EXPECT_EQ(fit(asking("32000", "31999"), takes).body, asking("1500", "1024"));
    takes.output_tokens_max = 1025;
    EXPECT_EQ(fit(asking("32000", "31999"), takes).body, asking("1025", "1024"));
}

// 1024 is the least budget, and has to be below max_tokens.
TEST(FitRequest, ALimitThatLeavesNoRoomForABudgetTurnsThinkingOff) {
    Capabilities takes = anthropic_capabilities();
    for (std::uint32_t limit : {1024U, 500U}) {
        takes.output_tokens_max = limit;
        Fitted fitted = fit(
            R"({"context_management":{"edits":[]},"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":2000},"model":"m"})",
            takes
        );
        EXPECT_EQ(fitted.body, R"({"max_tokens":)" + std::to_string(limit) + R"(,"model":"m"})");
        EXPECT_EQ(
            fitted.notes,
            (std::vector<std::string>{
                "max_tokens: lowered to the provider's limit", "thinking: off, max_tokens leaves no room for it"
            })
        );
        // Without a budget nothing is wrong.
        EXPECT_EQ(
            fit(R"({"thinking":{"type":"adaptive"},"max_tokens":9000})", takes).body,
            R"({"thinking":{"type":"adaptive"},"max_tokens":)" + std::to_string(limit) + "}"
        );
    }
}

TEST(FitRequest, OddBodiesStayAsTheyAreAndMalformedOnesAreNotCapabilities) {
    Capabilities nothing = without({&Capabilities::thinking, &Capabilities::cache_control, &Capabilities::advanced_tools,
                                    &Capabilities::system_anywhere, &Capabilities::server_tools});
    std::string odd =
        R"({"messages":[7,{"content":"x"},{"content":["y",null,{"type":3,"source":"s","content":{"a":[]}}]}],"system":7,"tools":"x","tool_choice":"auto","output_config":[]})";
    EXPECT_EQ(fit(odd, nothing).body, odd);
    for (const char* bad : {"{", R"({"a":1}x)", R"({"messages":[{"content":[{"type":"text"]}]})"}) {
        Fitted fitted = fit(bad, nothing);
        EXPECT_TRUE(fitted.body.starts_with("refused")) << fitted.body;
        EXPECT_FALSE(fitted.not_capable);
    }
}

}  // namespace
}  // namespace balancer::wire::convert
