// What stands between a provider's answer and the client: the marks of signatures, and the conversion to the client's
// format and mode. Every split gives the same bytes.
#include <nlohmann/json.hpp>
#include <string>

#include "dataplane/exchange/converted_answer.hpp"
#include "dataplane/wire/convert/mark_signatures.hpp"
#include "tests/fuzz/convert_check.hpp"
#include "tests/fuzz/targets.hpp"

namespace balancer::fuzz {
namespace {

using dataplane::AnswerFilter;
using dataplane::ConvertedAnswer;
using wire::Format;

constexpr std::string_view kMark = "balancer-issuer-m.";

struct Outcome {
    bool left_alone = false;
    FailureClass failure = FailureClass::kNone;
    std::string out;

    bool operator==(const Outcome&) const = default;
};

struct Way {
    Format from;
    Format to;
    bool wants_stream;
    bool sends_stream;
};

enum class End { kWhole, kLost };

// Marks are added; nothing goes and nothing changes its place.
void check_nothing_lost(std::string_view before, std::string_view after) {
    std::size_t at = 0;
    for (char c : after) {
        if (at < before.size() && before[at] == c) ++at;
    }
    BALANCER_CHECK(at == before.size());
}

void check_marked_message(std::string_view bytes) {
    std::string out;
    wire::convert::mark_message(converting_reader(), bytes, kMark, out);
    check_nothing_lost(bytes, out);
    wire::convert::JsonKind kind = wire::convert::JsonKind::kNull;
    std::string_view raw;
    bool good = converting_reader().walk().read_one(bytes, kind, raw) && kind == wire::convert::JsonKind::kObject &&
                raw.size() == bytes.size();
    if (good) {
        check_well_formed(out, bytes);
    } else if (out != bytes) {
        // With white space around it.
        BALANCER_CHECK(converting_reader().walk().read_one(out, kind, raw));
    }
}

std::string marked_stream(std::string_view bytes, std::size_t step) {
    wire::convert::SignatureMarker marker(converting_reader(), kMark);
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += step) BALANCER_CHECK(marker.feed(bytes.substr(at, step), out));
    marker.end(out);
    return out;
}

Outcome convert(const Way& way, std::string_view bytes, std::size_t step, End end) {
    dataplane::AnswerConversion conversion{
        way.from, way.to, way.wants_stream, {"msg_1", "m", {}, "bal_1"}, {"chatcmpl-1", "m", 1, true, "bal_1"}
    };
    ConvertedAnswer filter(converting_reader(), std::move(conversion));
    wire::ResponseHead head;
    head.status = 200;
    head.fields = {{"content-type", way.sends_stream ? "text/event-stream" : "application/json"}};
    Outcome outcome;
    outcome.left_alone = !filter.begin(head);
    if (outcome.left_alone) return outcome;
    for (std::size_t at = 0; at < bytes.size() && outcome.failure == FailureClass::kNone; at += step) {
        outcome.failure = filter.feed(bytes.substr(at, step), outcome.out).failure;
    }
    if (outcome.failure != FailureClass::kNone) return outcome;
    if (end == End::kWhole) {
        outcome.failure = filter.end(outcome.out).failure;
    } else if (!filter.finish(outcome.out)) {
        outcome.failure = FailureClass::kBrokenStream;
    }
    return outcome;
}

void check_way(const Way& way, std::string_view bytes) {
    for (End end : {End::kWhole, End::kLost}) {
        Outcome outcome = convert(way, bytes, bytes.size() + 1, end);
        for (std::size_t step : {std::size_t{1}, std::size_t{7}}) {
            BALANCER_CHECK(convert(way, bytes, step, end) == outcome);
        }
        if (outcome.left_alone) {
            BALANCER_CHECK(way.from == way.to && way.wants_stream == way.sends_stream);
        } else if (outcome.failure == FailureClass::kNone && way.wants_stream) {
            BALANCER_CHECK(outcome.out.ends_with("\n\n"));
        } else if (outcome.failure == FailureClass::kNone) {
            check_well_formed(outcome.out, bytes);
        }
    }
}

}  // namespace

void answer_filters(std::string_view bytes) {
    check_marked_message(bytes);
    std::string marked = marked_stream(bytes, bytes.size() + 1);
    check_nothing_lost(bytes, marked);
    for (std::size_t step : {std::size_t{1}, std::size_t{7}}) BALANCER_CHECK(marked_stream(bytes, step) == marked);
    for (Format from : {Format::kAnthropic, Format::kOpenai}) {
        for (Format to : {Format::kAnthropic, Format::kOpenai}) {
            for (bool wants : {false, true}) {
                for (bool sends : {false, true}) check_way({from, to, wants, sends}, bytes);
            }
        }
    }
}

Target answer_filters_target() {
    Target target{
        "answer_filters",
        answer_filters,
        {
            R"({"id":"m","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s\/+="},{"type":"redacted_thinking","data":"d"},{"type":"thinking","thinking":"u"},{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4}})",
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"content\":[],\"usage\":"
            "{\"input_tokens\":3}}}\n\n"
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
            "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
            "{\"type\":\"thinking_delta\",\"thinking\":\"t\"}}\n\n"
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
            "{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n"
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":"
            "{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n"
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":"
            "{\"type\":\"redacted_thinking\",\"data\":\"d\"}}\n\n"
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":"
            "{\"output_tokens\":4}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            R"({"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi","reasoning_content":"r"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}})",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"r\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n",
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
        },
        with_json_words({
            "\n\n",
            "\r\n",
            "data: ",
            "data: [DONE]\n\n",
            R"({"type":"thinking"},)",
            R"("type":"redacted_thinking",)",
            R"("signature":"",)",
            R"("signature":null,)",
            R"("data":"",)",
            R"("index":1,)",
            R"("finish_reason":"length",)",
            R"("error":{"message":"m"},)",
        }),
    };
    return target;
}

}  // namespace balancer::fuzz
