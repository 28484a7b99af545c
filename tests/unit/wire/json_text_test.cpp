#include "dataplane/wire/convert/json_text.hpp"

#include <gtest/gtest.h>

#include "dataplane/wire/convert/conversion.hpp"
#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

TEST(JsonText, UnescapesEveryEscape) {
    EXPECT_EQ(unescaped(R"(a\"\\\/\b\f\n\r\tz)"), "a\"\\/\b\f\n\r\tz");
    EXPECT_EQ(
        unescaped(R"(\u0041\u00e9\u20ac\ud83d\ude00)"), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
    );
    // Half a pair, in front of text, at the end, and twice.
    EXPECT_EQ(unescaped(R"(\ud83dx)"), "\xef\xbf\xbdx");
    EXPECT_EQ(unescaped(R"(\ud83d)"), "\xef\xbf\xbd");
    EXPECT_EQ(
        unescaped(R"(\ude00\ud83d\u0041)"),
        "\xef\xbf\xbd\xef\xbf\xbd"
        "A"
    );
}

TEST(JsonText, KnowsGoodEscapesFromBadOnes) {
    EXPECT_TRUE(has_good_escapes(R"(plain \\ \" \u12aF \n)"));
    for (const char* bad : {R"(\x)", R"(\u12)", R"(\u12g4)", R"(a\)", R"(\\\)"}) {
        EXPECT_FALSE(has_good_escapes(bad)) << bad;
    }
}

TEST(JsonText, KnowsNumbers) {
    for (const char* good : {"0", "-0", "12", "1.50", "1e5", "1E+05", "-2.0e-3"})
        EXPECT_TRUE(is_json_number(good)) << good;
    for (const char* bad : {"", "-", "01", "1.", ".5", "1e", "1e+", "0x1", "1 2", "NaN", "+1"}) {
        EXPECT_FALSE(is_json_number(bad)) << bad;
    }
}

TEST(JsonText, WhatIsWrittenInsideReadsBackTheSame) {
    std::string text = "plain \"quoted\" \\ \n\t\x01 \xc3\xa9 end";
    std::string inside;
    append_inside(inside, text);
    EXPECT_EQ(unescaped(inside), text);
    EXPECT_TRUE(has_good_escapes(inside));
    std::string broken;
    append_inside(
        broken,
        "a\xff"
        "b"
    );
    EXPECT_EQ(
        unescaped(broken),
        "a\xef\xbf\xbd"
        "b"
    );
}

TEST(JsonWalk, OneValueIsTheWholeText) {
    JsonReader::Walk& walk = test_reader().walk();
    JsonKind kind = JsonKind::kNull;
    std::string_view raw;
    EXPECT_TRUE(walk.read_one(R"( {"a": [1.50, "x"]} )", kind, raw));
    EXPECT_EQ(kind, JsonKind::kObject);
    EXPECT_EQ(raw, R"({"a": [1.50, "x"]})");
    EXPECT_TRUE(walk.read_one("7", kind, raw));
    EXPECT_EQ(kind, JsonKind::kNumber);
    for (const char* bad :
         {"", "1,\"\":2", "1}", "}{", "{", "{\"a\" 1}", "[1,]", "tru", "\"\\x\"", "1 2"}) {
        EXPECT_FALSE(walk.read_one(bad, kind, raw)) << bad;
    }
}

TEST(JsonWalk, WhatIsKeptIsCheckedToItsLastScalar) {
    JsonReader::Walk& walk = test_reader().walk();
    auto keeps = [&walk](std::string_view text) {
        std::string kept;
        Result<void> read = walk.read_object_copy(text, [&](std::string_view name, Value& value) {
            if (name == "k") kept = walk.raw(value);
        });
        return read ? kept : "refused";
    };
    EXPECT_EQ(
        keeps(R"({"a":1,"k" : {"x":[ {} ,[],null, -1.0e5] } ,"b":2})"),
        R"({"x":[ {} ,[],null, -1.0e5] })"
    );
    EXPECT_EQ(keeps(R"({"k":"\ud800 lone"})"), R"("\ud800 lone")");
    for (const char* bad :
         {R"({"k":{"a":"b":"c"}})",
          R"({"k":"b":"c"})",
          R"({"k":["a":"b"]})",
          R"({"k":{"a" 1}})",
          R"({"k":[1 2]})",
          R"({"k":{"a":01}})",
          R"({"k":["\q"]})",
          R"({"k":{"\q":1}})",
          R"({"k":nul})",
          R"({"k":1} 2)",
          R"({"k":1}})"}) {
        EXPECT_EQ(keeps(bad), "refused") << bad;
    }
    EXPECT_EQ(keeps("{\"k\":" + std::string(300, '[') + std::string(300, ']') + "}"), "refused");
}

TEST(FitName, KeepsWhatFitsAndTellsTheRestApart) {
    EXPECT_EQ(fit_name("short", 64), "short");
    std::string one = fit_name(std::string(80, 'a') + "1", 64);
    std::string two = fit_name(std::string(80, 'a') + "2", 64);
    EXPECT_EQ(one.size(), 64U);
    EXPECT_NE(one, two);
    EXPECT_EQ(one, fit_name(std::string(80, 'a') + "1", 64));
    EXPECT_TRUE(
        has_good_escapes(fit_name(std::string(45, 'a') + "\\u0041" + std::string(40, 'b'), 64))
    );
    ToolNames names;
    EXPECT_EQ(names.to_openai("short"), "short");
    EXPECT_TRUE(names.empty());
    EXPECT_EQ(names.from_openai(names.to_openai(std::string(80, 'a'))), std::string(80, 'a'));
}

TEST(JsonWalk, KeepsNoTablesOfAHugeText) {
    JsonReader reader;
    std::string huge = R"({"a":")" + std::string(8U << 20, 'x') + R"("})";
    auto read = [&](std::string_view text) {
        std::string_view raw;
        JsonKind kind = JsonKind::kNull;
        EXPECT_TRUE(reader.walk().read_object_copy(text, [](std::string_view, Value&) {}));
        EXPECT_TRUE(reader.walk().read_one(text, kind, raw));
        return reader.walk().capacity();
    };
    EXPECT_GT(read(huge), 3 * huge.size());
    EXPECT_LT(read(R"({"a":1})"), 10000U);
    // Those of an ordinary one stay.
    std::string ordinary = R"({"a":")" + std::string(500000, 'x') + R"("})";
    EXPECT_GT(read(ordinary), 3 * ordinary.size());
    EXPECT_GT(read(R"({"a":1})"), 3 * ordinary.size());
}

}  // namespace
}  // namespace balancer::wire::convert
