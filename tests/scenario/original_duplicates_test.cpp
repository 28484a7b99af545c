// The original's acceptance list: identical requests, as far as a client sees them
// (docs/original-tests.md). They share one call, and nobody gets a 409.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/original_case.hpp"

namespace balancer::tests {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

Step trickling(std::string text, milliseconds gap) {
    Step step = saying(std::move(text));
    step.message.event_gap = gap;
    return step;
}

class OriginalDuplicates : public testing::Test {
  protected:
    // A stream that has begun and runs on.
    RawClient start_stream() {
        Result<RawClient> client = RawClient::connect(fleet_.port());
        EXPECT_TRUE(client);
        EXPECT_TRUE(client->send(claude_code_request(streamed())));
        EXPECT_TRUE(provider_.wait_for_requests(1));
        return *std::move(client);
    }

    FakeProvider provider_;
    Fleet fleet_{original_yaml({{{"only", provider_.base_url()}}, 1000})};
};

TEST_F(OriginalDuplicates, ADuplicateOfARunningStreamGetsAWholeMessage) {
    provider_.set_script(script_of({trickling("the same for both", milliseconds(60))}));
    RawClient original = start_stream();
    RawResponse duplicate = fleet_.ask(unstreamed());
    EXPECT_EQ(duplicate.status, 200u);
    EXPECT_EQ(answer_text(duplicate), "the same for both");
    Result<RawResponse> first = original.read_response();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->status, 200u);
    EXPECT_EQ(first->end, BodyEnd::kComplete);
    EXPECT_EQ(answer_text(*first), "the same for both");
}

TEST_F(OriginalDuplicates, AfterTheOriginalAStreamIsAFreshOne) {
    provider_.set_script(script_of({saying("first time"), saying("second time")}));
    EXPECT_EQ(answer_text(fleet_.ask(unstreamed())), "first time");
    RawResponse later = fleet_.ask(streamed());
    EXPECT_EQ(later.status, 200u);
    EXPECT_EQ(answer_text(later), "second time");
    EXPECT_THAT(event_names(later.body), EndsWith("message_stop"));
}

TEST_F(OriginalDuplicates, WhenTheOriginalFailsEachIsToldSoInWords) {
    provider_.set_script(script_of({slowly(failing(500, "it broke"), milliseconds(100))}));
    for (const RawResponse& answer : ask_together(fleet_, {streamed(), unstreamed()})) {
        EXPECT_EQ(answer.status, 500u);
        EXPECT_EQ(error_message(answer), "it broke");
    }
    EXPECT_EQ(fleet_.ask(unstreamed()).status, 500u);
}

TEST_F(OriginalDuplicates, NothingIsKeptOnceTheOriginalIsOver) {
    provider_.set_script(
        script_of({trickling("while it runs", milliseconds(60)), saying("fresh")})
    );
    RawClient original = start_stream();
    EXPECT_EQ(answer_text(fleet_.ask(unstreamed())), "while it runs");
    Result<RawResponse> first = original.read_response();
    ASSERT_TRUE(first);
    EXPECT_EQ(answer_text(*first), "while it runs");
    EXPECT_EQ(answer_text(fleet_.ask(unstreamed())), "fresh");
}

TEST_F(OriginalDuplicates, MixedDuplicatesAllSucceed) {
    provider_.set_script(script_of({slowly(saying("for everybody"), milliseconds(100))}));
    for (const RawResponse& answer :
         ask_together(fleet_, {streamed(), unstreamed(), streamed(), unstreamed()})) {
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer_text(answer), "for everybody");
    }
}

TEST_F(OriginalDuplicates, AnswersThatSpeakOfErrorsAreAnswers) {
    const char* text = "You asked about the rate limit error: the quota is insufficient.";
    provider_.set_script(script_of({saying(text)}));
    for (const RawResponse& answer : ask_together(fleet_, {streamed(), unstreamed()})) {
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(answer_text(answer), text);
    }
    EXPECT_EQ(answer_text(fleet_.ask(streamed())), text);
    EXPECT_EQ(provider_view(fleet_, "only")["failure_count"], 0);
}

TEST_F(OriginalDuplicates, AStreamThatBrokeIsNotReplayedToTheNext) {
    Step broken = saying("");
    broken.error_event = ErrorEvent{0, {"rate_limit_error", "rate limit reached"}};
    provider_.set_script(script_of({broken, saying("whole again")}));
    EXPECT_THAT(fleet_.ask(streamed()).body, HasSubstr("rate limit reached"));
    EXPECT_EQ(answer_text(fleet_.ask(streamed())), "whole again");
}

}  // namespace
}  // namespace balancer::tests
