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
        std::uint64_t epoch = 1,
        UnixMs now = kNow
    ) {
        v1::HealthSection section;
        v1::ProviderHealth& health = *section.add_providers();
        if (!lease_.probe_id().empty()) *health.mutable_probe() = lease_;
        health.set_resets(resets_);
        health.set_ramp_percent(10);
        health.set_provider("a");
        health.set_etag("a-1");
        health.set_circuit(circuit);
        health.set_generation(generation);
        health.set_until_ms(until);
        health.set_failure_count(failures);
        health.set_cause("the fleet says so");
        return breaker_.fleet(section, epoch, now);
    }

    ProviderCondition a() {
        auto view = breaker_.view();
        return *view->find(snapshot_->find_provider("a")->slot);
    }

    void lease(const std::string& dp_id, const std::string& probe_id, UnixMs expires_at) {
        lease_.set_dp_id(dp_id);
        lease_.set_probe_id(probe_id);
        lease_.set_epoch(1);
        lease_.set_expires_at_ms(expires_at);
    }

    // The end of the probe that `a` has a ticket for.
    bool probe_ends(bool ok, UnixMs at) {
        AttemptOutcome outcome = ok ? samples::success("a", at) : samples::failure("a", at);
        outcome.probe_id = a().probe->id();
        outcome.probe_epoch = a().probe->epoch();
        return breaker_.record(outcome, at);
    }

    void open_locally() {
        breaker_.record(samples::failure("a", kNow), kNow);
        breaker_.record(samples::failure("a", kNow + 100), kNow + 100);
    }

    ProviderSlots slots_;
    std::shared_ptr<const Snapshot> snapshot_;
    LocalBreaker breaker_{slots_, "dp-1", [] { return 0.5; }};
    v1::ProbeLease lease_;
    std::uint64_t resets_ = 0;
};

TEST_F(LocalBreakerTest, BenchesAtTheThreshold) {
    EXPECT_TRUE(breaker_.record(samples::failure("a", kNow), kNow));
    EXPECT_FALSE(a().benched);
    EXPECT_TRUE(a().watch_success);
    EXPECT_TRUE(breaker_.record(samples::failure("a", kNow + 100), kNow + 100));
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().benched_until, kNow + 100 + 60'000);
    EXPECT_EQ(a().why, FailureClass::kOverloaded);
    EXPECT_NE(a().cause.find("2 of 2"), std::string::npos);
    EXPECT_FALSE(breaker_.view()->benched(snapshot_->find_provider("b")->slot));
}

TEST_F(LocalBreakerTest, ASuccessHeardHereLiftsTheRecordHere) {
    open_locally();
    EXPECT_TRUE(breaker_.record(samples::success("a", kNow + 500), kNow + 500));
    EXPECT_FALSE(a().benched);
    EXPECT_FALSE(a().watch_success);
}

