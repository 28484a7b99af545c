#include "dataplane/wire/convert/openai_events.hpp"

#include "dataplane/wire/convert/error_to_anthropic.hpp"
#include "dataplane/wire/openai_error.hpp"
#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

SseKind kind_of(const std::string& event) {
    static OpenaiAnswer chunk;
    return openai_event_kind(test_reader(), read_event(event), chunk);
}

// A chunk with this delta.
SseKind kind_of_delta(const std::string& delta, const std::string& more = {}) {
    return kind_of("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":" + delta + more + "}]}\n\n");
}

TEST(OpenaiEvents, WhatSaysNothingYetIsNoContent) {
    for (const char* delta : {
             "{}",
             R"({"role":"assistant"})",
             R"({"role":"assistant","content":"","refusal":null})",
             R"({"role":"assistant","content":null,"tool_calls":[],"reasoning_content":"","audio":null,"new":{}})",
         }) {
        EXPECT_EQ(kind_of_delta(delta, R"(,"logprobs":null,"finish_reason":null)"), SseKind::kMessageStart) << delta;
    }
    EXPECT_EQ(kind_of("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"), SseKind::kMessageStart);
    EXPECT_EQ(kind_of(": processing\n\n"), SseKind::kComment);
    EXPECT_EQ(kind_of("data: \n\n"), SseKind::kComment);
}

TEST(OpenaiEvents, ContentOfAnyKindIsContent) {
    for (const char* delta : {
             R"({"content":"a"})",
             R"({"content":[{"type":"text","text":"a"}]})",
             R"({"content":[{"type":"image","image":"Q"}]})",
             R"({"refusal":"no"})",
             R"({"reasoning":"hm"})",
             R"({"role":"assistant","tool_calls":[{"index":0,"function":{"arguments":"{"}}]})",
             R"({"audio":{"id":"a"}})",
             R"({"reasoning_details":[{"type":"x"}]})",
         }) {
        EXPECT_EQ(kind_of_delta(delta), SseKind::kContent) << delta;
    }
    EXPECT_EQ(kind_of("data: not json\n\n"), SseKind::kContent);
    EXPECT_EQ(kind_of("data: [1]\n\n"), SseKind::kContent);
}

TEST(OpenaiEvents, EndsAndErrors) {
    EXPECT_EQ(kind_of_delta("{}", R"(,"finish_reason":"stop")"), SseKind::kFinish);
    EXPECT_EQ(kind_of_delta(R"({"content":"a"})", R"(,"finish_reason":"length")"), SseKind::kFinish);
    EXPECT_EQ(kind_of("data: [DONE]\n\n"), SseKind::kMessageStop);
    EXPECT_EQ(kind_of("data:[DONE] \r\n\r\n"), SseKind::kMessageStop);
    EXPECT_EQ(kind_of("data: {\"error\":{\"message\":\"m\"}}\n\n"), SseKind::kError);
    EXPECT_EQ(kind_of("data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}],\"error\":{\"code\":502}}\n\n"), SseKind::kError);
    EXPECT_EQ(kind_of("event: error\ndata: {\"message\":\"m\"}\n\n"), SseKind::kError);
    // Words about them are not them.
    EXPECT_EQ(kind_of_delta(R"({"content":"\"finish_reason\":\"stop\" {\"error\":1} [DONE]"})"), SseKind::kContent);
    EXPECT_EQ(kind_of("data: {\"error\":null,\"choices\":[]}\n\n"), SseKind::kMessageStart);
}

TEST(OpenaiErrors, KeepTheirKindThroughBothShapes) {
    for (const char* type :
         {"invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
          "request_too_large", "rate_limit_error", "timeout_error", "overloaded_error", "api_error"}) {
        std::string body = std::string(R"({"type":"error","error":{"type":")") + type + R"(","message":"m"}})";
        LocalError error = anthropic_error(200, body);
        LocalError back = error_to_anthropic(test_reader(), 200, error_json(Format::kOpenai, error, "bal_1"));
        EXPECT_EQ(back.type, type);
        EXPECT_EQ(back.status, error.status);
        EXPECT_EQ(back.message, "m");
    }
}

}  // namespace
}  // namespace balancer::wire::convert
