// Sticky table, retry budget, buffers, sweep, what is said where tokens could not be counted.
#include <gtest/gtest.h>

#include <cstring>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/exchange/body_pace.hpp"
#include "dataplane/exchange/exchange.hpp"
#include "dataplane/retry_budget.hpp"
#include "dataplane/sticky_table.hpp"
#include "dataplane/sweep.hpp"
#include "dataplane/telemetry/log_allowance.hpp"
#include "dataplane/wire/convert/conversion.hpp"

namespace balancer::dataplane {
namespace {

SteadyTime at(std::int64_t ms) { return SteadyTime(Milliseconds(ms)); }

TEST(StickyTable, RemembersForAWhileAndNotForOthers) {
    StickyTable table;
    std::uint16_t provider = StickyTable::provider_hash("alpha");
    SessionKey key = 0x1234'5678'9abc'def0;
    EXPECT_EQ(table.find(key, at(1'000'000), Milliseconds(300'000)), 0);
    table.put(key, provider, at(1'000'000));
    EXPECT_EQ(table.find(key, at(1'299'000), Milliseconds(300'000)), provider);
    EXPECT_EQ(table.find(key, at(1'302'000), Milliseconds(300'000)), 0);
    // The same place, another session: told apart by the key's other bits.
    EXPECT_EQ(table.find(key ^ (1ULL << 60), at(1'000'000), Milliseconds(300'000)), 0);
    EXPECT_NE(StickyTable::provider_hash("alpha"), StickyTable::provider_hash("beta"));
}

TEST(RetryBudget, IsAShareOfTheTrafficWithAFloor) {
    RetryBudget budget;
    SteadyTime now = steady_now();
    int allowed = 0;
    while (budget.take(now, 20, 1)) ++allowed;
    EXPECT_EQ(allowed, 10);  // one a second over ten seconds
    for (int i = 0; i < 100; ++i) budget.request(now);
    while (budget.take(now, 20, 1)) ++allowed;
    EXPECT_EQ(allowed, 30);
    EXPECT_FALSE(budget.take(now + std::chrono::seconds(5), 20, 1));
    EXPECT_TRUE(budget.take(now + std::chrono::seconds(11), 20, 1));
    EXPECT_FALSE(RetryBudget().take(now, 0, 0));
}

TEST(NotCounted, ForWantOfMemoryIsOursAndARetryMayDo) {
    ErrorCode no_memory = make_error_code(boost::system::errc::not_enough_memory);
    LocalFailure failure = not_counted(Error{no_memory, "std::bad_alloc"});
    EXPECT_EQ(failure.outcome, Outcome::kOverloaded);
    EXPECT_EQ(failure.error.status, 529u);
    EXPECT_EQ(failure.error.type, "overloaded_error");
    EXPECT_TRUE(failure.error.retry);
    EXPECT_GT(failure.error.retry_after_seconds, 0);
    failure = not_counted(invalid("messages: at least one message is required"));
    EXPECT_EQ(failure.outcome, Outcome::kBadRequest);
    EXPECT_EQ(failure.error.status, 400u);
    EXPECT_FALSE(failure.error.retry);
    EXPECT_EQ(not_counted(wire::convert::not_capable("documents are not counted")).error.status, 501u);
}

TEST(BufferPool, RecyclesAndGrowsWithoutLosingBytes) {
    BufferPool pool;
    const char* first = nullptr;
    {
        Buffer buffer = pool.take(5'000);
        EXPECT_EQ(buffer.capacity(), 8'192u);
        first = buffer.data();
        std::memcpy(buffer.data(), "abc", 3);
        buffer.resize(3);
        buffer.grow(100'000);
        EXPECT_EQ(buffer.view(), "abc");
        EXPECT_EQ(pool.bytes_out(), 131'072u);
    }
    EXPECT_EQ(pool.bytes_out(), 0u);
    EXPECT_EQ(pool.take(8'192).data(), first);
    Buffer one = pool.take(1);
    Buffer two = std::move(one);
    EXPECT_FALSE(one);
    EXPECT_TRUE(two);
}

TEST(BodyPace, AStallOrATrickleEndsAndASteadySenderDoesNot) {
    SteadyTime began{std::chrono::hours(1)};
    EXPECT_EQ(next_byte_due(began, began, 0), began + kBodyStallMax);
    // 100 s later, with a few bytes: over.
    SteadyTime later = began + std::chrono::seconds(100);
    EXPECT_LT(next_byte_due(began, later, 100), later);
    // With what the pace asks for, and with far more: a stall's time from now on, and no longer.
    EXPECT_EQ(next_byte_due(began, later, 100 * kBodyBytesPerSecondMin), later + kBodyStallMax);
    EXPECT_EQ(next_byte_due(began, later, 60U << 20), later + kBodyStallMax);
}

TEST(LogAllowance, LeavesOutWhatIsTooMuchAndSaysHowMuch) {
    LogAllowance allowance;
    SteadyTime now{std::chrono::hours(1)};
    for (unsigned i = 0; i < LogAllowance::kPerSecond; ++i) EXPECT_EQ(allowance.take(now), 0u);
    for (int i = 0; i < 7; ++i) EXPECT_FALSE(allowance.take(now + Milliseconds(999)));
    EXPECT_EQ(allowance.take(now + Milliseconds(1'000)), 7u);
    EXPECT_EQ(allowance.take(now + Milliseconds(1'001)), 0u);
}

TEST(Sweep, EntriesFallDueOnceAndMayArmAgain) {
    boost::asio::io_context context;
    Sweep sweep(context);
    int fired = 0;
    int never = 0;
    SweepEntry* self = nullptr;
    SweepEntry entry(sweep, [&] {
        if (++fired < 3) self->arm(steady_now());
        if (fired == 3) sweep.stop();
    });
    self = &entry;
    SweepEntry other(sweep, [&] { ++never; });
    { SweepEntry gone(sweep, [&] { ++never; }); }
    entry.arm(steady_now());
    sweep.start([] {});
    context.run_for(std::chrono::seconds(5));
    EXPECT_EQ(fired, 3);
    EXPECT_EQ(never, 0);
}

}  // namespace
}  // namespace balancer::dataplane
