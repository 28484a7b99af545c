#include "base/redact.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

TEST(Redact, TakesSecretsOutByTheirShape) {
    for (const char* text : {
             "key sk-ant-CANARY-0123456789 refused",
             "Authorization: Bearer CANARY",
             "authorization=bearer CANARY.with-parts_1",
             "Authorization: Basic CANARY==",
             "x-api-key: CANARY",
             "X-API-KEY:CANARY",
             "{\"api_key\":\"CANARY\"}",
             "{\"password\" : \"CANARY\"}",
             "proxy http://user:CANARY@proxy:8080 is down",
             "socks5://CANARY@proxy is down",
             "refresh_token=CANARY&x=1",
             "session token: CANARY",
             "auth_value: 'CANARY'",
             "Proxy-Authorization: Basic CANARY",
             "tried Bearer Bearer CANARY",
         }) {
        std::string clean = redact(text);
        EXPECT_EQ(clean.find("CANARY"), std::string::npos) << clean;
        EXPECT_NE(clean.find("[redacted]"), std::string::npos) << clean;
    }
}

TEST(Redact, TakesTheWholeValueWhateverItIsMadeOf) {
    EXPECT_EQ(redact("password=p@ss!wo%rd$ next"), "password=[redacted] next");
    EXPECT_EQ(redact(R"({"password":"two words","x":1})"), R"({"password":"[redacted]","x":1})");
    EXPECT_EQ(redact(R"({"password":"a\"b","x":1})"), R"({"password":"[redacted]","x":1})");
    EXPECT_EQ(redact("password: x-api-key: a"), "password: x-api-key: [redacted]");
    EXPECT_EQ(redact("{\"password\":\"never closed"), "{\"password\":\"[redacted]");
}

TEST(Redact, ReadsJsonInsideOfJson) {
    EXPECT_EQ(
        redact(R"({"error":"bad {\"api_key\": \"two words\"} here"})"),
        R"({"error":"bad {\"api_key\": \"[redacted]\"} here"})"
    );
    EXPECT_EQ(redact(R"(\"token\":\"a\\\"b\",)"), R"(\"token\":\"[redacted]\",)");
}

TEST(Redact, LeavesTheRestAlone) {
    for (const char* text : {
             "",
             "connection refused by https://api.example.com/v1",
             "429: rate limited until 12:30",
             "the task-list and the risk-taker",
             "user@example.com wrote",
             "max_tokens: 5 is too small",
             "the x-api-key header is missing",
             "password",
             "password:",
             "cannot read /var/lib/balancer/admin.token: No such file or directory",
             "Unexpected token < in JSON at position 0",
         }) {
        EXPECT_EQ(redact(text), text);
    }
}

TEST(Redact, ASecondTimeChangesNothing) {
    for (const char* text : {
             "x-api-key: a",
             "Bearer a b",
             "http://u:p@h/",
             R"({"api_key":"a"})",
             "sk-ant-12345678",
         }) {
        std::string once = redact(text);
        EXPECT_EQ(redact(once), once);
    }
}

TEST(Redact, AFingerprintNamesWithoutTelling) {
    EXPECT_EQ(fingerprint("a").size(), 8u);
    EXPECT_EQ(fingerprint("a"), fingerprint("a"));
    EXPECT_NE(fingerprint("a"), fingerprint("b"));
}

}  // namespace
}  // namespace balancer
