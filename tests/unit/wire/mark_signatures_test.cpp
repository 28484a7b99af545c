#include "dataplane/wire/convert/mark_signatures.hpp"

#include "tests/unit/wire/convert_fixture.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::string_view kMark = "balancer-issuer-0a-";

std::string marked(std::string_view body) {
    std::string out;
    mark_message(test_reader(), body, kMark, out);
    return out;
}

std::string marked_stream(std::string_view stream, std::size_t piece) {
    SignatureMarker marker(test_reader(), kMark);
    std::string out;
    for (std::size_t at = 0; at < stream.size(); at += piece) EXPECT_TRUE(marker.feed(stream.substr(at, piece), out));
    marker.end(out);
    return out;
}

std::string event(const std::string& name, const std::string& data) { return "event: " + name + "\ndata: " + data + "\n\n"; }

std::string start(const std::string& block) {
    return event("content_block_start", R"({"type":"content_block_start","index":0,"content_block":)" + block + "}");
}

std::string delta(const std::string& what) {
    return event("content_block_delta", R"({"type":"content_block_delta", "index":0, "delta":)" + what + "}");
}

const std::string kStop = event("content_block_stop", R"({"type":"content_block_stop","index":0})");
const std::string kThinking = R"({"type":"thinking","thinking":"","signature":""})";

TEST(MarkSignatures, OfAWholeMessage) {
    EXPECT_EQ(
        marked(R"({"id":"m", "content":[{"signature":"c2ln","type":"thinking","thinking":"\u00e9 signature"},{"type":"text","text":"x"} ,{"type":"redacted_thinking","data":"ZA=="},{"type":"thinking","thinking":"t"},{"type":"tool_use","input":{"signature":"s","data":"d"}}],"usage":{"a":1.50}})"),
        R"({"id":"m", "content":[{"signature":"balancer-issuer-0a-c2ln","type":"thinking","thinking":"\u00e9 signature"},{"type":"text","text":"x"} ,{"type":"redacted_thinking","data":"balancer-issuer-0a-ZA=="},{"signature":"balancer-issuer-0a-","type":"thinking","thinking":"t"},{"type":"tool_use","input":{"signature":"s","data":"d"}}],"usage":{"a":1.50}})"
    );
    for (const char* odd : {"", "<html>", "[]", R"({"content":"x"})", R"({"content":[1,{"type":3,"signature":4}]})"}) {
        EXPECT_EQ(marked(odd), odd);
    }
}

TEST(MarkSignatures, OfAStreamHoweverItIsSplit) {
    auto stream = [](const std::string& mark) {
        return event("message_start", R"({"type":"message_start","message":{"content":[]}})") + start(kThinking) +
               delta(R"({"type":"thinking_delta","thinking":"the \"signature_delta\" of thinking"})") +
               delta(R"({"type":"signature_delta","signature":")" + mark + R"(c2ln"})") +
               delta(R"({"type":"signature_delta","signature":"bW9y"})") + kStop + ": comment\n\n" +
               start(R"({"type":"redacted_thinking","data":")" + mark + R"(ZA=="})") + kStop +
               start(R"({"type":"text","text":""})") + delta(R"({"type":"text_delta","text":"signature"})") + kStop +
               start(R"({"type":"thinking","thinking":"","signature":")" + mark + R"(at once"})") + kStop +
               event("message_stop", R"({"type":"message_stop"})");
    };
    for (std::size_t piece : {1u, 7u, 100'000u}) {
        EXPECT_EQ(marked_stream(stream(""), piece), stream(std::string(kMark)));
    }
}

TEST(MarkSignatures, ABlockThatNobodySignedGetsTheMarkAlone) {
    std::string begun = start(kThinking) + delta(R"({"type":"thinking_delta","thinking":"t"})");
    std::string added =
        "event: content_block_delta\ndata: "
        R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"balancer-issuer-0a-"}})"
        "\n\n";
    EXPECT_EQ(marked_stream(begun + kStop + kStop, 1000), begun + added + kStop + kStop);
}

TEST(MarkSignatures, ACutStreamAndMalformedEventsPass) {
    std::string odd = start(kThinking) + "data: {\"thinking\" x\n\n" + "data: {\"type\":\"signature_delta\"";
    EXPECT_EQ(marked_stream(odd, 5), odd);
    SignatureMarker marker(test_reader(), kMark);
    std::string out;
    EXPECT_FALSE(marker.feed(std::string(SignatureMarker::kEventBytesMax + 1, 'x'), out));
}

}  // namespace
}  // namespace balancer::wire::convert
