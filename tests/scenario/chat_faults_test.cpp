// What clients of OpenAI's format see when something is wrong: errors in their shape, failover between the types, cuts, pings.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scenario/mixed_types.hpp"
#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"
#include "tests/support/openai_dialect.hpp"

namespace balancer::tests {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using How = Break::How;
using After = Break::After;

RawResponse chat(const Fleet& fleet, const std::string& body, const std::string& lines = {}) {
    return exchange_raw(fleet.port(), chat_request(body, lines));
}

json error_of(const std::string& text) {
    json body = json::parse(text, nullptr, false);
    if (!body.is_object() || !body.contains("error") || body.contains("type")) return {};
    EXPECT_TRUE(body["error"].contains("param") && body["error"].contains("code")) << text;
    return body["error"];
}

TEST(ChatErrors, OfAnAnthropicProviderComeInOpenaisShape) {
    FakeProvider provider;
    Fleet fleet(yaml_of({{"claude", provider.base_url()}}));
    struct Case {
        unsigned status;
        ErrorSpec error;
        unsigned answer;
        const char* type;
        json code;
    };
    for (const Case& one : {
             Case{400, {}, 400, "invalid_request_error", nullptr},
             Case{400, {"invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"}, 400, "invalid_request_error", "context_length_exceeded"},
             Case{401, {}, 401, "invalid_request_error", "invalid_api_key"},
             Case{404, {}, 404, "invalid_request_error", "not_found"},
             Case{413, {}, 413, "invalid_request_error", "request_too_large"},
             Case{429, {}, 429, "rate_limit_error", "rate_limit_exceeded"},
             Case{500, {}, 500, "server_error", nullptr},
             Case{529, {}, 503, "server_error", "overloaded"},
         }) {
        SCOPED_TRACE(one.status);
        Step step = status_step(one.status, {{"retry-after", "7"}});
        if (!one.error.type.empty()) step.error = one.error;
        provider.set_script(script_of({step}));
        for (bool stream : {false, true}) {
            RawResponse answer = chat(fleet, chat_body(stream));
            EXPECT_EQ(answer.status, one.answer) << answer.body;
            EXPECT_EQ(answer.header("content-type"), "application/json");
            EXPECT_EQ(answer.header("retry-after"), "7");
            EXPECT_EQ(answer.header("x-provider-used"), "claude");
            json error = error_of(answer.body);
            EXPECT_EQ(error["type"], one.type) << answer.body;
            EXPECT_EQ(error["code"], one.code) << answer.body;
        }
    }
}

TEST(ChatErrors, InsideOfASuccessHaveTheStatusThatTheyStandFor) {
    FakeProvider provider;
    Fleet fleet(yaml_of({{"claude", provider.base_url()}}));
    Step event;
    event.error_event = ErrorEvent{1, {"rate_limit_error", "Slow down"}};
    Step whole;
    whole.error = ErrorSpec{"rate_limit_error", "Slow down"};
    for (bool stream : {true, false}) {
        provider.set_script(script_of({stream ? event : whole}));
        RawResponse answer = chat(fleet, chat_body(stream));
        EXPECT_EQ(answer.status, 429u) << answer.body;
        EXPECT_EQ(error_of(answer.body)["message"], "Slow down");
        EXPECT_NE(failed_attempts(fleet, answer).find("rate_limited"), std::string::npos) << failed_attempts(fleet, answer);
    }
}

TEST(ChatErrors, OfAnOpenaiProviderComeWordForWord) {
    FakeProvider provider;
    Fleet fleet(yaml_of({openai_provider("other", provider)}));
    for (unsigned status : {400u, 401u, 404u, 422u, 429u, 500u, 503u}) {
        provider.set_script(script_of({status_step(status, {{"retry-after", "7"}})}));
        for (bool stream : {false, true}) {
            RawResponse answer = chat(fleet, chat_body(stream));
            EXPECT_EQ(answer.status, status);
            EXPECT_EQ(answer.body, openai_error({}, status));
            EXPECT_EQ(answer.header("retry-after"), "7");
        }
    }
    Step event;
    event.error_event = ErrorEvent{1, {"server_error", "busy"}};
    provider.set_script(script_of({event}));
    RawResponse answer = chat(fleet, chat_body(true));
    EXPECT_EQ(answer.status, 200u);
    std::vector<std::string> data = stream_data(answer.body);
    ASSERT_EQ(data.size(), 2u) << answer.body;
    EXPECT_EQ(data.back(), openai_error({"server_error", "busy"}, 500));
}

TEST(ChatErrors, OfTheBalancerHaveOpenaisShape) {
    FakeProvider provider;
    Fleet fleet(yaml_of(
        {{"claude", provider.base_url()}, openai_provider("other", provider)},
        route("known-*", target("claude", "passthrough") + target("other", "passthrough", 2)),
        "  auth:\n    enabled: true\n    api_key: key-of-the-client\n  limits:\n    body_bytes: 4096\n"
    ));
    const std::string kKey = "Authorization: Bearer key-of-the-client\r\n";
    struct Case {
        const char* name;
        std::string request;
        unsigned status;
        json code;
        const char* words;
    };
    std::string pinned = chat_body(false, "known-m");
    pinned.insert(1, R"("provider":"nobody",)");
    for (const Case& one : {
             Case{"no key", chat_request(chat_body()), 401, "AUTH_FAILED", "OPENAI_API_KEY"},
             Case{"wrong key", chat_request(chat_body(), "Authorization: Bearer x\r\n"), 401, "AUTH_FAILED", "OPENAI_API_KEY"},
             Case{"no route", chat_request(chat_body(), kKey), 404, "NO_ROUTE", "gpt-x"},
             Case{"unknown pin", chat_request(pinned, kKey), 404, "PROVIDER_NOT_FOUND", "nobody"},
             Case{"no JSON", chat_request("{", kKey), 400, nullptr, "not valid JSON"},
             Case{"no model", chat_request("{}", kKey), 400, nullptr, "model"},
             Case{"too large", chat_request(std::string(5000, ' '), kKey), 413, "request_too_large", "limits.body_bytes"},
             Case{"method", "GET /v1/chat/completions HTTP/1.1\r\nHost: h\r\n" + kKey + "\r\n", 405, nullptr, "POST"},
         }) {
        SCOPED_TRACE(one.name);
        RawResponse answer = exchange_raw(fleet.port(), one.request);
        EXPECT_EQ(answer.status, one.status) << answer.body;
        EXPECT_EQ(answer.header("x-should-retry"), "false");
        json error = error_of(answer.body);
        EXPECT_EQ(error["code"], one.code) << answer.body;
        EXPECT_NE(error["message"].get<std::string>().find(one.words), std::string::npos) << answer.body;
        EXPECT_EQ(json::parse(answer.body)["request_id"], answer.header("x-balancer-request-id"));
    }
    EXPECT_EQ(provider.request_count(), 0u);

    provider.set_script(script_of({status_step(529), status_step(503)}));
    for (bool stream : {false, true}) {
        RawResponse answer = chat(fleet, chat_body(stream, "known-m"), kKey);
        EXPECT_EQ(answer.status, 503u);
        EXPECT_EQ(answer.header("retry-after"), "1");
        json error = error_of(answer.body);
        EXPECT_EQ(error["type"], "server_error");
        EXPECT_EQ(error["code"], "PROVIDER_UNAVAILABLE");
        ASSERT_EQ(error["details"]["attempts"].size(), 2u) << answer.body;
        // The same class, in whichever words.
        for (const json& attempt : error["details"]["attempts"]) EXPECT_EQ(attempt["failure"], "overloaded");
        provider.set_script(script_of({status_step(529), status_step(503)}));
    }
}

TEST(ChatErrors, WhatNoCandidateCanTakeIsSaidAndAnotherTypeIsTried) {
    FakeProvider anthropic;
    FakeProvider other;
    Fleet alone(yaml_of({{"claude", anthropic.base_url()}}));
    std::string two_choices = chat_body();
    two_choices.insert(two_choices.size() - 1, R"(,"n":2)");
    RawResponse answer = chat(alone, two_choices);
    EXPECT_EQ(answer.status, 400u);
    EXPECT_NE(error_of(answer.body)["message"].get<std::string>().find("n:"), std::string::npos) << answer.body;
    Fleet both(yaml_of({{"claude", anthropic.base_url()}, openai_provider("other", other)}));
    answer = chat(both, two_choices);
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(used(answer), "other");
    EXPECT_EQ(other.requests().back().body, two_choices);
    EXPECT_EQ(anthropic.request_count(), 0u);
}

TEST(ChatFailover, MovesBetweenTheTypesInBothDirections) {
    FakeProvider anthropic;
    FakeProvider other;
    struct Case {
        const char* name;
        Step step;
        bool whole = true;  // not for streams only
    };
    Step event;
    event.error_event = ErrorEvent{1, {"overloaded_error", "Overloaded"}};
    Step garbage;
    garbage.body = "<html>busy</html>";
    {
        Fleet fleet(yaml_of({{"claude", anthropic.base_url()}, openai_provider("other", other)}));
        for (const Case& one : {
                 Case{"529", status_step(529)},
                 Case{"reset", break_step(How::kReset, After::kHeadBytes, 0)},
                 Case{"error in 200", event, false},
                 Case{"cut before content", break_step(How::kClose, After::kEvents, 1), false},
                 Case{"garbage", garbage},
             }) {
            for (bool stream : {true, false}) {
                if (!stream && !one.whole) continue;
                SCOPED_TRACE(fmt::format("{} {}", one.name, stream));
                anthropic.set_script(script_of({one.step}));
                RawResponse answer = chat(fleet, chat_body(stream, "gpt-x", one.name));
                EXPECT_EQ(answer.status, 200u) << answer.body;
                EXPECT_EQ(used(answer), "other");
                if (stream) EXPECT_EQ(chat_text(answer.body), "Hello from the fake provider.[DONE]") << answer.body;
            }
        }
    }
    Fleet reversed(yaml_of({openai_provider("other", other), {"claude", anthropic.base_url()}}));
    anthropic.set_script({});
    Step error_first;
    error_first.error_event = ErrorEvent{1, {"server_error", "The engine is overloaded"}};
    Step nothing;
    nothing.events = std::vector<StreamEvent>{{"data: [DONE]\n\n"}};
    for (const Case& one : {
             Case{"429", status_step(429)},
             Case{"503", status_step(503)},
             Case{"cut behind the role", break_step(How::kClose, After::kEvents, 1), false},
             Case{"ended behind the role", break_step(How::kFinish, After::kEvents, 1), false},
             Case{"error behind the role", error_first, false},
             Case{"done without an answer", nothing, false},
         }) {
        for (bool stream : {true, false}) {
            if (!stream && !one.whole) continue;
            SCOPED_TRACE(fmt::format("{} {}", one.name, stream));
            other.set_script(script_of({one.step}));
            RawResponse answer = chat(reversed, chat_body(stream, "gpt-x", one.name));
            EXPECT_EQ(answer.status, 200u) << answer.body;
            EXPECT_EQ(used(answer), "claude");
            if (stream) EXPECT_EQ(chat_text(answer.body), "Hello from the fake provider.[DONE]") << answer.body;
        }
    }
}

TEST(ChatStream, ACutIsNeverAnEnd) {
    FakeProvider provider;
    for (bool openai : {true, false}) {
        Fleet fleet(yaml_of({openai ? openai_provider("p", provider) : ProviderText{"p", provider.base_url()}}));
        for (How how : {How::kReset, How::kClose, How::kFinish}) {
            SCOPED_TRACE(fmt::format("{} {}", openai, static_cast<int>(how)));
            Step step = break_step(how, After::kEvents, 4);
            step.message.text = "one two three four five six";
            step.message.event_gap = milliseconds(20);
            provider.set_script(script_of({step}));
            RawResponse answer = chat(fleet, chat_body(true));
            EXPECT_EQ(answer.status, 200u);
            std::vector<std::string> data = stream_data(answer.body);
            ASSERT_GE(data.size(), 2u) << answer.body;
            EXPECT_NE(json::parse(data.front())["choices"][0]["delta"]["role"], nullptr);
            EXPECT_EQ(error_of(data.back())["type"], "server_error") << answer.body;
            EXPECT_EQ(answer.body.find("[DONE]"), std::string::npos);
        }
    }
}

TEST(ChatStream, AnErrorBehindContentIsTheLastEvent) {
    FakeProvider provider;
    Step step;
    step.error_event = ErrorEvent{4, {"overloaded_error", "in the middle"}};
    provider.set_script(script_of({step}));
    for (bool openai : {true, false}) {
        Fleet fleet(yaml_of({openai ? openai_provider("p", provider) : ProviderText{"p", provider.base_url()}}));
        RawResponse answer = chat(fleet, chat_body(true));
        EXPECT_EQ(answer.end, BodyEnd::kComplete);
        EXPECT_EQ(error_of(stream_data(answer.body).back())["message"], "in the middle") << answer.body;
        EXPECT_NE(failed_attempts(fleet, answer).find("overloaded"), std::string::npos) << failed_attempts(fleet, answer);
    }
}

class ChatPings : public testing::Test {
  protected:
    static Step slow(unsigned status) {
        Step step = status_step(status);
        step.delay = milliseconds(700);
        return step;
    }

