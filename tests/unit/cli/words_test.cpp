#include "cli/words.hpp"

#include <gtest/gtest.h>

namespace balancer::cli {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

TEST(Words, TimesAreTheLargestWholeUnit) {
    EXPECT_EQ(ago(0, kNow), "never");
    EXPECT_EQ(ago(kNow + 5000, kNow), "now");
    EXPECT_EQ(ago(kNow - 59'999, kNow), "59s ago");
    EXPECT_EQ(ago(kNow - 180'000, kNow), "3m ago");
    EXPECT_EQ(ago(kNow - 7'200'000, kNow), "2h ago");
    EXPECT_EQ(ago(kNow - 5LL * 86'400'000, kNow), "5d ago");
}

TEST(Words, VersionsAreOrderedInsideOneStore) {
    auto version = [](const char* store, std::uint64_t epoch, std::uint64_t seq) {
        v1::Version out;
        out.set_store_uuid(store);
        out.set_epoch(epoch);
        out.set_seq(seq);
        return out;
    };
    EXPECT_TRUE(at_least(version("s", 1, 2), version("s", 1, 2)));
    EXPECT_TRUE(at_least(version("s", 2, 1), version("s", 1, 9)));
    EXPECT_FALSE(at_least(version("s", 1, 9), version("s", 2, 1)));
    EXPECT_FALSE(at_least(version("t", 3, 9), version("s", 2, 1)));
}

TEST(Words, CircuitsSayHowLong) {
    v1::ProviderView view;
    EXPECT_EQ(circuit_words(view, kNow).text, "-") << "disabled";
    view.mutable_provider()->set_enabled(true);
    EXPECT_EQ(circuit_words(view, kNow).text, "closed");
    view.mutable_health()->set_circuit(v1::CIRCUIT_OPEN);
    view.mutable_health()->set_until_ms(kNow + 24'100);
    EXPECT_EQ(circuit_words(view, kNow).text, "open, 25s left");
    EXPECT_EQ(circuit_words(view, kNow + 30'000).text, "open");
    view.mutable_health()->set_circuit(v1::CIRCUIT_HALF_OPEN);
    EXPECT_EQ(circuit_words(view, kNow).text, "half_open");
}

TEST(Words, ClassesOfANewerControlPlaneHaveANameToo) {
    EXPECT_EQ(class_words(6), "rate_limited");
    EXPECT_EQ(class_words(60), "class_60");
}

TEST(Words, ProblemsPointAtThePlace) {
    v1::ConfigProblem problem;
    problem.set_file("/abs/c.yaml");
    problem.set_line(12);
    problem.set_column(5);
    problem.set_path("providers[2].auth_typ");
    problem.set_message("unknown key");
    problem.set_suggestion("did you mean 'auth_type'?");
    EXPECT_EQ(
        problem_words(problem, "c.yaml"),
        "c.yaml:12:5: providers[2].auth_typ: unknown key; did you mean 'auth_type'?"
    );
    problem.set_line(0);
    EXPECT_EQ(
        problem_words(problem, ""),
        "/abs/c.yaml: providers[2].auth_typ: unknown key; did you mean 'auth_type'?"
    );
}

TEST(Words, VersionsAreShort) {
    v1::Version version;
    EXPECT_EQ(version_words(version), "-");
    version.set_epoch(3);
    version.set_seq(12);
    EXPECT_EQ(version_words(version), "3.12");
}

}  // namespace
}  // namespace balancer::cli