TEST_F(LocalBreakerTest, ARefusedKeyBenchesAtOnceAndALimitItsModelOnly) {
    AttemptOutcome refused = samples::failure("a", kNow);
    refused.failure = FailureClass::kAuth;
    EXPECT_TRUE(breaker_.record(refused, kNow));
    EXPECT_TRUE(a().benched);

    AttemptOutcome limited = samples::failure("b", kNow);
    limited.failure = FailureClass::kRateLimited;
    limited.model = "opus";
    limited.retry_at = kNow + 5'000;
    EXPECT_TRUE(breaker_.record(limited, kNow));
    auto view = breaker_.view();
    ProviderSlot b = snapshot_->find_provider("b")->slot;
    EXPECT_EQ(view->admit(b, "opus", 0).gate, Gate::kShut);
    EXPECT_EQ(view->admit(b, "haiku", 0).gate, Gate::kOpen);
    EXPECT_EQ(view->benched_until(b, "opus"), kNow + 5'000);
}

TEST_F(LocalBreakerTest, ModelsOfClientsMakingAreBounded) {
    AttemptOutcome overloaded = samples::failure("a", kNow);
    for (int i = 0; i < 1'000; ++i) {
        overloaded.model = "m" + std::to_string(i);
        breaker_.record(overloaded, kNow);
    }
    EXPECT_EQ(a().models.size(), LocalBreaker::kModelsMax);
    EXPECT_EQ(a().failure_count, 1U) << "the others are not told apart from the provider";
    EXPECT_TRUE(breaker_.age(kNow + 400'000));
    overloaded.model = "late";
    EXPECT_TRUE(breaker_.record(overloaded, kNow + 400'000)) << "old ones make room";
}

TEST_F(LocalBreakerTest, WhileTheFleetHasItOutItsTimeRules) {
    open_locally();
    EXPECT_TRUE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 90'000, 3));
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().benched_until, kNow + 90'000);
    EXPECT_EQ(a().cause, "the fleet says so");
    EXPECT_FALSE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 90'000, 3)) << "nothing new";
    // The time alone does not bring it back: somebody is to try it first.
    breaker_.age(kNow + 100'000);
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().probe, nullptr);
}

TEST_F(LocalBreakerTest, ATimeThatTheProviderToldHoldsWhateverTheFleetSays) {
    AttemptOutcome limited = samples::failure("a", kNow);
    limited.failure = FailureClass::kQuota;
    limited.retry_at = kNow + 50'000;
    breaker_.record(limited, kNow);
    lease("dp-1", "1-1", kNow + 30'000);
    fleet(v1::CIRCUIT_HALF_OPEN, 2, 0, 1);
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().probe, nullptr);
    EXPECT_EQ(a().benched_until, kNow + 50'000);
}

TEST_F(LocalBreakerTest, ALeaseThatComesInTheMomentOfItsEndIsUsed) {
    AttemptOutcome limited = samples::failure("a", kNow);
    limited.failure = FailureClass::kQuota;
    limited.retry_at = kNow + 1'000;
    breaker_.record(limited, kNow);
    lease("dp-1", "1-1", kNow + 31'000);
    fleet(v1::CIRCUIT_HALF_OPEN, 2, 0, 1, 1, kNow + 1'000);
    EXPECT_EQ(a().probe, nullptr);
    breaker_.age(kNow + 1'000);
    EXPECT_NE(a().probe, nullptr);
}

TEST_F(LocalBreakerTest, ALeaseIsForTheOneThatItNames) {
    fleet(v1::CIRCUIT_OPEN, 2, kNow + 1'000, 2);
    lease("dp-2", "1-1", kNow + 30'000);
    fleet(v1::CIRCUIT_HALF_OPEN, 3, 0, 2);
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().probe, nullptr);
    lease("dp-1", "1-2", kNow + 60'000);
    EXPECT_TRUE(fleet(v1::CIRCUIT_HALF_OPEN, 3, 0, 2));
    ASSERT_NE(a().probe, nullptr);
    EXPECT_EQ(a().probe->id(), "1-2");
    std::shared_ptr<ProbeTicket> before = a().probe;
    fleet(v1::CIRCUIT_HALF_OPEN, 3, 0, 4);
    EXPECT_EQ(a().probe, before) << "told again, it is the same one";
    EXPECT_EQ(breaker_.next_expiry(kNow), kNow + 30'000) << "from when it came, by this clock";
    EXPECT_TRUE(breaker_.age(kNow + 30'000));
    EXPECT_EQ(a().probe, nullptr) << "an expired lease lets nobody through";
    fleet(v1::CIRCUIT_HALF_OPEN, 3, 0, 5, 1, kNow + 31'000);
    EXPECT_EQ(a().probe, nullptr) << "nor does it when it is told of again";
    EXPECT_TRUE(a().benched);
}

TEST_F(LocalBreakerTest, AProbesEndCountsOnceAndForItsOwnTicketOnly) {
    lease("dp-1", "1-1", kNow + 30'000);
    fleet(v1::CIRCUIT_HALF_OPEN, 3, 0, 2);
    AttemptOutcome stranger = samples::failure("a", kNow + 100);
    stranger.probe_id = "0-9";
    stranger.probe_epoch = 1;
    EXPECT_FALSE(breaker_.record(stranger, kNow + 100));
    stranger.probe_id = "1-1";
    stranger.probe_epoch = 0;
    EXPECT_FALSE(breaker_.record(stranger, kNow + 100)) << "of another control plane's life";
    std::shared_ptr<ProbeTicket> ticket = a().probe;
    EXPECT_TRUE(probe_ends(true, kNow + 200));
    EXPECT_EQ(a().probe, nullptr);
    EXPECT_TRUE(a().benched) << "until the fleet says otherwise";
    fleet(v1::CIRCUIT_HALF_OPEN, 3, 0, 5);
    EXPECT_EQ(a().probe, nullptr) << "one lease is one ticket";
    AttemptOutcome again = samples::success("a", kNow + 300);
    again.probe_id = ticket->id();
    again.probe_epoch = ticket->epoch();
    EXPECT_FALSE(breaker_.record(again, kNow + 300));
    lease_.Clear();
    EXPECT_TRUE(fleet(v1::CIRCUIT_RAMP, 4, 0, 0));
    EXPECT_FALSE(a().benched);
    EXPECT_EQ(a().admit_percent, 10U);
}

TEST_F(LocalBreakerTest, IgnoresAnotherProviderGeneration) {
    AttemptOutcome old = samples::failure("a", kNow);
    old.etag = "a-0";
    EXPECT_FALSE(breaker_.record(old, kNow));

    v1::ConfigSection changed = samples::config({"a", "b"});
    changed.mutable_providers(0)->set_etag("a-2");
    open_locally();
    configure(changed);
    EXPECT_FALSE(a().benched) << "a new generation starts clean";
    EXPECT_FALSE(fleet(v1::CIRCUIT_OPEN, 2, kNow + 90'000, 3));
    EXPECT_FALSE(a().benched);
}

TEST_F(LocalBreakerTest, KeepsItsRecordOverAReload) {
    open_locally();
    configure(samples::config({"b", "a"}));
    EXPECT_TRUE(a().benched);
}

TEST_F(LocalBreakerTest, TheFleetsProofVoidsTheLocalRecord) {
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0);
    open_locally();
    // The same generation again proves nothing, nor does a circuit that closed with its failures
    // remembered.
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0);
    EXPECT_TRUE(a().benched);
    fleet(v1::CIRCUIT_CLOSED, 2, 0, 2);
    EXPECT_TRUE(a().benched);
    EXPECT_TRUE(fleet(v1::CIRCUIT_CLOSED, 3, 0, 0));
    EXPECT_FALSE(a().benched);
}

TEST_F(LocalBreakerTest, AnOperatorsResetVoidsEverything) {
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0);
    open_locally();
    AttemptOutcome limited = samples::failure("a", kNow);
    limited.failure = FailureClass::kRateLimited;
    limited.model = "opus";
    limited.retry_at = kNow + 5'000;
    breaker_.record(limited, kNow);
    ++resets_;
    EXPECT_TRUE(fleet(v1::CIRCUIT_CLOSED, 1, 0, 0));
    EXPECT_FALSE(a().benched);
    EXPECT_TRUE(a().models.empty());
}

TEST_F(LocalBreakerTest, AControlPlaneThatHasRestartedVoidsNothing) {
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0, 1);
    open_locally();
    fleet(v1::CIRCUIT_CLOSED, 7, 0, 0, 2);
    EXPECT_TRUE(a().benched) << "it knows nothing yet";
    fleet(v1::CIRCUIT_CLOSED, 8, 0, 0, 2);
    EXPECT_FALSE(a().benched);
    // What the fleet held when it went becomes this data plane's own.
    fleet(v1::CIRCUIT_OPEN, 9, kNow + 20'000, 2, 2);
    fleet(v1::CIRCUIT_CLOSED, 1, 0, 0, 3);
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().benched_until, kNow + 20'000);
    EXPECT_EQ(breaker_.next_expiry(kNow), kNow + 20'000);
    breaker_.age(kNow + 20'000);
    EXPECT_NE(a().probe, nullptr);
}

TEST_F(LocalBreakerTest, AfterItsTimeOneRequestTriesAndTheSessionsComeBackBySteps) {
    EXPECT_FALSE(breaker_.next_expiry(kNow));
    open_locally();
    UnixMs over = kNow + 100 + 60'000;
    EXPECT_EQ(breaker_.next_expiry(kNow + 200), over);
    EXPECT_TRUE(breaker_.age(over));
    ASSERT_NE(a().probe, nullptr);
    EXPECT_TRUE(a().benched) << "for all but the one with the ticket";
    EXPECT_TRUE(probe_ends(true, over + 500));
    EXPECT_FALSE(a().benched);
    EXPECT_EQ(a().admit_percent, 10U);
    breaker_.age(over + 500 + 5'000);
    EXPECT_EQ(a().admit_percent, 50U);
    breaker_.age(over + 500 + 10'000);
    EXPECT_EQ(a().admit_percent, 100U);
}

TEST_F(LocalBreakerTest, AFailedProbeBenchesForLonger) {
    open_locally();
    UnixMs over = kNow + 100 + 60'000;
    breaker_.age(over);
    EXPECT_TRUE(probe_ends(false, over + 500));
    EXPECT_TRUE(a().benched);
    EXPECT_EQ(a().probe, nullptr);
    EXPECT_EQ(a().benched_until, over + 500 + 108'000) << "twice, less a tenth by chance";
    EXPECT_NE(a().cause.find("the probe failed"), std::string::npos);
}

TEST_F(LocalBreakerTest, AProbeThatMeetsALimitOnAModelBringsTheProviderBack) {
    open_locally();
    UnixMs over = kNow + 100 + 60'000;
    breaker_.age(over);
    ASSERT_NE(a().probe, nullptr);
    AttemptOutcome limited = samples::failure("a", over + 500);
    limited.failure = FailureClass::kRateLimited;
    limited.counted = false;
    limited.model = "opus";
    limited.retry_at = over + 3'000'000;
    limited.probe_id = a().probe->id();
    limited.probe_epoch = a().probe->epoch();
    EXPECT_TRUE(breaker_.record(limited, over + 500));
    EXPECT_FALSE(a().benched);
    EXPECT_EQ(a().admit_percent, 10U);
    ASSERT_EQ(a().models.size(), 1U);
    EXPECT_TRUE(a().models[0].condition.benched);
    EXPECT_EQ(a().models[0].condition.benched_until, over + 3'000'000);
}

TEST_F(LocalBreakerTest, AProbeThatNeverEndsIsFollowedByAnother) {
    open_locally();
    UnixMs over = kNow + 100 + 60'000;
    breaker_.age(over);
    std::shared_ptr<ProbeTicket> first = a().probe;
    first->take();
    EXPECT_EQ(breaker_.next_expiry(over), over + 30'000);
    breaker_.age(over + 30'000);
    ASSERT_NE(a().probe, nullptr);
    EXPECT_NE(a().probe, first);
    EXPECT_FALSE(a().probe->taken());
}

TEST_F(LocalBreakerTest, WithoutAControlPlaneItProbesAloneAndNotAtOnce) {
    fleet(v1::CIRCUIT_OPEN, 2, kNow + 5'000, 2);
    breaker_.connected(false, kNow);
    // Half of the longest delay, which is 5 s at this cooldown.
    EXPECT_EQ(breaker_.next_expiry(kNow), kNow + 7'500);
    EXPECT_FALSE(breaker_.age(kNow + 5'000));
    EXPECT_EQ(a().probe, nullptr);
    EXPECT_TRUE(breaker_.age(kNow + 7'500));
    ASSERT_NE(a().probe, nullptr);
    EXPECT_TRUE(probe_ends(true, kNow + 8'000));
    EXPECT_FALSE(a().benched);
    // It is back, and has not heard yet.
    breaker_.connected(true, kNow + 9'000);
    EXPECT_TRUE(fleet(v1::CIRCUIT_OPEN, 4, kNow + 60'000, 2, 1, kNow + 9'000));
    EXPECT_TRUE(a().benched);
}

TEST_F(LocalBreakerTest, ARampGoesOnWithoutTheControlPlaneAndLiftsNoBenchOfItsOwn) {
    fleet(v1::CIRCUIT_RAMP, 2, 0, 0);
    EXPECT_EQ(a().admit_percent, 10U);
    breaker_.connected(false, kNow);
    EXPECT_EQ(a().admit_percent, 10U);
    breaker_.age(kNow + 5'000);
    breaker_.age(kNow + 10'000);
    EXPECT_EQ(a().admit_percent, 100U);
    breaker_.connected(true, kNow + 10'000);
    fleet(v1::CIRCUIT_RAMP, 4, 0, 0);
    open_locally();
    breaker_.connected(false, kNow + 200);
    EXPECT_TRUE(a().benched);
}

TEST_F(LocalBreakerTest, AReturnOfTheControlPlaneEndsTheLoneWay) {
    fleet(v1::CIRCUIT_OPEN, 2, kNow + 5'000, 2);
    breaker_.connected(false, kNow);
    breaker_.connected(true, kNow + 100);
    breaker_.age(kNow + 100'000);
    EXPECT_EQ(a().probe, nullptr);
    EXPECT_TRUE(a().benched);
}

// The control plane's clock is an hour ahead of ours, or behind it.
TEST_F(LocalBreakerTest, ReadsTheFleetsTimesByTheSendersClock) {
    std::uint64_t generation = 1;
    for (UnixMs skew : {3'600'000LL, -3'600'000LL}) {
        v1::HealthSection section;
        v1::ProviderHealth& health = *section.add_providers();
        health.set_provider("a");
        health.set_etag("a-1");
        health.set_circuit(v1::CIRCUIT_OPEN);
        health.set_generation(++generation);
        health.set_until_ms(kNow + skew + 30'000);
        breaker_.fleet(section, 1, kNow, kNow + skew);
        EXPECT_EQ(a().benched_until, kNow + 30'000);
    }
}

TEST_F(LocalBreakerTest, NoBenchIsLongerThanTheLongest) {
    fleet(v1::CIRCUIT_OPEN, 2, kNow + 7 * 3'600'000, 2);
    EXPECT_EQ(a().benched_until, kNow + kBenchMax.count());
}

TEST_F(LocalBreakerTest, ABenchKeepsItsLengthWhenTheClockIsSet) {
    for (UnixMs step : {3'600'000LL, -3'600'000LL}) {
        AttemptOutcome outcome = samples::failure("a", kNow);
        outcome.failure = FailureClass::kAuth;
        ASSERT_TRUE(breaker_.record(outcome, kNow));
        ASSERT_TRUE(a().benched);
        UnixMs until = a().benched_until;
        breaker_.shift(Milliseconds(step));
        EXPECT_EQ(a().benched_until, until + step);
        breaker_.age(until + step - 1);
        EXPECT_FALSE(a().probe);
        breaker_.age(until + step);
        EXPECT_TRUE(a().probe);
        breaker_.configure(*std::make_shared<Snapshot>());
        breaker_.configure(*snapshot_);
    }
}

}  // namespace
}  // namespace balancer::dataplane
