#include "dataplane/exchange/converted_answer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dataplane/wire/body_scan.hpp"

namespace balancer::dataplane {
namespace {

using nlohmann::json;
using wire::Format;

const std::string kMessage =
    R"({"id":"m","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}})";
const std::string kEvents =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":3}}}\n\n"
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const std::string kCompletion =
    R"({"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}})";
const std::string kChunks =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n"
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n";

struct Seen {
    bool left_alone = false;
    std::string content_type;
    std::string out;
    AnswerFilter::Step step;
};

wire::convert::JsonReader& reader() {
    static wire::convert::JsonReader one;
    return one;
}

// The whole way of one answer, in pieces of `piece` bytes.
Seen convert(
    Format from, Format to, bool wants_stream, bool sends_stream, const std::string& body, std::size_t piece = 7, unsigned status = 200
) {
    AnswerConversion conversion{from, to, wants_stream, {"msg_1", "m", {}, "bal_1"}, {"chatcmpl-1", "m", 1, false, "bal_1"}};
    ConvertedAnswer filter(reader(), std::move(conversion));
    wire::ResponseHead head;
    head.status = status;
    head.fields = {{"Content-Type", sends_stream ? "text/event-stream" : "application/json; charset=utf-8"}};
    Seen seen;
    seen.left_alone = !filter.begin(head);
    seen.content_type = head.fields.front().value;
    if (seen.left_alone) return seen;
    for (std::size_t at = 0; at < body.size(); at += piece) {
        seen.step = filter.feed(std::string_view(body).substr(at, piece), seen.out);
        if (seen.step.failure != FailureClass::kNone) return seen;
    }
    seen.step = filter.end(seen.out);
    return seen;
}

TEST(ConvertedAnswer, EveryFormatAndModeBecomesTheClients) {
    for (Format from : {Format::kAnthropic, Format::kOpenai}) {
        for (Format to : {Format::kAnthropic, Format::kOpenai}) {
            for (bool wants : {false, true}) {
                for (bool sends : {false, true}) {
                    SCOPED_TRACE(testing::Message() << static_cast<int>(from) << static_cast<int>(to) << wants << sends);
                    bool openai = from == Format::kOpenai;
                    const std::string& body = sends ? (openai ? kChunks : kEvents) : (openai ? kCompletion : kMessage);
                    Seen seen = convert(from, to, wants, sends, body);
                    EXPECT_EQ(seen.left_alone, from == to && wants == sends);
                    if (seen.left_alone) continue;
                    EXPECT_EQ(seen.step.failure, FailureClass::kNone) << seen.step.detail;
                    EXPECT_EQ(seen.content_type.starts_with("text/event-stream"), wants);
                    EXPECT_NE(seen.out.find("\"hi\""), std::string::npos) << seen.out;
                    std::string end = to == Format::kOpenai ? "data: [DONE]\n\n" : "{\"type\":\"message_stop\"}\n\n";
                    EXPECT_EQ(seen.out.ends_with(end), wants) << seen.out;
                    if (wants) continue;
                    json whole = json::parse(seen.out, nullptr, false);
                    EXPECT_EQ(whole.contains("choices"), to == Format::kOpenai) << seen.out;
                    EXPECT_EQ(whole.value("type", "") == "message", to == Format::kAnthropic);
                }
            }
        }
    }
}

TEST(ConvertedAnswer, TellsTheUsageThatItKnowsAndNoOther) {
    const std::string told = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    std::string chunks = kChunks;
    json silent = json::parse(convert(Format::kOpenai, Format::kOpenai, false, true, chunks).out);
    EXPECT_FALSE(silent.contains("usage")) << silent;
    chunks.insert(chunks.find("data: [DONE]"), told);
    for (const std::string& body : {chunks, kEvents}) {
        Format from = body == kEvents ? Format::kAnthropic : Format::kOpenai;
        json whole = json::parse(convert(from, Format::kOpenai, false, true, body).out);
        EXPECT_EQ(whole["usage"]["prompt_tokens"], 3);
        EXPECT_EQ(whole["usage"]["completion_tokens"], 1);
    }
}

