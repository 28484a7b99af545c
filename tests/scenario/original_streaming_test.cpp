// The original's acceptance list: streams (docs/original-tests.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"
#include "tests/scenario/readings.hpp"

namespace balancer::tests {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kImpatient =
    "  timeouts:\n    streaming: {connect_timeout: 1, read_timeout: 0.4}\n";

void expect_stream(const RawResponse& answer, const std::string& text) {
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_THAT(answer.header("content-type"), StartsWith("text/event-stream"));
    std::string names = event_names(answer.body);
    EXPECT_THAT(names, StartsWith("message_start"));
    EXPECT_THAT(names, HasSubstr("content_block_delta"));
    EXPECT_THAT(names, EndsWith("message_stop"));
    EXPECT_EQ(answer_text(answer), text);
}

class OriginalStreaming : public testing::Test {
  protected:
    RawResponse send(const std::string& bytes) const { return exchange_raw(fleet_.port(), bytes); }

    FakeProvider provider_{script_of({saying("all the words of it")})};
    Fleet fleet_{original_yaml({{{"only", provider_.base_url()}}, 1000, "immediate", kImpatient})};
};

TEST_F(OriginalStreaming, AStreamHasItsEventsFromStartToStop) {
    expect_stream(fleet_.ask(streamed()), "all the words of it");
}

TEST_F(OriginalStreaming, AProvidersErrorIsJsonWithItsWords) {
    provider_.set_script(script_of({failing(500, "the provider is broken")}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 500u);
    EXPECT_THAT(answer.header("content-type"), StartsWith("application/json"));
    EXPECT_EQ(error_message(answer), "the provider is broken");
}

TEST_F(OriginalStreaming, ALateTimeoutAnswerIsPassedOn) {
    provider_.set_script(script_of({slowly(failing(408, "Request Timeout"), milliseconds(150))}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 408u);
    EXPECT_EQ(error_message(answer), "Request Timeout");
}

TEST_F(OriginalStreaming, OurOwnTimeoutIsA503ThatSaysSo) {
    provider_.set_script(script_of({break_step(Break::How::kHang, Break::After::kHeadBytes, 0)}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_EQ(error_type(answer), "provider_error");
    EXPECT_THAT(error_message(answer), HasSubstr("only: timeout"));
}

TEST_F(OriginalStreaming, StatusesArePassedOnWithTheirWords) {
    struct Case {
        unsigned status;
        const char* message;
    };
    for (const Case& one : {
             Case{429, "Rate Limited"},
             Case{502, "Connection Error"},
             Case{503, "Service Unavailable"},
             Case{402, "Insufficient credits"},
         }) {
        provider_.set_script(script_of({failing(one.status, one.message)}));
        RawResponse answer = fleet_.ask(streamed());
        EXPECT_EQ(answer.status, one.status);
        EXPECT_EQ(error_message(answer), one.message);
    }
}

TEST_F(OriginalStreaming, ARefusedConnectionIsA503ThatSaysSo) {
    provider_.stop();
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 503u);
    EXPECT_THAT(error_message(answer), HasSubstr("only: connect"));
}

TEST_F(OriginalStreaming, EveryRunIsWhole) {
    for (const char* text : {"one", "two words", "three words here"}) {
        provider_.set_script(script_of({saying(text)}));
        expect_stream(fleet_.ask(streamed(text)), text);
    }
}

TEST_F(OriginalStreaming, ConcurrentStreamsAreEachWhole) {
    Step trickling = saying("side by side");
    trickling.message.event_gap = milliseconds(20);
    provider_.set_script(script_of({trickling}));
    for (const RawResponse& answer :
         ask_together(fleet_, {streamed("first"), streamed("second"), streamed("third")})) {
        expect_stream(answer, "side by side");
    }
}

TEST_F(OriginalStreaming, ALargeAnswerArrivesWhole) {
    std::string words;
    for (int i = 0; i < 600; ++i) words += "word" + std::to_string(i) + ' ';
    provider_.set_script(script_of({saying(words)}));
    expect_stream(fleet_.ask(streamed()), words);
}

TEST_F(OriginalStreaming, AnEmptyAnswerStillStartsAndStops) {
    provider_.set_script(script_of({saying("")}));
    RawResponse answer = fleet_.ask(streamed());
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.end, BodyEnd::kComplete);
    EXPECT_THAT(event_names(answer.body), StartsWith("message_start"));
    EXPECT_THAT(event_names(answer.body), EndsWith("message_stop"));
}

TEST_F(OriginalStreaming, WhatTheRequestCarriesDoesNotMatter) {
    for (const nlohmann::ordered_json& fields : {
             nlohmann::ordered_json{{"system", "You are brief."}},
             nlohmann::ordered_json{{"temperature", 0.7}},
             nlohmann::ordered_json{{"top_p", 0.9}},
             nlohmann::ordered_json{{"max_tokens", 1}},
         }) {
        SCOPED_TRACE(fields.dump());
        expect_stream(send(request_with_fields(streamed(), fields)), "all the words of it");
        nlohmann::json seen = nlohmann::json::parse(provider_.requests().back().body);
        EXPECT_EQ(seen[fields.begin().key()], fields.front());
    }
}

TEST_F(OriginalStreaming, AfterAnErrorTheNextStreamIsWhole) {
    provider_.set_script(script_of({failing(500, "for once"), saying("recovered well")}));
    EXPECT_EQ(fleet_.ask(streamed()).status, 500u);
    expect_stream(fleet_.ask(streamed()), "recovered well");
}

TEST(OriginalStreamingFailover, TheSecondProvidersStreamIsWhole) {
    FakeProvider first(script_of({failing(500, "no")}));
    FakeProvider second(script_of({saying("from the second")}));
    for (const char* failover : {"immediate", "on_unhealthy"}) {
        SCOPED_TRACE(failover);
        Fleet fleet(original_yaml(
            {{{"first", first.base_url()}, {"second", second.base_url()}}, 1, failover}
        ));
        expect_stream(fleet.ask(streamed()), "from the second");
    }
}

}  // namespace
}  // namespace balancer::tests
