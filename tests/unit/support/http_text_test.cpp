#include "tests/support/http_text.hpp"

#include <gtest/gtest.h>

namespace balancer::tests {
namespace {

using State = BodyDecoder::State;

TEST(HttpText, KeepsHeaderLinesInWireOrder) {
    std::string_view bytes = "GET / HTTP/1.1\r\nB: 1\r\na:  2 \r\nB: 3\r\n\r\nrest";
    ASSERT_EQ(head_size(bytes), bytes.size() - 4);
    std::optional<HttpHead> head = parse_head(bytes.substr(0, *head_size(bytes)));
    ASSERT_TRUE(head.has_value());
    EXPECT_EQ(head->headers, (HeaderLines{{"B", "1"}, {"a", "2"}, {"B", "3"}}));
    EXPECT_EQ(header_or_empty(head->headers, "b"), "1");
    EXPECT_EQ(count_headers(head->headers, "b"), 2U);
}

TEST(HttpText, RefusesALineWithoutColon) {
    EXPECT_FALSE(parse_head("GET / HTTP/1.1\r\nnonsense\r\n\r\n").has_value());
}

TEST(HttpText, ReadsTheStatus) {
    EXPECT_EQ(status_of("HTTP/1.1 529 Overloaded"), 529U);
    EXPECT_EQ(status_of("\x16\x03 what"), 0U);
}

TEST(BodyDecoder, LeavesWhatFollowsAFixedBody) {
    BodyDecoder decoder = BodyDecoder::fixed(3);
    std::string inbound = "abcdef";
    std::string body;
    EXPECT_EQ(decoder.decode(inbound, body), State::kComplete);
    EXPECT_EQ(body, "abc");
    EXPECT_EQ(inbound, "def");
}

TEST(BodyDecoder, DecodesChunksAtEverySplit) {
    const std::string wire = "4;x=y\r\nabcd\r\n2\r\nef\r\n0\r\nTrailer: 1\r\n\r\nnext";
    for (std::size_t split = 0; split <= wire.size(); ++split) {
        BodyDecoder decoder = BodyDecoder::chunked();
        std::string inbound = wire.substr(0, split);
        std::string body;
        State state = decoder.decode(inbound, body);
        inbound += wire.substr(split);
        if (state == State::kMore) state = decoder.decode(inbound, body);
        EXPECT_EQ(state, State::kComplete) << split;
        EXPECT_EQ(body, "abcdef") << split;
        EXPECT_EQ(inbound, "next") << split;
    }
}

TEST(BodyDecoder, RefusesAChunkSizeThatIsNone) {
    BodyDecoder decoder = BodyDecoder::chunked();
    std::string inbound = "zz\r\n";
    std::string body;
    EXPECT_EQ(decoder.decode(inbound, body), State::kMalformed);
}

TEST(BodyDecoder, RefusesDataBeyondItsChunk) {
    BodyDecoder decoder = BodyDecoder::chunked();
    std::string inbound = "2\r\nabcd\r\n";
    std::string body;
    EXPECT_EQ(decoder.decode(inbound, body), State::kMalformed);
}

}  // namespace
}  // namespace balancer::tests