TEST(ConvertedAnswer, ErrorsAndBodiesOfAnotherKindAreLeftAlone) {
    EXPECT_TRUE(convert(Format::kAnthropic, Format::kOpenai, true, false, "{}", 7, 529).left_alone);
    EXPECT_TRUE(convert(Format::kOpenai, Format::kAnthropic, false, false, "{}", 7, 404).left_alone);
    ConvertedAnswer filter(reader(), {Format::kOpenai, Format::kOpenai, true, {}, {}});
    wire::ResponseHead head;
    head.status = 200;
    head.fields = {{"content-type", "text/plain"}};
    EXPECT_FALSE(filter.begin(head));
}

TEST(ConvertedAnswer, AnErrorInPlaceOfAnAnswerIsPassedOnInAnthropicsShape) {
    const std::string anthropic = R"({"type":"error","error":{"type":"overloaded_error","message":"full"}})";
    const std::string openai = R"({"error":{"message":"full","type":"server_error","code":"engine_overloaded"}})";
    for (bool sends : {false, true}) {
        for (bool wants : {false, true}) {
            SCOPED_TRACE(testing::Message() << sends << wants);
            Seen a = convert(
                Format::kAnthropic, Format::kOpenai, wants, sends, sends ? "event: error\ndata: " + anthropic + "\n\n" : anthropic
            );
            Seen b = convert(Format::kOpenai, Format::kAnthropic, wants, sends, sends ? "data: " + openai + "\n\n" : openai);
            for (const Seen& seen : {a, b}) {
                EXPECT_EQ(seen.step.failure, FailureClass::kNone);
                EXPECT_EQ(seen.out.starts_with("event: error\ndata: "), wants) << seen.out;
                wire::ErrorWords words = wire::read_error_words(seen.out.substr(wants ? 19 : 0));
                EXPECT_EQ(words.type, "overloaded_error") << seen.out;
                EXPECT_EQ(words.message, "full");
            }
        }
    }
}

TEST(ConvertedAnswer, WhatIsNoAnswerIsAFailureUntilContentHasGoneOut) {
    struct Case {
        Format from;
        Format to;
        bool wants;
        bool sends;
        std::string body;
        FailureClass failure;
    };
    std::string half_events = kEvents.substr(0, kEvents.find("event: content_block_stop"));
    for (const Case& one : {
             Case{Format::kAnthropic, Format::kOpenai, false, false, "{}", FailureClass::kProtocol},
             Case{Format::kAnthropic, Format::kOpenai, true, false, kCompletion, FailureClass::kProtocol},
             Case{Format::kOpenai, Format::kAnthropic, true, false, kMessage, FailureClass::kProtocol},
             Case{Format::kAnthropic, Format::kOpenai, true, true, "data: x\n\n", FailureClass::kProtocol},
             Case{Format::kAnthropic, Format::kOpenai, true, true, "", FailureClass::kBrokenStream},
             Case{Format::kAnthropic, Format::kOpenai, false, true, half_events, FailureClass::kBrokenStream},
             Case{Format::kOpenai, Format::kOpenai, false, true, kChunks.substr(0, kChunks.find("\"finish_reason\":\"stop\"")), FailureClass::kBrokenStream},
         }) {
        Seen seen = convert(one.from, one.to, one.wants, one.sends, one.body);
        EXPECT_EQ(seen.step.failure, one.failure) << one.body << seen.step.detail;
        EXPECT_EQ(seen.out, "");
    }
    Seen cut = convert(Format::kAnthropic, Format::kOpenai, true, true, half_events);
    EXPECT_EQ(cut.step.failure, FailureClass::kNone);
    EXPECT_NE(cut.out.find("data: {\"error\":"), std::string::npos) << cut.out;
    EXPECT_EQ(cut.out.find("[DONE]"), std::string::npos);
}

}  // namespace
}  // namespace balancer::dataplane
