// The original's acceptance list: client keys (docs/original-tests.md).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

constexpr const char* kAuth =
    "  auth:\n    enabled: true\n    api_key: right-key\n"
    "    exempt_paths: [/health, /docs, /redoc, /openapi.json]\n";

class OriginalAuth : public testing::Test {
  protected:
    unsigned status(const std::string& path, const std::string& lines) const {
        return ask(path, lines).status;
    }

    RawResponse ask(const std::string& path, const std::string& lines) const {
        return exchange_raw(
            fleet_.port(), fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n{}\r\n", path, lines)
        );
    }

    RawResponse message_with(const std::string& api_key, const std::string& token) const {
        ClaudeCodeRequest request = unstreamed();
        request.api_key = api_key;
        request.auth_token = token;
        return fleet_.ask(request);
    }

    FakeProvider provider_;
    Fleet fleet_{original_yaml({{{"only", provider_.base_url()}}, 2, "immediate", kAuth})};
};

TEST_F(OriginalAuth, OnlyTheRightKeyOpens) {
    EXPECT_EQ(message_with("right-key", "").status, 200u);
    for (const char* wrong : {"wrong-key", "right-key2", "right-ke", "RIGHT-KEY", ""}) {
        RawResponse answer = message_with(wrong, "");
        EXPECT_EQ(answer.status, 401u) << wrong;
        EXPECT_EQ(error_type(answer), "authentication_error");
    }
    EXPECT_EQ(provider_.request_count(), 1u);
}

TEST_F(OriginalAuth, AKeyIsTakenFromEitherHeader) {
    EXPECT_EQ(message_with("", "right-key").status, 200u);
    EXPECT_EQ(status("/providers", "Authorization: bearer right-key\r\n"), 200u);
    EXPECT_EQ(status("/providers", "Authorization: right-key\r\n"), 200u);
    EXPECT_EQ(status("/providers", "Authorization:\r\nx-api-key:\r\n"), 401u);
    // The original believed x-api-key alone when both came. Claude Code sends both when both of its
    // variables are set, and only one of them need be meant for us.
    EXPECT_EQ(message_with("wrong-key", "right-key").status, 200u);
    EXPECT_EQ(message_with("right-key", "wrong-key").status, 200u);
    EXPECT_EQ(message_with("wrong-key", "wrong-key").status, 401u);
}

TEST_F(OriginalAuth, ExactlyTheListedPathsAreOpen) {
    EXPECT_EQ(status("/health", ""), 200u);
    for (const char* path : {"/docs", "/redoc", "/openapi.json"}) {
        EXPECT_EQ(status(path, ""), 404u) << path;
    }
    for (const char* path :
         {"/", "/providers", "/v1/messages", "/health/", "/healthz", "/docs/x", "/nowhere"}) {
        EXPECT_EQ(status(path, ""), 401u) << path;
    }
}

TEST_F(OriginalAuth, WithTheKeyInEitherStyleManagementAnswers) {
    EXPECT_EQ(status("/health", ""), 200u);
    EXPECT_EQ(status("/providers", "x-api-key: right-key\r\n"), 200u);
    EXPECT_EQ(status("/providers", "Authorization: Bearer right-key\r\n"), 200u);
}

TEST_F(OriginalAuth, WithoutItA401SaysWhatIsWrongAndThatARetryIsNoUse) {
    for (const char* lines :
         {"", "x-api-key: wrong-key\r\n", "Authorization: Bearer wrong-key\r\n"}) {
        RawResponse answer = ask("/providers", lines);
        EXPECT_EQ(answer.status, 401u) << lines;
        nlohmann::json body = nlohmann::json::parse(answer.body);
        EXPECT_EQ(body["type"], "error");
        EXPECT_EQ(body["error"]["type"], "authentication_error");
        EXPECT_EQ(body["error"]["code"], "AUTH_FAILED");
        EXPECT_EQ(answer.header("x-should-retry"), "false");
    }
    EXPECT_NE(error_message(ask("/providers", "")), error_message(ask("/", "x-api-key: k\r\n")));
}

TEST(OriginalAuthDisabled, NoPathAsksForAKey) {
    FakeProvider provider;
    Fleet fleet(original_yaml({{{"only", provider.base_url()}}}));
    for (const char* path : {"/", "/health", "/providers", "/docs", "/nowhere"}) {
        EXPECT_NE(fleet.get(path).status, 401u) << path;
    }
    ClaudeCodeRequest request = unstreamed();
    request.api_key.clear();
    EXPECT_EQ(fleet.ask(request).status, 200u);
}

}  // namespace
}  // namespace balancer::tests
