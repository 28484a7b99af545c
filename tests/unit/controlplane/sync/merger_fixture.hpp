// A merger, and what data planes tell it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "controlplane/health/merger.hpp"
#include "controlplane/service/peer_bounds.hpp"
#include "model/from_proto.hpp"
#include "samples.hpp"

namespace balancer::controlplane {

inline constexpr UnixMs kNow = 1'700'000'000'000;

inline constexpr std::uint64_t kEpoch = 4;

class MergerTest : public testing::Test {
  protected:
    MergerTest() {
        merger_.configure(samples::config({"a", "b"}), kNow);
        members(1);
    }

    // dp-1 to dp-`count` are connected.
    void members(std::size_t count) {
        std::vector<Member> all;
        for (std::size_t i = 1; i <= count; ++i) all.push_back(member(i));
        merger_.set_members(std::move(all));
    }
    static Member member(std::size_t number, const std::string& instance = "x") {
        return {"dp-" + std::to_string(number), true, instance};
    }
    bool fail(const std::string& provider, UnixMs at, const char* dp_id = "dp-1") {
        return merger_.signal(dp_id, to_signal(samples::failure(provider, at)), at);
    }
    void fail_twice(const std::string& provider, UnixMs at, const char* dp_id = "dp-1") {
        fail(provider, at, dp_id);
        fail(provider, at + 100, dp_id);
    }
    // An answer of this class, not counted by the policy.
    bool answer(
        FailureClass failure,
        UnixMs at,
        const char* dp_id,
        const std::string& provider = "a",
        UnixMs retry_at = 0,
        const std::string& model = ""
    ) {
        AttemptOutcome outcome = samples::failure(provider, at);
        outcome.failure = failure;
        outcome.counted = failure != FailureClass::kRateLimited;
        outcome.retry_at = retry_at;
        outcome.model = model;
        return merger_.signal(dp_id, to_signal(outcome), at);
    }
    bool probe(bool ok, const v1::ProbeLease& lease, UnixMs at) {
        v1::Signal signal = to_signal(ok ? samples::success("a", at) : samples::failure("a", at));
        signal.set_probe_id(lease.probe_id());
        signal.set_probe_epoch(lease.epoch());
        return merger_.signal(lease.dp_id(), signal, at);
    }

    // As a report brings them, in one.
    bool report(const std::vector<AttemptOutcome>& outcomes, UnixMs at, const char* dp_id = "dp-1") {
        v1::ReportRequest report;
        for (const AttemptOutcome& outcome : outcomes) *report.add_signals() = to_signal(outcome);
        bound(report, at);
        bool changed = false;
        for (const v1::Signal& signal : report.signals()) {
            changed = merger_.signal(dp_id, signal, at) || changed;
        }
        return changed;
    }

    v1::ProviderHealth health(const std::string& provider, const std::string& model = "") {
        v1::HealthSection section = merger_.section();
        for (const v1::ProviderHealth& one : section.providers()) {
            if (one.provider() == provider && one.model() == model) return one;
        }
        return {};
    }
    v1::Circuit circuit(const std::string& provider, const std::string& model = "") {
        return health(provider, model).circuit();
    }

    Merger merger_{kEpoch, [] { return 0.0; }};
};

}  // namespace balancer::controlplane
