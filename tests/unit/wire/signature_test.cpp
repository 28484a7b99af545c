#include "dataplane/wire/signature.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

namespace balancer::wire {
namespace {

const std::vector<std::string> kMembers = {
    R"("model":"claude-sonnet-4-5")",
    R"("messages":[{"role":"user","content":[{"type":"text","text":"a, \"b\" \\"},{"model":"x"}]}])",
    R"("system":[{"type":"text","text":"be brief"}])",
    R"("tools":[{"name":"t","input_schema":{"type":"object"}}])",
    R"("tool_choice":{"type":"auto"})",
    R"("temperature":1.0)",
    R"("top_p":0.9)",
    R"("top_k":5)",
    R"("stop_sequences":["\n\nHuman:"])",
    R"("thinking":{"type":"enabled","budget_tokens":1024})",
    R"("output_config":{"effort":"high"})",
    R"("service_tier":"auto")",
    R"("provider":"alpha")",
    R"("a member of tomorrow":null)",
};

const std::string kHead =
    "POST /v1/messages?beta=true HTTP/1.1\r\nHost: h\r\nX-Api-Key: key-1\r\nAuthorization: Bearer b\r\n"
    "anthropic-version: 2023-06-01\r\nanthropic-beta: one,two\r\nUser-Agent: claude-cli/1\r\n"
    "x-stainless-retry-count: 0\r\nContent-Length: 2\r\n\r\n";

std::string joined(const std::vector<std::string>& members, const std::string& between = ",") {
    std::string body = "{";
    for (const std::string& member : members) body += (body.size() > 1 ? between : "") + member;
    return body + "}";
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
}

class SignatureTest : public testing::Test {
  protected:
    Signature sign(const std::string& body, const std::string& head = kHead, MaxTokens max_tokens = MaxTokens::kLeftOut) {
        return sign_with(signer_, body, head, max_tokens);
    }

    static Signature sign_with(
        Signer& signer, const std::string& body, const std::string& head = kHead, MaxTokens max_tokens = MaxTokens::kLeftOut
    ) {
        BodyScanner scanner;
        std::string padded = body + std::string(kBodyPadding, '\0');
        Result<BodyFields> fields = scanner.scan(std::string_view(padded).substr(0, body.size()));
        EXPECT_TRUE(fields) << body;
        Result<RequestHead> parsed = parse_request_head(head);
        EXPECT_TRUE(parsed) << head;
        if (!fields || !parsed) return {};
        return signer.sign(*parsed, *fields, max_tokens);
    }

    SignatureSecret secret_;
    Signer signer_{secret_};
};

TEST_F(SignatureTest, TheOrderOfMembersAndTheSpaceBetweenThemNeverChangeIt) {
    Signature expected = sign(joined(kMembers));
    std::vector<std::string> members = kMembers;
    std::mt19937 random(6);
    for (int round = 0; round < 500; ++round) {
        std::shuffle(members.begin(), members.end(), random);
        std::string body = joined(members, round % 2 == 0 ? "," : " \n,\t");
        ASSERT_EQ(sign(body), expected) << body;
    }
    std::string spaced = replaced(joined(kMembers), "\"model\":", "\"model\" :\r\n ");
    EXPECT_EQ(sign(replaced(spaced, "}]}]", "}]}] ")), expected);
    EXPECT_EQ(sign(" " + spaced + "\n"), expected);
}

// Each single byte inside of a value or a key that can be another one without breaking the JSON.
TEST_F(SignatureTest, AnyChangeOfACountedMemberChangesIt) {
    std::string body = joined(kMembers);
    Signature expected = sign(body);
    std::size_t changed = 0;
    for (std::size_t i = 0; i < body.size(); ++i) {
        bool letter = (body[i] >= 'a' && body[i] <= 'z') || (body[i] >= '0' && body[i] <= '9');
        if (!letter) continue;
        std::string other = body;
        other[i] = body[i] == '5' ? '6' : body[i] == '1' ? '2' : body[i] >= 'a' ? static_cast<char>(body[i] - 32) : '5';
        BodyScanner scanner;
        std::string padded = other + std::string(kBodyPadding, '\0');
        if (!scanner.scan(std::string_view(padded).substr(0, other.size()))) continue;
        ASSERT_NE(sign(other), expected) << other;
        ++changed;
    }
    EXPECT_GT(changed, 200U);
    for (std::size_t i = 1; i < kMembers.size(); ++i) {
        std::vector<std::string> fewer = kMembers;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_NE(sign(joined(fewer)), expected) << kMembers[i];
    }
}

