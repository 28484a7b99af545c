#include "dataplane/wire/body_scan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace balancer::wire {
namespace {

Result<BodyFields> scan(const std::string& body) {
    static BodyScanner scanner;
    // Exactly the padding that is promised, so that a read beyond it is seen by the sanitizer.
    static std::string padded;
    padded = body;
    padded.append(kBodyPadding, '\0');
    return scanner.scan(std::string_view(padded.data(), body.size()));
}

std::string why(const std::string& body) {
    Result<BodyFields> fields = scan(body);
    return fields ? "" : fields.error().text();
}

std::string spliced(const std::string& body, const std::string& model) {
    BodyScanner scanner;
    std::string padded = body + std::string(kBodyPadding, '\0');
    std::string_view view(padded.data(), body.size());
    Result<BodyFields> fields = scanner.scan(view);
    if (!fields) return "refused: " + fields.error().text();
    std::string replacement;
    std::string joined;
    for (std::string_view piece : splice_body(view, edits_of(*fields, model, replacement))) joined += piece;
    return joined;
}

TEST(BodyScan, FindsWhatRoutingNeedsInAnyOrder) {
    std::vector<std::string> members = {
        R"("model" : "claude-\u006fpus")", R"("stream":true)", R"("provider":"alpha")",
        R"("metadata":{"user_id":"user_1_account__session_2"})", R"("system":[{"type":"text","text":"s"}])",
        R"("tools":[{"name":"t","model":"not this"}])",
        R"("messages":[{"role":"system","content":"x"},{"role":"user","content":[{"model":"nor this"}]},{"role":"user","content":"y"}])",
        R"("unknown":{"stream":false,"provider":"no"})", R"("max_tokens":1.0e3)",
    };
    std::mt19937 random(11);
    for (int round = 0; round < 200; ++round) {
        std::shuffle(members.begin(), members.end(), random);
        std::string body = "{";
        for (const std::string& member : members) body += (body.size() > 1 ? " ,\n" : "") + member;
        body += "}";
        Result<BodyFields> fields = scan(body);
        ASSERT_TRUE(fields) << fields.error().text() << body;
        EXPECT_EQ(fields->model, "claude-opus");
        EXPECT_TRUE(fields->stream);
        EXPECT_EQ(fields->provider, "alpha");
        EXPECT_EQ(fields->user_id, "user_1_account__session_2");
        EXPECT_EQ(fields->system, R"([{"type":"text","text":"s"}])");
        EXPECT_EQ(fields->tools, R"([{"name":"t","model":"not this"}])");
        EXPECT_EQ(fields->first_user_message, R"({"role":"user","content":[{"model":"nor this"}]})");

        // Splicing: what is left is the same JSON without the pin and with the other model; all else byte by byte.
        std::string out = spliced(body, "mapped \"model\"");
        nlohmann::json expected = nlohmann::json::parse(body);
        expected["model"] = "mapped \"model\"";
        expected.erase("provider");
        EXPECT_EQ(nlohmann::json::parse(out), expected);
        EXPECT_NE(out.find(R"("max_tokens":1.0e3)"), std::string::npos);
    }
}

TEST(BodyScan, WithoutAnEditTheBytesStay) {
    std::string body = "{ \"b\":1.00, \"model\" :\"m\",\t\"a\":\"\\u00e9\", \"b\":2e0 }";
    EXPECT_EQ(spliced(body, ""), body);
    EXPECT_EQ(spliced(body, "n"), "{ \"b\":1.00, \"model\" :\"n\",\t\"a\":\"\\u00e9\", \"b\":2e0 }");
}

TEST(BodyScan, ListsAllMembersAsTheyAreWritten) {
    std::string body = "\n{ \"b\" :\t1.00 , \"model\":\"m,\",\"a\\\"\\\\\":[ {\"x\":1} , 2 ] ,\"b\": {} } ";
    body.append(kBodyPadding, '\0');
    BodyScanner scanner;
    Result<BodyFields> fields = scanner.scan(std::string_view(body).substr(0, body.size() - kBodyPadding));
    ASSERT_TRUE(fields) << fields.error().text();
    std::vector<std::pair<std::string_view, std::string_view>> members;
    for (const BodyMember& member : fields->members) members.emplace_back(member.key, member.value);
    std::vector<std::pair<std::string_view, std::string_view>> expected = {
        {"b", "1.00"}, {"model", "\"m,\""}, {"a\\\"\\\\", "[ {\"x\":1} , 2 ]"}, {"b", "{}"}
    };
    EXPECT_EQ(members, expected);
}

TEST(BodyScan, ThePinGoesWithOneComma) {
    EXPECT_EQ(spliced(R"({"provider":"a","model":"m"})", ""), R"({"model":"m"})");
    EXPECT_EQ(spliced(R"({"model":"m","provider":"a"})", ""), R"({"model":"m"})");
    EXPECT_EQ(spliced(R"({"model":"m" , "provider" : "a" , "x":1})", ""), R"({"model":"m" ,  "x":1})");
}

TEST(BodyScan, SaysWhatIsWrongInTheApisWords) {
    EXPECT_EQ(why("{}"), "model: Field required");
    EXPECT_EQ(why(R"({"model":7})"), "model: Input should be a valid string");
    EXPECT_EQ(why(R"({"model":""})"), "model: String should have at least 1 character");
    EXPECT_EQ(why(R"({"model":"m","stream":"yes"})"), "stream: Input should be a valid boolean");
    EXPECT_EQ(why("[1]"), "The request body must be a JSON object");
    EXPECT_NE(why(""), "");
    EXPECT_NE(why("{"), "");
    EXPECT_NE(why(R"({"model":"m"} trailing)"), "");
    EXPECT_NE(why(R"({"model":"m"}{"model":"n"})"), "");
    EXPECT_NE(why(R"({"model":"m","model":"n"})"), "");
    EXPECT_NE(why(R"({"model":"m","stream":true,"stream":false})"), "");
    EXPECT_NE(why("{\"model\":\"m\",\"x\":\"\xff\"}"), "");
}

TEST(BodyScan, LeavesTheRestToTheProvider) {
    EXPECT_EQ(why(R"({"model":"m","stream":null,"provider":{"of":"another kind"},"metadata":null,"messages":"x"})"), "");
    EXPECT_EQ(why(R"({"model":"m","messages":[{"role":"user","content":"\ud800 lone"}]})"), "");
    std::string deep = R"({"model":"m","x":)" + std::string(900, '[') + std::string(900, ']') + "}";
    EXPECT_EQ(why(deep), "");
}

TEST(BodyScan, AnyCutOfABodyIsRefusedOrReadWithinItsBounds) {
    std::string body = R"({"model":"m","stream":true,"metadata":{"user_id":"u"},"messages":[{"role":"user","content":"c"}]})";
    for (std::size_t size = 0; size < body.size(); ++size) EXPECT_FALSE(scan(body.substr(0, size))) << size;
}

TEST(ErrorObject, IsToldFromAMessage) {
    EXPECT_TRUE(is_error_object(R"({"type":"error","error":{"type":"x"}})"));
    EXPECT_TRUE(is_error_object(R"({"error":"text"})"));
    EXPECT_FALSE(is_error_object(R"({"type":"message","content":[{"error":"x"}],"error":null})"));
    EXPECT_FALSE(is_error_object(R"({"type":"message"})"));
    EXPECT_FALSE(is_error_object("error"));
    ErrorWords words = read_error_words(R"({"error":{"type":"t","message":"m"}})");
    EXPECT_EQ(words.type, "t");
    EXPECT_EQ(words.message, "m");
    EXPECT_EQ(read_error_words(R"({"error":"plain"})").message, "plain");
    EXPECT_EQ(read_error_words("<html>").message, "");
    // A look-up by key behind malformed JSON crashed in simdjson (found by fuzzing).
    EXPECT_EQ(read_error_words(R"({"type":"error","error":{"]type":"overl":"m"})").message, "");
}

