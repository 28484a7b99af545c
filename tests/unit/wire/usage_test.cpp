#include "dataplane/wire/usage.hpp"

#include <gtest/gtest.h>

namespace balancer::wire {
namespace {

TEST(Usage, OfAnAnthropicStreamIsInItsFirstEventAndItsLast) {
    Usage usage;
    usage.look_into(
        "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":100,"
        "\"cache_read_input_tokens\":1000,\"output_tokens\":1}}}\n\n"
    );
    usage.look_into("event: content_block_delta\ndata: {\"delta\":{\"text\":\"\\\"usage\\\":{\\\"input_tokens\\\":7}\"}}\n\n");
    usage.look_into("event: message_delta\ndata: {\"usage\":{\"output_tokens\": 17}}\n\n");
    EXPECT_EQ(usage.input_tokens(), 1125U);
    EXPECT_EQ(usage.output_tokens(), 17U);
}

TEST(Usage, OfOpenaiIsCalledOtherwise) {
    Usage usage;
    usage.look_into(R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}})");
    EXPECT_EQ(usage.input_tokens(), 9U);
    EXPECT_EQ(usage.output_tokens(), 12U);
}

TEST(Usage, WhatIsNoNumberSaysNothing) {
    Usage usage;
    usage.look_into(R"({"usage":{"input_tokens":null,"output_tokens":99999999999999999999}})");
    usage.look_into("\"usage\":{\"input_tokens\":");
    usage.look_into("{}");
    EXPECT_EQ(usage.input_tokens(), 0U);
    EXPECT_EQ(usage.output_tokens(), 0U);
}

}  // namespace
}  // namespace balancer::wire