TEST_F(SignatureTest, PartsDoNotRunIntoEachOther) {
    std::unordered_set<Signature, SignatureHash> seen;
    for (const char* body : {
             R"({"model":"m","a":1,"b":2})", R"({"model":"m","a":12})", R"({"model":"m","a1":2})", R"({"model":"m","ab":12})",
             R"({"model":"m","a":"b"})", R"({"model":"m","a":1,"a":2})", R"({"model":"m","a":2,"a":1})",
             R"({"model":"m","a\"":1})", R"({"model":"m","a\\":1})", R"({"model":"m","a":[1,2]})", R"({"model":"m","a":"1,"})",
         }) {
        EXPECT_TRUE(seen.insert(sign(body)).second) << body;
    }
}

TEST_F(SignatureTest, WhatCannotChangeTheAnswerDoesNotCount) {
    Signature expected = sign(joined(kMembers));
    std::vector<std::string> more = kMembers;
    more.insert(more.begin(), R"("stream":true)");
    more.push_back(R"("metadata":{"user_id":"user_1_account__session_2"})");
    more.push_back(R"("max_tokens":32000)");
    more.push_back(R"("max_completion_tokens":1)");
    EXPECT_EQ(sign(joined(more)), expected);
    for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
             {"claude-cli/1", "claude-cli/2"},
             {"retry-count: 0", "retry-count: 1"},
             {"Host: h", "Host: other"},
             {"X-Api-Key", "x-api-key"},
         }) {
        EXPECT_EQ(sign(joined(kMembers), replaced(kHead, what, with)), expected) << with;
    }
}

TEST_F(SignatureTest, TheLimitOfTokensCountsWhenItIsSaid) {
    auto with = [](const char* limit) {
        std::vector<std::string> members = kMembers;
        members.push_back(limit);
        return joined(members);
    };
    EXPECT_EQ(sign(with(R"("max_tokens":1)")), sign(with(R"("max_tokens":2)")));
    EXPECT_NE(
        sign(with(R"("max_tokens":1)"), kHead, MaxTokens::kCounted), sign(with(R"("max_tokens":2)"), kHead, MaxTokens::kCounted)
    );
    EXPECT_NE(
        sign(with(R"("max_completion_tokens":1)"), kHead, MaxTokens::kCounted),
        sign(with(R"("max_completion_tokens":2)"), kHead, MaxTokens::kCounted)
    );
}

TEST_F(SignatureTest, WhoAsksAndForWhichApiIsPartOfIt) {
    std::string body = joined(kMembers);
    Signature expected = sign(body);
    for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
             {"key-1", "key-2"},
             {"X-Api-Key: key-1\r\n", ""},
             {"X-Api-Key: key-1\r\n", "Authorization: key-1\r\n"},
             {"Bearer b", "Bearer c"},
             {"Host: h", "Host: h\r\nCookie: c"},
             {"Host: h", "Host: h\r\nopenai-organization: o"},
             {"2023-06-01", "2024-06-01"},
             {"one,two", "one"},
             {"?beta=true", ""},
             {"/v1/messages", "/v1/chat/completions"},
         }) {
        EXPECT_NE(sign(body, replaced(kHead, what, with)), expected) << what << " -> " << with;
    }
}

TEST_F(SignatureTest, EachProcessHasItsOwn) {
    SignatureSecret other_secret;
    Signer other(other_secret);
    Signer same(secret_);
    std::string body = joined(kMembers);
    EXPECT_EQ(sign_with(same, body), sign(body));
    EXPECT_NE(sign_with(other, body), sign(body));
}

}  // namespace
}  // namespace balancer::wire