TEST(BodyScan, FindsInAChatCompletionsRequestWhatRoutingNeeds) {
    std::vector<std::string> members = {
        R"("model" : "gpt-\u0078")", R"("stream":true)", R"("provider":"alpha")", R"("user":"u\n1")",
        R"("metadata":{"user_id":"not this"})", R"("system":"nor this")", R"("tools":[{"type":"function"}])",
        R"("messages":[1,{"role":"developer","content":"d"},{"role":"system","content":"s"},{"role":"assistant"},{"role":"user","content":[{"model":"m"}]},{"role":"user","content":"y"}])",
    };
    std::mt19937 random(12);
    BodyScanner scanner;
    for (int round = 0; round < 100; ++round) {
        std::shuffle(members.begin(), members.end(), random);
        std::string body = "{";
        for (const std::string& member : members) body += (body.size() > 1 ? " , " : "") + member;
        body += "}";
        std::string padded = body + std::string(kBodyPadding, '\0');
        Result<BodyFields> fields = scanner.scan(std::string_view(padded.data(), body.size()), Format::kOpenai);
        ASSERT_TRUE(fields) << fields.error().text();
        EXPECT_EQ(fields->model, "gpt-x");
        EXPECT_TRUE(fields->stream);
        EXPECT_EQ(fields->provider, "alpha");
        EXPECT_EQ(fields->user_id, "u\n1");
        EXPECT_EQ(fields->system, R"({"role":"developer","content":"d"})");
        EXPECT_EQ(fields->tools, R"([{"type":"function"}])");
        EXPECT_EQ(fields->first_user_message, R"({"role":"user","content":[{"model":"m"}]})");
    }
    for (const char* body : {R"({"model":"m","user":"u","prompt_cache_key":"k"})", R"({"model":"m","prompt_cache_key":"k","user":"u"})"}) {
        std::string padded = body + std::string(kBodyPadding, '\0');
        EXPECT_EQ(scanner.scan(std::string_view(padded.data(), std::string_view(body).size()), Format::kOpenai)->user_id, "k");
    }
}

}  // namespace
}  // namespace balancer::wire
