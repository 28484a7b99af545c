// Two workers' calls on one thread, and clients that read them.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/net.hpp"
#include "dataplane/coalesce/calls.hpp"

namespace balancer::dataplane {

inline constexpr wire::Signature kOne{1, std::uint64_t{1} << 20};
inline constexpr std::size_t kPlenty = 1U << 20;

inline Chunk chunk(std::string bytes) { return std::make_shared<const std::string>(std::move(bytes)); }

inline std::shared_ptr<const AnswerHead> head() {
    wire::ResponseHead head;
    head.status = 200;
    return std::make_shared<const AnswerHead>(head, "alpha");
}

inline wire::LocalError lost() {
    wire::LocalError error;
    error.message = "lost";
    return error;
}

// What a client of one reader has had.
struct Got {
    std::string bytes;
    Broadcast::Take last = Broadcast::Take::kWait;
    std::optional<AnswerEnd> end;
};

inline net::awaitable<void> read_all(CallReader& reader, Got& got) {
    std::vector<Chunk> chunks;
    while ((got.last = co_await reader.next(chunks, kPlenty)) == Broadcast::Take::kChunks) {
        for (const Chunk& one : chunks) got.bytes += *one;
    }
    if (reader.end() != nullptr) got.end = *reader.end();
}

// Two workers on one thread: run() until nothing is under way.
class CallsTest : public testing::Test {
  protected:
    CallsTest() {
        here_.meet({&here_, &there_});
        there_.meet({&here_, &there_});
    }

    void run() {
        for (std::size_t ran = 1; ran > 0;) {
            contexts_[0].restart();
            contexts_[1].restart();
            ran = contexts_[0].poll() + contexts_[1].poll();
        }
    }

    std::unique_ptr<CallReader> read(Calls& calls, net::io_context& context, std::shared_ptr<Call> call, Got& got) {
        auto reader = std::make_unique<CallReader>(calls, std::move(call));
        net::co_spawn(context, read_all(*reader, got), net::detached);
        return reader;
    }

    std::unique_ptr<CallReader> join(Calls& calls, Got& got, Calls::Asks asks = Calls::Asks::kFirst) {
        Calls::Found found = calls.find_or_begin(kOne, Calls::Look::kEverywhere, asks);
        EXPECT_FALSE(found.ours);
        net::io_context& context = &calls == &here_ ? contexts_[0] : contexts_[1];
        auto reader = read(calls, context, found.call, got);
        run();
        return reader;
    }

    std::unique_ptr<OwnCall> make(Calls& calls) {
        Calls::Found found = calls.find_or_begin(kOne, Calls::Look::kEverywhere);
        EXPECT_TRUE(found.ours);
        return std::make_unique<OwnCall>(calls, found.call);
    }

    void expect_nothing_left() {
        run();
        EXPECT_EQ(here_.listed(), 0U);
        EXPECT_EQ(there_.listed(), 0U);
        EXPECT_EQ(here_.mirrors(), 0U);
        EXPECT_EQ(there_.mirrors(), 0U);
        EXPECT_EQ(claims_.held(), 0U);
    }

    net::io_context contexts_[2];
    ClaimTable claims_;
    Calls here_{contexts_[0], claims_, 0};
    Calls there_{contexts_[1], claims_, 1};
};

}  // namespace balancer::dataplane
