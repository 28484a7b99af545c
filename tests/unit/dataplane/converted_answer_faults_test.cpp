// Answers of providers of type openai that are errors, cut or lost.
#include "dataplane/exchange/converted_answer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/event_sequence.hpp"

namespace balancer::dataplane {
namespace {

using nlohmann::json;
using tests::SequenceCheck;

constexpr const char* kWhole =
    R"({"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi you"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}})";
constexpr const char* kError = R"({"error":{"message":"slow down","type":"rate_limit_error"}})";

std::string chunk(const std::string& delta, const std::string& finish = "null") {
    return R"(data: {"choices":[{"index":0,"delta":)" + delta + R"(,"finish_reason":)" + finish + "}]}\n\n";
}

const std::string kBegun = chunk(R"({"role":"assistant","content":""})") + chunk(R"({"content":"Hi "})");
const std::string kReasoned = kBegun + chunk(R"({"content":"you"})") + chunk("{}", R"("stop")");
const std::string kStream =
    kReasoned + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

struct Outcome {
    bool converts = false;
    std::string out;
    std::string content_type;
    FailureClass failure = FailureClass::kNone;
    bool finished = false;
};

enum class End { kWhole, kLost };

Outcome run(
    bool wants_stream, std::string_view body, bool sent_stream, std::size_t piece = std::string_view::npos, End end = End::kWhole
) {
    static wire::convert::JsonReader reader;
    AnswerConversion conversion;
    conversion.stream = wants_stream;
    conversion.to_anthropic = {"msg_1", "claude", {}, "bal_1"};
    ConvertedAnswer answer(reader, std::move(conversion));
    wire::ResponseHead head;
    head.status = 200;
    head.fields = {{"Content-Type", sent_stream ? "text/event-stream" : "application/json"}};
    Outcome outcome;
    outcome.converts = answer.begin(head);
    outcome.content_type = head.fields.front().value;
    for (std::size_t at = 0; at < body.size() && outcome.failure == FailureClass::kNone; at += std::min(piece, body.size())) {
        outcome.failure = answer.feed(body.substr(at, piece), outcome.out).failure;
    }
    if (outcome.failure != FailureClass::kNone) return outcome;
    if (end == End::kLost) {
        outcome.finished = answer.finish(outcome.out);
    } else {
        outcome.failure = answer.end(outcome.out).failure;
    }
    return outcome;
}

// The message that a client has in the end, whichever mode it asked for.
json message_of(bool wants_stream, const Outcome& outcome) {
    if (!wants_stream) return json::parse(outcome.out, nullptr, false);
    SequenceCheck check;
    EXPECT_EQ(check.check(outcome.out), "") << outcome.out;
    EXPECT_TRUE(check.is_whole()) << outcome.out;
    return check.message();
}

TEST(ConvertedAnswerFaults, NoneInEveryModeAndSplit) {
    for (bool wants_stream : {false, true}) {
        for (bool sent_stream : {false, true}) {
            SCOPED_TRACE(std::string(wants_stream ? "stream" : "whole") + " out of " + (sent_stream ? "stream" : "whole"));
            std::string body = sent_stream ? kStream : kWhole;
            Outcome outcome = run(wants_stream, body, sent_stream);
            EXPECT_TRUE(outcome.converts);
            EXPECT_EQ(outcome.failure, FailureClass::kNone);
            EXPECT_TRUE(outcome.content_type.starts_with(wants_stream ? "text/event-stream" : "application/json"));
            json message = message_of(wants_stream, outcome);
            EXPECT_EQ(message["content"][0]["text"], "Hi you");
            EXPECT_EQ(message["model"], "claude");
            EXPECT_EQ(message["stop_reason"], "end_turn");
            EXPECT_EQ(message["usage"]["output_tokens"], 2);
            for (std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{64}}) {
                ASSERT_EQ(run(wants_stream, body, sent_stream, piece).out, outcome.out) << piece;
            }
        }
    }
}

TEST(ConvertedAnswerFaults, AnErrorInPlaceOfContentIsToldInTheClientsMode) {
    std::string in_choice =
        R"({"choices":[{"index":0,"message":{"content":"half"},"finish_reason":"error","error":{"code":429,"message":"slow down"}}]})";
    for (bool wants_stream : {false, true}) {
        for (bool sent_stream : {false, true}) {
            for (const std::string& error : {std::string(kError), in_choice}) {
                std::string body = sent_stream ? "data: " + error + "\n\n" : error;
                Outcome outcome = run(wants_stream, body, sent_stream);
                EXPECT_EQ(outcome.failure, FailureClass::kNone);
                EXPECT_EQ(outcome.out.starts_with("event: error\n"), wants_stream) << outcome.out;
                EXPECT_NE(outcome.out.find("rate_limit_error"), std::string::npos) << outcome.out;
                EXPECT_NE(outcome.out.find("slow down"), std::string::npos) << outcome.out;
            }
        }
    }
}

TEST(ConvertedAnswerFaults, ACutIsAFailureUntilContentHasGoneOut) {
    EXPECT_EQ(run(true, chunk(R"({"role":"assistant","content":""})"), true).failure, FailureClass::kBrokenStream);
    EXPECT_EQ(run(false, kBegun, true).failure, FailureClass::kBrokenStream) << "nothing has gone out";
    Outcome begun = run(true, kBegun, true);
    EXPECT_EQ(begun.failure, FailureClass::kNone);
    SequenceCheck check;
    EXPECT_EQ(check.check(begun.out), "");
    EXPECT_TRUE(check.has_error());
    EXPECT_EQ(run(false, R"({"choices":[)", false).failure, FailureClass::kProtocol);
    EXPECT_EQ(run(true, "", false).failure, FailureClass::kProtocol);
    EXPECT_EQ(run(false, R"({"choices":[{"message":{"content":"x"},"finish_reason":"abort"}]})", false).failure, FailureClass::kProtocol);
}

TEST(ConvertedAnswerFaults, AConnectionThatIsLostBehindTheReasonIsNoLoss) {
    for (bool wants_stream : {false, true}) {
        for (const std::string& body : {kReasoned, kStream}) {
            Outcome outcome = run(wants_stream, body, true, std::string_view::npos, End::kLost);
            EXPECT_TRUE(outcome.finished);
            EXPECT_EQ(message_of(wants_stream, outcome)["content"][0]["text"], "Hi you");
        }
        EXPECT_FALSE(run(wants_stream, kBegun, true, std::string_view::npos, End::kLost).finished);
        EXPECT_FALSE(run(wants_stream, kWhole, false, std::string_view::npos, End::kLost).finished);
    }
}

}  // namespace
}  // namespace balancer::dataplane
