#include "dataplane/wire/chunked.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace balancer::wire {
namespace {

// Decodes `wire` in pieces that end at `cuts`; the body, or "BAD"; `state` is the last one.
std::string decode(const std::string& wire, std::size_t piece, ChunkDecoder::State& state) {
    ChunkDecoder decoder;
    std::string body;
    state = ChunkDecoder::State::kMore;
    for (std::size_t at = 0; at < wire.size() && state == ChunkDecoder::State::kMore; at += piece) {
        std::string part = wire.substr(at, piece);
        ChunkDecoder::Step step = decoder.decode(part.data(), part.size());
        state = step.state;
        if (state == ChunkDecoder::State::kBad) return "BAD";
        body.append(part, 0, step.body);
    }
    return body;
}

TEST(Chunked, EverySplitGivesTheSameBody) {
    std::string wire = "5\r\nhello\r\n1;name=\"v\"\r\n \r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
        ChunkDecoder::State state;
        EXPECT_EQ(decode(wire, piece, state), "hello 0123456789") << piece;
        EXPECT_EQ(state, ChunkDecoder::State::kDone);
    }
}

TEST(Chunked, WhatFollowsTheLastChunkIsNotTaken) {
    std::string wire = "1\r\na\r\n0\r\n\r\nGET /";
    ChunkDecoder decoder;
    ChunkDecoder::Step step = decoder.decode(wire.data(), wire.size());
    EXPECT_EQ(step.state, ChunkDecoder::State::kDone);
    EXPECT_EQ(wire.size() - step.consumed, 5u);
}

TEST(Chunked, RefusesMalformedChunks) {
    for (const char* wire : {
             "\r\n", "x\r\n", "-1\r\n", "+1\r\na", " 1\r\na", "1 \r\na", "0x1\r\na", "1\na", "1\r\nab", "1\r\na\n",
             "1\r\na\rb", "1;x\ny", "1000000000000000\r\n", "FFFFFFFFFFFFFFFFF\r\n", "0\r\nA: b\n\r\n",
         }) {
        ChunkDecoder::State state;
        EXPECT_EQ(decode(wire, 1, state), "BAD") << wire;
        EXPECT_EQ(decode(wire, 64, state), "BAD") << wire;
    }
}

TEST(Chunked, ExtensionsAndTrailersAreBounded) {
    ChunkDecoder::State state;
    EXPECT_EQ(decode("1;" + std::string(20'000, 'x') + "\r\na", 4096, state), "BAD");
    EXPECT_EQ(decode("0\r\n" + std::string(20'000, 'x'), 4096, state), "BAD");
}

TEST(Chunked, WhatIsWrittenIsRead) {
    std::mt19937 random(7);
    for (std::size_t size : {1u, 9u, 15u, 16u, 255u, 4096u, 70'000u}) {
        std::string buffer(kChunkPrefixMax, '?');
        for (std::size_t i = 0; i < size; ++i) buffer.push_back(static_cast<char>(random()));
        std::size_t prefix = write_chunk_prefix(buffer.data() + kChunkPrefixMax, size);
        ASSERT_LE(prefix, kChunkPrefixMax);
        std::string wire = buffer.substr(kChunkPrefixMax - prefix) + "\r\n" + std::string(kLastChunk);
        ChunkDecoder::State state;
        EXPECT_EQ(decode(wire, 1000, state), buffer.substr(kChunkPrefixMax));
        EXPECT_EQ(state, ChunkDecoder::State::kDone);
    }
}

}  // namespace
}  // namespace balancer::wire
