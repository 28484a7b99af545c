#include "cli/command/explain_words.hpp"

#include <gtest/gtest.h>

namespace balancer::cli {
namespace {

constexpr UnixMs kNow = 1'700'000'000'000;

v1::CandidateRecord candidate(const char* provider, v1::CandidateRecord::Fate fate) {
    v1::CandidateRecord out;
    out.set_provider(provider);
    out.set_fate(fate);
    out.set_began_ms(-1);
    out.set_connect_ms(-1);
    out.set_first_byte_ms(-1);
    out.set_duration_ms(-1);
    return out;
}

v1::CandidateRecord failed(const char* provider) {
    v1::CandidateRecord out = candidate(provider, v1::CandidateRecord::FAILED);
    out.set_failure(v1::FAILURE_CLASS_OVERLOADED);
    out.set_http_status(529);
    out.set_why("Overloaded");
    return out;
}

v1::RequestRecord record(const char* outcome, std::uint32_t status, const char* provider = "") {
    v1::RequestRecord out;
    out.set_outcome(outcome);
    out.set_status(status);
    out.set_provider(provider);
    out.set_duration_ms(4'210);
    return out;
}

TEST(Story, SaysWhoFailedAndWhoAnswered) {
    v1::RequestRecord one = record("ok", 200, "beta");
    EXPECT_EQ(story(one), "beta answered with 200, 4.2 s in all.");
    *one.add_candidates() = failed("alpha");
    *one.add_candidates() = candidate("beta", v1::CandidateRecord::ANSWERED);
    EXPECT_EQ(story(one), "alpha failed (overloaded, 529), then beta answered with 200, 4.2 s in all.");
    one.set_panic(true);
    EXPECT_TRUE(story(one).starts_with("Every provider was benched, so all were tried all the same: alpha failed"));
}

TEST(Story, HasWordsForEveryEnd) {
    for (const char* outcome : {
             "upstream_error", "no_route", "no_healthy_upstream", "retry_budget", "stream_broken",
             "downstream_disconnect", "bad_request", "unauthorized", "too_large", "overloaded", "not_ready", "local",
             "shutdown",
         }) {
        std::string words = story(record(outcome, 503, "alpha"));
        EXPECT_EQ(words.find(outcome), std::string::npos) << words;
        EXPECT_EQ(words.back(), '.');
    }
    // One that a newer data plane may know.
    EXPECT_EQ(story(record("eaten", 418)), "It ended as eaten; the client got 418.");
}

TEST(Story, OfARequestThatIsUnderWay) {
    v1::RequestRecord one = record("", 0);
    one.set_phase("waits for the provider's answer");
    *one.add_candidates() = failed("alpha");
    *one.add_candidates() = candidate("beta", v1::CandidateRecord::UNDER_WAY);
    EXPECT_EQ(
        story(one),
        "alpha failed (overloaded, 529), and now it is under way for 4.2 s and waits for the provider's answer (at beta)."
    );
}

TEST(FateWords, SayWhyAndUntilWhen) {
    EXPECT_EQ(fate_words(failed("a"), kNow).text, "failed: overloaded, 529: Overloaded");
    v1::CandidateRecord out = candidate("a", v1::CandidateRecord::LEFT_OUT);
    out.set_until_ms(kNow + 90'000);
    out.set_why("auth (HTTP 401)");
    EXPECT_EQ(fate_words(out, kNow).text, "left out: benched until 22:14:50 UTC (1m left): auth (HTTP 401)");
    EXPECT_NE(fate_words(out, kNow + 100'000).text.find("(over by now)"), std::string::npos);
    v1::CandidateRecord passed = candidate("a", v1::CandidateRecord::PASSED_OVER);
    passed.set_why("4 requests in flight already");
    EXPECT_EQ(fate_words(passed, kNow).text, "passed over: 4 requests in flight already");
}

TEST(TimesWords, LeaveOutWhatDidNotHappen) {
    v1::CandidateRecord one = candidate("a", v1::CandidateRecord::ANSWERED);
    EXPECT_EQ(times_words(one), "");
    one.set_began_ms(3);
    one.set_pooled(true);
    one.set_first_byte_ms(118);
    one.set_duration_ms(200'000);
    EXPECT_EQ(times_words(one), "at 3 ms, reused connection, first byte 118 ms, 3 min 20 s in all");
}

TEST(SizeWords, ArePrefixedByThousands) {
    EXPECT_EQ(size_words(999), "999 B");
    EXPECT_EQ(size_words(12'340), "12.3 kB");
    EXPECT_EQ(size_words(5'600'000), "5.6 MB");
}

}  // namespace
}  // namespace balancer::cli
