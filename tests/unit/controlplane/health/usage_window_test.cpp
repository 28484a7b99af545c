#include "controlplane/health/usage_window.hpp"

#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

class Window : public testing::Test {
  protected:
    Window() { usage_.set_providers({"a"}); }

    UsageWindow usage_;

    void tell(
        UnixMs at, std::uint64_t attempts, std::uint64_t failures = 0, const char* instance = "x"
    ) {
        google::protobuf::RepeatedPtrField<v1::Counters> counters;
        v1::Counters& item = *counters.Add();
        item.set_provider("a");
        item.set_attempts(attempts);
        (*item.mutable_failures())[v1::FAILURE_CLASS_TIMEOUT] = failures;
        (*item.mutable_failures())[v1::FAILURE_CLASS_CLIENT] = attempts - failures;
        usage_.take("dp-1", instance, counters, at);
    }
    std::uint64_t attempts(UnixMs now) { return usage_.recent("dp-1", "a", now).attempts; }
};

TEST_F(Window, BeginsWhereAProcessIsFirstHeard) {
    tell(kNow, 1'000'000);
    EXPECT_EQ(attempts(kNow), 0U);
    EXPECT_EQ(usage_.last_use("dp-1", "a"), 0);
    tell(kNow + 2'000, 1'000'007, 3);
    EXPECT_EQ(attempts(kNow + 2'000), 7U);
    EXPECT_EQ(usage_.recent("dp-1", "a", kNow + 2'000).failures, 3U) << "clients' faults are none";
    EXPECT_EQ(usage_.last_use("dp-1", "a"), kNow + 2'000);
    EXPECT_EQ(usage_.recent("dp-2", "a", kNow).attempts, 0U);
}

TEST_F(Window, ForgetsWhatIsOlderThanItIsLong) {
    for (int i = 0; i <= 60; ++i) tell(kNow + i * 2'000, static_cast<std::uint64_t>(i) * 10);
    EXPECT_EQ(attempts(kNow + 120'000), 150U);
    EXPECT_EQ(attempts(kNow + 130'000), 100U);
    EXPECT_EQ(attempts(kNow + 150'000), 0U) << "not heard since";
}

TEST_F(Window, TakesRepeatsAndOvertakenReportsAsNothing) {
    tell(kNow, 0);
    tell(kNow + 2'000, 10);
    tell(kNow + 4'000, 10);
    tell(kNow + 6'000, 4);
    EXPECT_EQ(attempts(kNow + 6'000), 10U);
}

TEST_F(Window, AnotherProcessBeginsAnew) {
    tell(kNow, 0);
    tell(kNow + 2'000, 10);
    tell(kNow + 4'000, 3, 0, "y");
    EXPECT_EQ(attempts(kNow + 4'000), 0U);
    tell(kNow + 6'000, 5, 0, "y");
    EXPECT_EQ(attempts(kNow + 6'000), 2U);
}

TEST_F(Window, AProviderThatIsNewInAKnownProcessCountsFromItsFirstUse) {
    usage_.take("dp-1", "x", {}, kNow);
    tell(kNow + 2'000, 8);
    EXPECT_EQ(attempts(kNow + 2'000), 8U);
}

// A roll-back of the configuration: the data plane never stopped counting.
TEST_F(Window, AProviderThatComesBackIsNotAllThatItEverWas) {
    tell(kNow, 0);
    tell(kNow + 2'000, 1'000'000, 1'000'000);
    usage_.set_providers({"b"});
    usage_.take("dp-1", "x", {}, kNow + 4'000);
    usage_.set_providers({"a", "b"});
    tell(kNow + 6'000, 1'000'003, 1'000'000);
    EXPECT_EQ(attempts(kNow + 6'000), 0U);
    tell(kNow + 8'000, 1'000'008, 1'000'001);
    EXPECT_EQ(attempts(kNow + 8'000), 5U);
    EXPECT_EQ(usage_.recent("dp-1", "a", kNow + 8'000).failures, 1U);
}

TEST_F(Window, KeepsCountingWhenTheClockIsSet) {
    UnixMs at = kNow;
    tell(at, 0);
    std::uint64_t total = 0;
    for (std::int64_t step : {3'600'000LL, -7'200'000LL}) {
        usage_.shift(Milliseconds(step));
        at += step + 2'000;
        tell(at, total += 10);
        EXPECT_EQ(attempts(at), total) << "all of it is of the last seconds";
    }
}

TEST_F(Window, ManyReportsInASecondCostOneSample) {
    tell(kNow, 0);
    for (int i = 1; i <= 1'000; ++i) tell(kNow + i, static_cast<std::uint64_t>(i));
    EXPECT_EQ(attempts(kNow + 1'000), 1'000U);
}

TEST_F(Window, KeepsNothingOfProvidersThatThereAreNot) {
    tell(kNow, 0);
    tell(kNow + 2'000, 10);
    google::protobuf::RepeatedPtrField<v1::Counters> invented;
    for (std::uint64_t attempts : {1U, 9U}) {
        invented.Clear();
        invented.Add()->set_provider("invented");
        invented.Mutable(0)->set_attempts(attempts);
        usage_.take("dp-1", "x", invented, kNow + 2'000);
    }
    usage_.touch("dp-1", "invented too", kNow + 2'000);
    // What was told of them would be seen as soon as there were such providers.
    usage_.set_providers({"a", "invented", "invented too"});
    EXPECT_EQ(usage_.recent("dp-1", "invented", kNow + 2'000).attempts, 0U);
    EXPECT_EQ(usage_.last_use("dp-1", "invented"), 0);
    EXPECT_EQ(usage_.last_use("dp-1", "invented too"), 0);
    EXPECT_EQ(attempts(kNow + 2'000), 10U);
    usage_.set_providers({"b"});
    usage_.set_providers({"a", "b"});
    EXPECT_EQ(attempts(kNow + 2'000), 0U) << "one that was taken away is forgotten";
}

TEST_F(Window, ASignalIsAUseBeforeTheCountersSaySo) {
    usage_.touch("dp-1", "a", kNow);
    EXPECT_EQ(usage_.last_use("dp-1", "a"), kNow);
    EXPECT_EQ(attempts(kNow), 0U);
    tell(kNow + 1'000, 5);
    EXPECT_EQ(usage_.last_use("dp-1", "a"), kNow);
    usage_.age(kNow + 31'001);
    EXPECT_EQ(usage_.last_use("dp-1", "a"), 0);
}

}  // namespace
}  // namespace balancer::controlplane
