// The original's acceptance list: whole answers (docs/original-tests.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::HasSubstr;

constexpr const char* kImpatient =
    "  timeouts:\n    non_streaming: {connect_timeout: 1, read_timeout: 0.4}\n";

class OriginalNonStreaming : public testing::Test {
  protected:
    RawResponse send(const nlohmann::ordered_json& fields) const {
        return exchange_raw(fleet_.port(), request_with_fields(unstreamed(), fields));
    }

    // A provider that fails like this is passed on as it is.
    void expect_passed_on(unsigned status, const std::string& message) {
        provider_.set_script(script_of({failing(status, message)}));
        RawResponse answer = fleet_.ask(unstreamed());
        EXPECT_EQ(answer.status, status);
        EXPECT_EQ(error_message(answer), message);
    }

    FakeProvider provider_{script_of({saying("the whole answer")})};
    Fleet fleet_{original_yaml({{{"only", provider_.base_url()}}, 1000, "immediate", kImpatient})};
};

TEST_F(OriginalNonStreaming, AnAnswerIsAWholeMessage) {
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(answer.header("content-type"), "application/json");
    EXPECT_EQ(answer.header("x-provider-used"), "only");
    nlohmann::json body = nlohmann::json::parse(answer.body);
    for (const char* field : {"id", "type", "role", "content", "usage"}) {
        EXPECT_TRUE(body.contains(field)) << field;
    }
    EXPECT_EQ(body["type"], "message");
    EXPECT_EQ(body["role"], "assistant");
    EXPECT_EQ(answer_text(answer), "the whole answer");
}

TEST_F(OriginalNonStreaming, ASystemMessageIsPassedOn) {
    EXPECT_EQ(answer_text(send({{"system", "You are brief."}})), "the whole answer");
    EXPECT_THAT(provider_.requests().back().body, HasSubstr(R"("system":"You are brief.")"));
}

TEST_F(OriginalNonStreaming, ATemperatureIsPassedOn) {
    EXPECT_EQ(answer_text(send({{"temperature", 0.7}})), "the whole answer");
    EXPECT_THAT(provider_.requests().back().body, HasSubstr(R"("temperature":0.7)"));
}

TEST_F(OriginalNonStreaming, AnInternalErrorIsPassedOn) {
    expect_passed_on(500, "Internal Server Error");
}

TEST_F(OriginalNonStreaming, ARefusedKeyIsPassedOn) {
    expect_passed_on(401, "Invalid API key");
}

TEST_F(OriginalNonStreaming, ARateLimitIsPassedOn) {
    expect_passed_on(429, "Rate Limited");
}

TEST_F(OriginalNonStreaming, AProvidersConnectionErrorIsPassedOn) {
    expect_passed_on(502, "Connection Error");
}

TEST_F(OriginalNonStreaming, ARefusedConnectionIsA503ThatSaysSo) {
    provider_.stop();
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_EQ(error_type(answer), "provider_error");
    EXPECT_THAT(error_message(answer), HasSubstr("only: connect"));
}

TEST_F(OriginalNonStreaming, ALateTimeoutAnswerIsPassedOn) {
    provider_.set_script(script_of({slowly(failing(408, "Request Timeout"), milliseconds(150))}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 408u);
    EXPECT_EQ(error_message(answer), "Request Timeout");
}

TEST_F(OriginalNonStreaming, OurOwnTimeoutIsA503ThatSaysSo) {
    provider_.set_script(script_of({break_step(Break::How::kHang, Break::After::kHeadBytes, 0)}));
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_THAT(error_message(answer), HasSubstr("only: timeout"));
}

TEST_F(OriginalNonStreaming, ToolsArePassedOnWhateverTheirKind) {
    RawResponse answer = send(
        {{"tools",
          {{{"name", "weather"}, {"input_schema", {{"type", "object"}}}},
           {{"type", "web_search_20250305"}, {"name", "web_search"}}}}}
    );
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(nlohmann::json::parse(answer.body)["content"][0]["type"], "text");
    // The original refused tools without an input_schema.
    EXPECT_THAT(provider_.requests().back().body, HasSubstr("web_search_20250305"));
}

TEST_F(OriginalNonStreaming, OneTextIsOneBlock) {
    provider_.set_script(script_of({saying("A custom text.")}));
    nlohmann::json body = nlohmann::json::parse(fleet_.ask(unstreamed()).body);
    ASSERT_EQ(body["content"].size(), 1u);
    EXPECT_EQ(body["content"][0]["type"], "text");
    EXPECT_EQ(body["content"][0]["text"], "A custom text.");
}

TEST_F(OriginalNonStreaming, ASlowAnswerIsWaitedFor) {
    provider_.set_script(script_of({slowly(saying("at last"), milliseconds(200))}));
    auto began = std::chrono::steady_clock::now();
    RawResponse answer = fleet_.ask(unstreamed());
    EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(190));
    EXPECT_EQ(answer_text(answer), "at last");
}

TEST_F(OriginalNonStreaming, ATlsErrorOfTheProvidersIsPassedOn) {
    expect_passed_on(502, "SSL Error");
}

TEST_F(OriginalNonStreaming, ExhaustedCreditsArePassedOn) {
    expect_passed_on(402, "Insufficient credits");
}

}  // namespace
}  // namespace balancer::tests
