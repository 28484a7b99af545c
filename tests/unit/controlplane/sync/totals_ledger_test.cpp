#include "controlplane/health/totals_ledger.hpp"

#include <gtest/gtest.h>

#include "controlplane/publish/registry.hpp"
#include "controlplane/service/report_ledger.hpp"

namespace balancer::controlplane {
namespace {

TEST(TotalsLedgerTest, SumsCountersOverProcessesAndTakesRepeatsOnce) {
    TotalsLedger ledger;
    ledger.set_providers({"a"});
    auto told = [](std::uint64_t attempts, std::uint64_t overloaded) {
        google::protobuf::RepeatedPtrField<v1::Counters> counters;
        v1::Counters& item = *counters.Add();
        item.set_provider("a");
        item.set_attempts(attempts);
        (*item.mutable_failures())[v1::FAILURE_CLASS_OVERLOADED] = overloaded;
        return counters;
    };
    ledger.take("dp-1", "x", told(10, 1));
    ledger.take("dp-1", "x", told(15, 2));
    ledger.take("dp-1", "x", told(10, 1));  // overtaken on the way
    ledger.take("dp-1", "y", told(3, 0));   // the same replica after a restart
    ledger.take("dp-2", "z", told(100, 7));
    v1::ProviderTotals totals = ledger.totals("a");
    EXPECT_EQ(totals.attempts(), 118U);
    EXPECT_EQ(totals.failures().at(v1::FAILURE_CLASS_OVERLOADED), 9U);
    EXPECT_EQ(ledger.totals("b").attempts(), 0U);
}

TEST(TotalsLedgerTest, LosesNoCountsWhenTooManyProcessesAreKnown) {
    TotalsLedger ledger;
    ledger.set_providers({"a"});
    google::protobuf::RepeatedPtrField<v1::Counters> one;
    one.Add()->set_provider("a");
    one.Mutable(0)->set_attempts(1);
    std::size_t processes = TotalsLedger::kProcessesMax + 5;
    for (std::size_t i = 0; i < processes; ++i) {
        ledger.take("dp", "instance-" + std::to_string(i), one);
    }
    EXPECT_EQ(ledger.totals("a").attempts(), processes);
    EXPECT_GT(TotalsLedger::kProcessesMax, Publisher::Registry::kStreamsMax);
    // The first of them has been folded, and is there all the same.
    ledger.take("dp", "instance-0", one);
    EXPECT_EQ(ledger.totals("a").attempts(), processes);
    one.Mutable(0)->set_attempts(7);
    ledger.take("dp", "instance-0", one);
    EXPECT_EQ(ledger.totals("a").attempts(), processes + 6);
}

TEST(TotalsLedgerTest, KeepsNothingOfProvidersThatThereAreNot) {
    TotalsLedger ledger;
    ledger.set_providers({"a"});
    google::protobuf::RepeatedPtrField<v1::Counters> counters;
    for (const char* name : {"a", "invented"}) {
        counters.Add()->set_provider(name);
        counters.rbegin()->set_attempts(5);
    }
    ledger.take("dp-1", "x", counters);
    ledger.take("dp-2", "gone", counters);
    // What was kept of them would be seen as soon as there were such a provider.
    ledger.set_providers({"b", "invented"});
    EXPECT_EQ(ledger.totals("invented").attempts(), 0U);
    EXPECT_EQ(ledger.totals("a").attempts(), 0U);
    ledger.set_providers({"a", "b"});
    counters.Mutable(0)->set_attempts(7);
    ledger.take("dp-1", "x", counters);
    EXPECT_EQ(ledger.totals("a").attempts(), 7U);
}

TEST(ReportLedgerTest, TakesEachNumberOfAProcessOnce) {
    ReportLedger ledger;
    EXPECT_TRUE(ledger.take("x", 1));
    EXPECT_FALSE(ledger.take("x", 1));
    EXPECT_TRUE(ledger.take("x", 2));
    EXPECT_FALSE(ledger.take("x", 1));
    EXPECT_TRUE(ledger.take("y", 1));
}

}  // namespace
}  // namespace balancer::controlplane
