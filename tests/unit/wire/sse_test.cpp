#include "dataplane/wire/sse.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace balancer::wire {
namespace {

struct Seen {
    SseKind kind;
    std::string data;
    bool operator==(const Seen&) const = default;
};

// Feeds `text` growing by `piece` bytes, as a connection would.
std::vector<Seen> split(const std::string& text, std::size_t piece) {
    SseSplitter splitter;
    std::vector<Seen> seen;
    std::size_t from = 0;
    for (std::size_t have = 0; have < text.size();) {
        have = std::min(text.size(), have + piece);
        while (auto event = splitter.next(std::string_view(text).substr(from, have - from))) {
            seen.push_back({event->kind, std::string(event->data)});
            from += event->size;
        }
    }
    return seen;
}

TEST(Sse, EverySplitAndBothLineEndsGiveTheSameEvents) {
    std::string text =
        "event: message_start\ndata: {\"type\":\"message_start\"}\n\n: comment\n\nevent: ping\ndata: {}\n\n"
        "event: content_block_delta\ndata: {\"a\":1}\n\nevent: error\ndata: {\"e\":2}\n\nevent: message_stop\ndata: {}\n\n";
    std::string crlf;
    for (char c : text) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
    std::vector<Seen> expected = {
        {SseKind::kMessageStart, "{\"type\":\"message_start\"}"},
        {SseKind::kComment, ""},
        {SseKind::kPing, "{}"},
        {SseKind::kContent, "{\"a\":1}"},
        {SseKind::kError, "{\"e\":2}"},
        {SseKind::kMessageStop, "{}"},
    };
    for (std::size_t piece = 1; piece <= crlf.size(); ++piece) {
        EXPECT_EQ(split(text, piece), expected) << piece;
        EXPECT_EQ(split(crlf, piece), expected) << piece;
    }
}

TEST(Sse, WithoutANameTheDataSaysTheKind) {
    EXPECT_EQ(read_event("data: {\"type\":\"message_stop\"}\n\n").kind, SseKind::kMessageStop);
    EXPECT_EQ(read_event("data: {\"type\": \"error\", \"error\":{}}\n\n").kind, SseKind::kError);
    EXPECT_EQ(read_event("data: {\"x\":\"ping\"}\n\n").kind, SseKind::kContent);
    EXPECT_EQ(read_event("data: not json\n\n").kind, SseKind::kContent);
}

TEST(Sse, TextThatSpeaksOfErrorsIsContent) {
    SseEvent event = read_event(
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"event: error\"}}\n\n"
    );
    EXPECT_EQ(event.kind, SseKind::kContent);
}

TEST(Sse, AnEventWithoutItsEndIsNotOne) {
    SseSplitter splitter;
    EXPECT_FALSE(splitter.next("event: ping\ndata: {}\n"));
    EXPECT_FALSE(splitter.next("event: ping\ndata: {}\n"));
    EXPECT_TRUE(splitter.next("event: ping\ndata: {}\n\n"));
}

}  // namespace
}  // namespace balancer::wire