    FakeProvider anthropic_;
    FakeProvider other_;
    Fleet fleet_{yaml_of(
        {{"claude", anthropic_.base_url()}, openai_provider("other", other_)}, {}, "  ping_interval: 0.3\n"
    )};
};

TEST_F(ChatPings, AreCommentsAndDoNotEndTheFailover) {
    anthropic_.set_script(script_of({slow(529)}));
    RawResponse answer = chat(fleet_, chat_body(true));
    EXPECT_EQ(answer.status, 200u);
    EXPECT_TRUE(answer.body.starts_with(": ping\n\n")) << answer.body;
    EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n")) << answer.body;
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(other_.request_count(), 1u);
}

TEST_F(ChatPings, WhenNobodyAnswersBehindThemTheStreamEndsWithTheError) {
    anthropic_.set_script(script_of({slow(529)}));
    other_.set_script(script_of({status_step(500)}));
    RawResponse answer = chat(fleet_, chat_body(true));
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(error_of(stream_data(answer.body).back())["code"], "PROVIDER_UNAVAILABLE") << answer.body;
}

TEST_F(ChatPings, BehindThemTheRequestsOwnFaultIsStillItsOwn) {
    anthropic_.set_script(script_of({slow(400)}));
    RawResponse answer = chat(fleet_, chat_body(true));
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_EQ(error_of(stream_data(answer.body).back())["type"], "invalid_request_error") << answer.body;
    // And the words of a provider that speaks the client's format, as they are.
    anthropic_.set_script(script_of({status_step(529)}));
    other_.set_script(script_of({slow(400)}));
    answer = chat(fleet_, chat_body(true, "gpt-x", "another session"));
    EXPECT_EQ(stream_data(answer.body).back(), openai_error({}, 400)) << answer.body;
}

TEST(ChatCancel, AClientThatLeavesCancelsTheUpstream) {
    FakeProvider provider;
    Step trickle;
    trickle.message.text_bytes = 100'000;
    trickle.message.event_gap = milliseconds(50);
    for (bool openai : {true, false}) {
        Fleet fleet(yaml_of({openai ? openai_provider("p", provider) : ProviderText{"p", provider.base_url()}}));
        for (const Step& step : {break_step(How::kHang, After::kEvents, 1), trickle}) {
            provider.set_script(script_of({step}));
            provider.clear_requests();
            Result<RawClient> client = RawClient::connect(fleet.port());
            ASSERT_TRUE(client);
            ASSERT_TRUE(client->send(chat_request(chat_body(true))));
            ASSERT_TRUE(provider.wait_for_requests(1));
            client->close();
            EXPECT_TRUE(provider.wait_for_abandoned(1, milliseconds(8000))) << openai;
        }
    }
}

}  // namespace
}  // namespace balancer::tests
