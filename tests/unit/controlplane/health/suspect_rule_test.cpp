#include "controlplane/health/suspect_rule.hpp"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace balancer::controlplane {
namespace {

constexpr UnixMs kStart = 1'700'000'000'000;

class Suspects : public testing::Test {
  protected:
    std::map<std::string, std::string, std::less<>> providers_{
        {"a", "https://a"}, {"b", "https://b"}, {"b2", "https://b"}};
    Suspects() { usage_.set_providers({"a", "b", "b2"}); }

    std::vector<Member> members_{{"dp-1"}, {"dp-2"}, {"dp-3"}, {"dp-4"}, {"dp-5"}};
    UsageWindow usage_;
    SuspectRule rule_;
    UnixMs now_ = kStart;
    std::map<std::pair<std::string, std::string>, Usage> totals_;

    // Ten more attempts of each at each provider; those named fail.
    void round(
        const std::set<std::pair<std::string, std::string>>& failing, std::uint64_t count = 10
    ) {
        now_ += 2'000;
        for (const Member& member : members_) {
            google::protobuf::RepeatedPtrField<v1::Counters> counters;
            for (const auto& [provider, address] : providers_) {
                Usage& total = totals_[{member.dp_id, provider}];
                total.attempts += count;
                if (failing.contains({member.dp_id, provider})) total.failures += count;
                v1::Counters& item = *counters.Add();
                item.set_provider(provider);
                item.set_attempts(total.attempts);
                (*item.mutable_failures())[v1::FAILURE_CLASS_CONNECT] = total.failures;
            }
            usage_.take(member.dp_id, "x", counters, now_);
        }
        rule_.judge(usage_, members_, providers_, now_);
    }
};

TEST_F(Suspects, IsWhoFailsTowardsAllWhileTheOthersDoWell) {
    round({});
    round({{"dp-1", "a"}});
    EXPECT_TRUE(rule_.standings().empty()) << "one provider may dislike one data plane";
    round({{"dp-1", "b"}, {"dp-1", "b2"}});
    EXPECT_TRUE(rule_.standings().empty()) << "two providers at one address are one witness";
    for (int i = 0; i < 4; ++i) round({{"dp-1", "a"}, {"dp-1", "b"}});
    ASSERT_TRUE(rule_.suspect("dp-1"));
    EXPECT_EQ(rule_.standings().size(), 1U);
    EXPECT_NE(rule_.standings().at("dp-1").reason.find("a, b"), std::string::npos);
    EXPECT_TRUE(rule_.standings().at("dp-1").may_turn_unready);
}

TEST_F(Suspects, ARealOutageMakesNobodySuspect) {
    std::set<std::pair<std::string, std::string>> all;
    for (const Member& member : members_) {
        all.insert({member.dp_id, "a"});
        all.insert({member.dp_id, "b"});
    }
    for (int i = 0; i < 10; ++i) round(all);
    EXPECT_TRUE(rule_.standings().empty());
}

TEST_F(Suspects, WithoutOthersToCompareNobodyIs) {
    members_ = {{"dp-1"}};
    for (int i = 0; i < 10; ++i) round({{"dp-1", "a"}, {"dp-1", "b"}});
    EXPECT_TRUE(rule_.standings().empty());
}

TEST_F(Suspects, AFewAttemptsProveNothing) {
    round({});
    round({{"dp-1", "a"}, {"dp-1", "b"}}, 4);
    EXPECT_TRUE(rule_.standings().empty());
}

TEST_F(Suspects, IsClearedByBetterEvidenceOrByAMinuteWithout) {
    round({});
    round({{"dp-1", "a"}, {"dp-1", "b"}});
    ASSERT_TRUE(rule_.suspect("dp-1"));
    round({});
    round({});
    EXPECT_FALSE(rule_.suspect("dp-1")) << "a third of its attempts is not the most of them";
    for (int i = 0; i < 20; ++i) round({{"dp-1", "a"}, {"dp-1", "b"}});
    ASSERT_TRUE(rule_.suspect("dp-1"));
    UnixMs last = now_;
    while (now_ < last + 80'000) round({}, 0);
    EXPECT_TRUE(rule_.suspect("dp-1")) << "what it did is still in the window, or in doubt";
    while (now_ < last + 95'000) round({}, 0);
    EXPECT_FALSE(rule_.suspect("dp-1")) << "nobody sends it anything; it may try again";
}

TEST_F(Suspects, AThirdMayTurnUnreadyAndNeverAll) {
    auto leaves = [&] {
        std::size_t count = 0;
        for (const auto& [dp_id, standing] : rule_.standings()) count += standing.may_turn_unready;
        return count;
    };
    round({});
    round({{"dp-1", "a"}, {"dp-1", "b"}, {"dp-2", "a"}, {"dp-2", "b"}});
    ASSERT_EQ(rule_.standings().size(), 2U);
    EXPECT_EQ(leaves(), 1U) << "five thirds are one";
    members_[4].ready = false;
    round({{"dp-1", "a"}, {"dp-1", "b"}, {"dp-2", "a"}, {"dp-2", "b"}});
    EXPECT_EQ(leaves(), 0U) << "dp-5 is away already";
    members_[4].ready = true;
    members_.resize(2);
    round({{"dp-1", "a"}, {"dp-1", "b"}});
    EXPECT_EQ(leaves(), 0U) << "of two nobody";
}

TEST_F(Suspects, WhoHasGoneIsForgotten) {
    round({});
    round({{"dp-1", "a"}, {"dp-1", "b"}});
    ASSERT_TRUE(rule_.suspect("dp-1"));
    members_.erase(members_.begin());
    rule_.judge(usage_, members_, providers_, now_);
    EXPECT_TRUE(rule_.standings().empty());
}

}  // namespace
}  // namespace balancer::controlplane
