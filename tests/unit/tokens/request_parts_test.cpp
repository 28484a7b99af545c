#include "dataplane/tokens/request_parts.hpp"

#include "dataplane/tokens/python_json.hpp"
#include "dataplane/wire/convert/conversion.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::tokens {
namespace {

using wire::convert::PaddedBody;
using wire::convert::test_reader;

// The texts that are counted, and the fixed figure.
struct Counted {
    std::vector<std::string> texts;
    std::uint64_t fixed = 0;
    bool operator==(const Counted&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Counted& counted) {
    out << counted.fixed;
    for (const std::string& text : counted.texts) out << " [" << text << "]";
    return out;
}

Counted counted(const std::string& text) {
    PaddedBody body(text);
    Result<RequestParts> parts = take_apart(test_reader(), body.view);
    if (!parts) return {{"refused: " + parts.error().text()}, 0};
    Counted out{{}, parts->fixed};
    bool goes_on = false;
    for (const CountedPart& part : parts->parts) {
        if (!goes_on) out.texts.emplace_back();
        append_text(out.texts.back(), part);
        goes_on = part.goes_on;
    }
    EXPECT_FALSE(goes_on);
    return out;
}

std::string of_user(const std::string& content, const std::string& rest = "") {
    return R"({"model":"m","messages":[{"role":"user","content":)" + content + "}]" + rest + "}";
}

TEST(RequestParts, AMessageIsItsRoleItsTextAndFour) {
    EXPECT_EQ(counted(of_user(R"("a\n\u00e9")")), (Counted{{"user", "a\né"}, 4}));
    EXPECT_EQ(
        counted(of_user(R"([{"type":"text","text":"one"},{"type":"text","text":"two"}])")),
        (Counted{{"user", "one", "two"}, 4})
    );
}

TEST(RequestParts, SystemTextsCountInBothForms) {
    EXPECT_EQ(counted(of_user(R"("x")", R"(,"system":"s")")), (Counted{{"s", "user", "x"}, 4}));
    EXPECT_EQ(
        counted(of_user(R"("x")", R"(,"system":[{"type":"text","text":"s"},{"type":"text","text":"t"}])")),
        (Counted{{"s", "t", "user", "x"}, 4})
    );
}

TEST(RequestParts, ToolsAreTheirNamesWordsAndSchemasAsPythonWritesThem) {
    EXPECT_EQ(
        counted(of_user(
            R"("x")",
            R"(,"tools":[{"name":"n","description":"d","input_schema":{"type":"object","a":[1,2]}},{"type":"web_search_20250305","name":"web_search"}])"
        )),
        (Counted{{"user", "x", "n", "d", R"({"type": "object", "a": [1, 2]})", "web_search", "web_search_20250305"}, 6})
    );
}

TEST(RequestParts, CallsResultsImagesAndThinking) {
    EXPECT_EQ(
        counted(of_user(
            R"([{"type":"thinking","thinking":"secret","signature":"s"},{"type":"redacted_thinking","data":"d"},)"
            R"({"type":"tool_use","id":"i","name":"n","input":{"k":"v"}},)"
            R"({"type":"tool_result","tool_use_id":"i","content":[{"type":"text","text":"a"},)"
            R"({"type":"image","source":{"type":"url","url":"u"}},{"type":"text","text":"b"}]},)"
            R"({"type":"tool_result","tool_use_id":"i","content":"c"},)"
            R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}])"
        )),
        (Counted{{"user", "n", R"({"k": "v"})", "ab", "c"}, 4 + 768 + 768})
    );
}

TEST(RequestParts, DocumentsOfTextCountAndOthersCannot) {
    EXPECT_EQ(
        counted(of_user(R"([{"type":"document","title":"t","source":{"type":"text","media_type":"text/plain","data":"d"}}])")),
        (Counted{{"user", "t", "d"}, 4})
    );
    PaddedBody pdf(of_user(
        R"([{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}])"
    ));
    Result<RequestParts> parts = take_apart(test_reader(), pdf.view);
    ASSERT_FALSE(parts);
    EXPECT_TRUE(wire::convert::is_not_capable(parts.error()));
}

TEST(RequestParts, MalformedRequestsAreRefusedInTheWordsOfTheApi) {
    EXPECT_EQ(counted("{\"model\":\"m\"}").texts[0], "refused: messages: at least one message is required");
    EXPECT_EQ(
        counted(R"({"messages":[{"role":"user"}]})").texts[0], "refused: messages.0.content: Field required"
    );
    EXPECT_TRUE(counted("[]").texts[0].starts_with("refused: The body must be"));
}

std::string python(std::string_view json) {
    std::string out;
    append_python_json(out, json);
    return out;
}

// From json.dumps(json.loads(...)) of Python 3.11.
TEST(PythonJson, WritesAsJsonDumpsDoes) {
    EXPECT_EQ(python(R"( { "a" : [ 1 , -2.5, true,null ] , "b":{} } )"), R"({"a": [1, -2.5, true, null], "b": {}})");
    EXPECT_EQ(python("{\"é\":\"日本 👍 \\u00e9 \\/ \\\" \\\\ \\n \\u0001 \x7f , : [\"}"),
              "{\"\\u00e9\": \"\\u65e5\\u672c \\ud83d\\udc4d \\u00e9 / \\\" \\\\ \\n \\u0001 \x7f , : [\"}");
    EXPECT_EQ(python("\"\""), "\"\"");
    EXPECT_EQ(python("[]"), "[]");
}

}  // namespace
}  // namespace balancer::tokens
