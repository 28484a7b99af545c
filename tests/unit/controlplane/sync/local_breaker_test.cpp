#include "dataplane/control/local_breaker.hpp"

#include <gtest/gtest.h>

#include "model/from_proto.hpp"
#include "samples.hpp"

namespace balancer::dataplane {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

class LocalBreakerTest : public testing::Test {
  protected:
    LocalBreakerTest() { configure(samples::config({"a", "b"})); }

    void configure(const v1::ConfigSection& config) {
        Result<Compiled> compiled = compile_snapshot(samples::version(1, 1), config, {}, slots_);
        ASSERT_TRUE(compiled);
        snapshot_ = compiled->snapshot;
        breaker_.configure(*snapshot_);
    }

    bool fleet(
        v1::Circuit circuit,
        std::uint64_t generation,
        UnixMs until,
        std::uint32_t failures,
        std::uint64_t epoch = 1
    ) {
        v1::HealthSection section;
        v1::ProviderHealth& health = *section.add_providers();
        health.set_provider("a");
        health.set_etag("a-1");
        health.set_circuit(circuit);
        health.set_generation(generation);
        health.set_until_ms(until);
        health.set_failure_count(failures);
        health.set_cause("the fleet says so");
        return breaker_.fleet(section, epoch);
    }

    ProviderCondition a(UnixMs now) {
        auto view = breaker_.view(now);
        return *view->find(snapshot_->find_provider("a")->slot);
    }

    void open_locally() {
        breaker_.record(samples::failure("a", kNow), kNow);
        breaker_.record(samples::failure("a", kNow + 100), kNow + 100);
    }

    ProviderSlots slots_;
    std::shared_ptr<const Snapshot> snapshot_;
    LocalBreaker breaker_{slots_};
};

TEST_F(LocalBreakerTest, BenchesAtTheThreshold) {
    EXPECT_TRUE(breaker_.record(samples::failure("a", kNow), kNow));
    EXPECT_EQ(a(kNow).benched_until, 0);
    EXPECT_TRUE(a(kNow).watch_success);
    EXPECT_TRUE(breaker_.record(samples::failure("a", kNow + 100), kNow + 100));
    EXPECT_EQ(a(kNow + 100).benched_until, kNow + 100 + 60'000);
    EXPECT_EQ(a(kNow + 100).why, FailureClass::kOverloaded);
    EXPECT_NE(a(kNow + 100).cause.find("2 of 2"), std::string::npos);
    auto view = breaker_.view(kNow + 100);
    EXPECT_FALSE(view->benched(snapshot_->find_provider("b")->slot, kNow + 100));
}

TEST_F(LocalBreakerTest, ASuccessHeardHereLiftsTheRecordHere) {
    open_locally();
    EXPECT_TRUE(breaker_.record(samples::success("a", kNow + 500), kNow + 500));
    EXPECT_EQ(a(kNow + 500).benched_until, 0);
    EXPECT_FALSE(a(kNow + 500).watch_success);
}

TEST_F(LocalBreakerTest, TheLaterOfLocalAndFleetCounts) {
    open_locally();
    EXPECT_TRUE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 10'000, 2));
    EXPECT_EQ(a(kNow + 200).benched_until, kNow + 100 + 60'000);
    EXPECT_TRUE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 90'000, 3));
    EXPECT_EQ(a(kNow + 200).benched_until, kNow + 90'000);
    EXPECT_EQ(a(kNow + 200).cause, "the fleet says so");
    EXPECT_FALSE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 90'000, 3)) << "nothing new";
}

TEST_F(LocalBreakerTest, FleetFailuresMakeASuccessNews) {
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 1);
    EXPECT_TRUE(a(kNow).watch_success);
    EXPECT_EQ(a(kNow).benched_until, 0);
}

TEST_F(LocalBreakerTest, IgnoresAnotherProviderGeneration) {
    AttemptOutcome old = samples::failure("a", kNow);
    old.etag = "a-0";
    EXPECT_FALSE(breaker_.record(old, kNow));

    v1::ConfigSection changed = samples::config({"a", "b"});
    changed.mutable_providers(0)->set_etag("a-2");
    open_locally();
    configure(changed);
    EXPECT_EQ(a(kNow + 200).benched_until, 0) << "a new generation starts clean";
    EXPECT_FALSE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 90'000, 3));
    EXPECT_EQ(a(kNow + 200).benched_until, 0);
}

TEST_F(LocalBreakerTest, KeepsItsRecordOverAReload) {
    open_locally();
    configure(samples::config({"b", "a"}));
    EXPECT_GT(a(kNow + 200).benched_until, kNow);
}

TEST_F(LocalBreakerTest, AResetOfTheFleetVoidsTheLocalRecord) {
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0);
    open_locally();
    // The same generation again is no reset, nor is a circuit that closed with its failures
    // remembered.
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0);
    EXPECT_GT(a(kNow + 200).benched_until, 0);
    fleet(v1::CIRCUIT_CLOSED, 2, 0, 2);
    EXPECT_GT(a(kNow + 200).benched_until, 0);
    EXPECT_TRUE(fleet(v1::CIRCUIT_CLOSED, 3, 0, 0));
    EXPECT_EQ(a(kNow + 200).benched_until, 0);
}

TEST_F(LocalBreakerTest, AnotherEpochIsNoReset) {
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0, 1);
    open_locally();
    fleet(v1::CIRCUIT_CLOSED, 7, 0, 0, 2);
    EXPECT_GT(a(kNow + 200).benched_until, 0) << "a control plane that restarted knows nothing yet";
    fleet(v1::CIRCUIT_CLOSED, 8, 0, 0, 2);
    EXPECT_EQ(a(kNow + 200).benched_until, 0);
}

TEST_F(LocalBreakerTest, TellsWhenItIsNextOfUse) {
    EXPECT_FALSE(breaker_.next_expiry(kNow));
    open_locally();
    EXPECT_EQ(breaker_.next_expiry(kNow + 200), kNow + 100 + 60'000);
    UnixMs over = kNow + 100 + 60'000;
    EXPECT_TRUE(breaker_.age(over));
    EXPECT_EQ(a(over).benched_until, 0);
    EXPECT_TRUE(a(over).watch_success) << "the failures are remembered for longer";
    UnixMs forgotten = kNow + 100 + 300'000 + 1;
    EXPECT_EQ(breaker_.next_expiry(over), forgotten);
    EXPECT_TRUE(breaker_.age(forgotten));
    EXPECT_FALSE(a(forgotten).watch_success);
    EXPECT_FALSE(breaker_.next_expiry(forgotten));
}

TEST_F(LocalBreakerTest, AnOpenFleetCircuitEndsByItself) {
    fleet(v1::CIRCUIT_OPEN, 2, kNow + 5'000, 2);
    EXPECT_EQ(breaker_.next_expiry(kNow), kNow + 5'000);
    EXPECT_TRUE(breaker_.age(kNow + 5'000));
    EXPECT_EQ(a(kNow + 5'000).benched_until, 0);
}

}  // namespace
}  // namespace balancer::dataplane
