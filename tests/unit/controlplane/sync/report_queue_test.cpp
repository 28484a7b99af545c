#include "dataplane/control/report_queue.hpp"

#include <gtest/gtest.h>

#include "dataplane/control/backoff.hpp"

namespace balancer::dataplane {
namespace {

v1::Signal numbered(std::int64_t number) {
    v1::Signal signal;
    signal.set_at_ms(number);
    return signal;
}

TEST(ReportQueueTest, SendsTheSameReportUntilItIsAcknowledged) {
    ReportQueue queue("dp", "instance");
    EXPECT_FALSE(queue.has_news());
    queue.push(numbered(1));
    v1::ReportRequest first = queue.next({});
    queue.push(numbered(2));
    v1::ReportRequest again = queue.next({});
    EXPECT_EQ(again.report_seq(), first.report_seq());
    EXPECT_EQ(again.signals_size(), 1);
    EXPECT_FALSE(queue.acknowledge(first.report_seq() + 1));
    EXPECT_TRUE(queue.acknowledge(first.report_seq()));
    EXPECT_FALSE(queue.acknowledge(first.report_seq()));

    v1::ReportRequest second = queue.next({});
    EXPECT_EQ(second.report_seq(), first.report_seq() + 1);
    EXPECT_EQ(second.signals(0).at_ms(), 2);
}

TEST(ReportQueueTest, KeepsTheNewestAndCountsWhatItDrops) {
    ReportQueue queue("dp", "instance");
    int dropped = 0;
    int pushed = static_cast<int>(ReportQueue::kSignalsMax) + 30;
    for (int i = 0; i < pushed; ++i) dropped += queue.push(numbered(i)) ? 0 : 1;
    EXPECT_EQ(dropped, 30);
    const v1::ReportRequest& report = queue.next({});
    EXPECT_EQ(report.signals_dropped(), 30U);
    EXPECT_EQ(report.signals(0).at_ms(), 30);
    EXPECT_EQ(report.signals_size(), ReportQueue::kSignalsPerReport);
}

TEST(ReportQueueTest, AReportThatCannotBeTakenHoldsUpNobody) {
    ReportQueue queue("dp", "instance");
    queue.push(numbered(1));
    queue.push(numbered(2));
    std::uint64_t refused = queue.next({}).report_seq();
    queue.push(numbered(3));
    queue.give_up();
    const v1::ReportRequest& report = queue.next({});
    EXPECT_EQ(report.report_seq(), refused + 1);
    EXPECT_EQ(report.signals(0).at_ms(), 3);
    EXPECT_EQ(report.signals_dropped(), 2U);
}

TEST(ReportQueueTest, CarriesTotals) {
    ReportQueue queue("dp", "instance");
    ProviderTotals totals;
    totals.provider = "a";
    totals.attempts = 5;
    totals.failures[static_cast<std::size_t>(FailureClass::kTimeout)] = 2;
    const v1::ReportRequest& report = queue.next({totals});
    EXPECT_EQ(report.dp_id(), "dp");
    EXPECT_EQ(report.counters(0).attempts(), 5U);
    EXPECT_EQ(report.counters(0).failures().at(v1::FAILURE_CLASS_TIMEOUT), 2U);
    EXPECT_EQ(report.counters(0).failures_size(), 1);
}

TEST(BackoffTest, GrowsToItsLimitAndStartsAnew) {
    Backoff backoff(1);
    Milliseconds longest{0};
    for (int i = 0; i < 200; ++i) {
        Milliseconds wait = backoff.next();
        EXPECT_GE(wait, Backoff::kShortest);
        EXPECT_LE(wait, Backoff::kLongest);
        longest = std::max(longest, wait);
    }
    EXPECT_GT(longest, Milliseconds(4'000));
    backoff.reset();
    EXPECT_LE(backoff.next(), Milliseconds(200));
}

}  // namespace
}  // namespace balancer::dataplane
