#include "base/redact.hpp"

#include <gtest/gtest.h>

namespace balancer {
namespace {

TEST(Redact, TakesSecretsOutByTheirShape) {
    for (const char* text : {
             "key sk-ant-CANARY-0123456789 refused",
             "Authorization: Bearer CANARY",
             "authorization=bearer CANARY.with-parts_1",
             "x-api-key: CANARY",
             "{\"api_key\":\"CANARY\"}",
             "{\"password\" : \"CANARY\"}",
             "proxy http://user:CANARY@proxy:8080 is down",
             "refresh_token=CANARY&x=1",
         }) {
        std::string clean = redact(text);
        EXPECT_EQ(clean.find("CANARY"), std::string::npos) << clean;
        EXPECT_NE(clean.find("[redacted]"), std::string::npos) << clean;
    }
}

TEST(Redact, LeavesTheRestAlone) {
    for (const char* text : {
             "", "connection refused by https://api.example.com/v1", "429: rate limited until 12:30",
             "the task-list and the risk-taker", "user@example.com wrote",
         }) {
        EXPECT_EQ(redact(text), text);
    }
}

TEST(Redact, AFingerprintNamesWithoutTelling) {
    EXPECT_EQ(fingerprint("a").size(), 8u);
    EXPECT_NE(fingerprint("a"), fingerprint("b"));
}

}  // namespace
}  // namespace balancer
