#include "dataplane/exchange/rank.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dataplane/exchange/match_route.hpp"

namespace balancer::dataplane {
namespace {

constexpr UnixMs kNow = 1'000;

class Rank : public testing::Test {
  protected:
    Snapshot snapshot_;
    HealthView health_;
    std::uint32_t turn_ = 0;
    double chance_ = 0;
    std::uint16_t sticky_ = 0;
    std::string pin_;
    bool may_probe_ = true;
    bool claude_code_ = true;

    Provider& add(const std::string& name, std::uint32_t weight = 0) {
        auto provider = std::make_unique<Provider>();
        provider->name = name;
        provider->slot = ProviderSlot(static_cast<std::uint32_t>(snapshot_.providers.size()));
        provider->credential = Credential{"x-api-key", "k"};
        provider->weight = weight;
        Provider& added = *provider;
        snapshot_.providers.push_back(std::move(provider));
        return added;
    }
    Route& route(const std::string& pattern, std::initializer_list<std::pair<const char*, int>> targets) {
        Route made{Glob(pattern), {}};
        for (const auto& [name, priority] : targets) {
            made.targets.push_back({snapshot_.find_provider(name), "", priority});
        }
        if (!made.pattern.has_star()) snapshot_.exact_routes.emplace(pattern, snapshot_.routes.size());
        snapshot_.routes.push_back(std::move(made));
        return snapshot_.routes.back();
    }
    void bench(const std::string& name, UnixMs until) {
        condition(name).benched = until > kNow;
        condition(name).benched_until = until;
    }
    ProviderCondition& condition(const std::string& name) {
        health_.by_slot.resize(snapshot_.providers.size());
        return health_.by_slot[snapshot_.find_provider(name)->slot.value()];
    }
    Plan plan(const std::string& model, SessionKey session = 1) {
        return rank(RankInput{
            snapshot_, health_, match_routes(snapshot_, model), model, may_probe_, pin_, session, sticky_, kNow,
            [this](const Route&) { return turn_++; }, [this] { return chance_; },
            claude_code_,
        });
    }
    std::string order(const std::string& model, SessionKey session = 1) {
        std::string names;
        for (const Candidate& candidate : plan(model, session).candidates) {
            names += (names.empty() ? "" : " ") + candidate.provider->name;
        }
        return names;
    }
};

TEST_F(Rank, AccountsServeOthersThanClaudeCodeOnlyWhereTheyMay) {
    add("p/ann").claude_code_only = true;
    add("p/bob");
    route("*", {{"p/ann", 1}, {"p/bob", 2}});
    EXPECT_EQ(order("m"), "p/ann p/bob");
    claude_code_ = false;
    EXPECT_EQ(order("m"), "p/bob");
    EXPECT_EQ(plan("m").skipped[0].why, "its account serves requests of Claude Code only");
}

TEST_F(Rank, AHeldAccountIsTheLastHopeOnly) {
    Provider& ann = add("p/ann");
    ann.credential->holds = {{"", kNow + 5, "its 5-hour window is used up"}};
    add("p/bob");
    route("*", {{"p/ann", 1}, {"p/bob", 2}});
    EXPECT_EQ(order("m"), "p/bob");
    EXPECT_EQ(plan("m").skipped[0].why, "its 5-hour window is used up");
    EXPECT_EQ(plan("m").skipped[0].until, kNow + 5);
    bench("p/bob", kNow + 5);
    EXPECT_EQ(order("m"), "p/ann p/bob");
    EXPECT_TRUE(plan("m").panic);
    ann.credential->holds[0].until = kNow;
    EXPECT_EQ(order("m"), "p/ann");
}

TEST_F(Rank, AUsedUpWindowOfOneFamilyHoldsThatFamilyOnly) {
    Provider& ann = add("p/ann");
    ann.credential->holds = {{"opus", kNow + 9, "its 7-day window for opus is used up"}};
    add("p/bob");
    route("*", {{"p/ann", 1}, {"p/bob", 2}});
    EXPECT_EQ(order("claude-opus-4-1"), "p/bob");
    EXPECT_EQ(plan("claude-opus-4-1").skipped[0].why, "its 7-day window for opus is used up");
    EXPECT_EQ(plan("claude-opus-4-1").skipped[0].until, kNow + 9);
    EXPECT_EQ(order("claude-sonnet-4-5"), "p/ann p/bob");
    // What counts is the model as it is sent.
    snapshot_.routes[0].targets[0].model = "claude-opus-4-5";
    EXPECT_EQ(order("claude-sonnet-4-5"), "p/bob");
    pin_ = "p/ann";
    EXPECT_EQ(order("claude-opus-4-1"), "p/ann") << "who asks for it by name gets its own answer";
}

// Three accounts of one provider in front of another one.
class RankAccounts : public Rank {
  protected:
    RankAccounts() {
        for (const char* name : {"p/ann", "p/bob", "p/cid"}) add(name).group = "p";
        add("q");
        route("*", {{"p/ann", 1}, {"p/bob", 1}, {"p/cid", 1}, {"q", 1}});
    }
    void leave(const char* name, unsigned headroom) {
        const_cast<Provider*>(snapshot_.find_provider(name))->credential->headroom = headroom;
    }
    // Who stands first, over so many sessions.
    std::map<std::string, int> tally(int sessions) {
        std::map<std::string, int> firsts;
        for (int i = 0; i < sessions; ++i) ++firsts[first(static_cast<SessionKey>(i) * 0x9e3779b97f4a7c15ULL)];
        return firsts;
    }
    std::string first(SessionKey session) { return plan("m", session).candidates[0].provider->name; }
};

TEST_F(RankAccounts, ShareNewSessionsByWhatEachHasLeft) {
    std::map<std::string, int> even = tally(3000);
    for (const char* name : {"p/ann", "p/bob", "p/cid"}) EXPECT_NEAR(even[name], 1000, 120) << name;
    EXPECT_EQ(even["q"], 0) << "no account is another target";
    leave("p/ann", 5);
    std::map<std::string, int> uneven = tally(3000);
    EXPECT_NEAR(uneven["p/ann"], 3000 * 5 / 205, 30);
    EXPECT_GT(uneven["p/ann"], 0) << "never none";
    EXPECT_NEAR(uneven["p/bob"], 3000 * 100 / 205, 150);
}

TEST_F(RankAccounts, ASessionMovesOnlyWhenItsOwnAccountHasLessLeft) {
    std::vector<std::string> before;
    for (SessionKey i = 0; i < 500; ++i) before.push_back(first(i * 7919));
    leave("p/ann", 25);
    int moved = 0;
    for (SessionKey i = 0; i < 500; ++i) {
        std::string now = first(i * 7919);
        if (now == before[i]) continue;
        ++moved;
        EXPECT_EQ(before[i], "p/ann");
    }
    EXPECT_GT(moved, 50);
    // And who is remembered stays whatever is left.
    sticky_ = StickyTable::provider_hash("p/ann");
    for (SessionKey i = 0; i < 50; ++i) EXPECT_EQ(first(i * 7919), "p/ann");
}

TEST_F(RankAccounts, AHeldOneIsSkippedAndItsSessionsAreShared) {
    const_cast<Provider*>(snapshot_.find_provider("p/bob"))->credential->holds = {{"", kNow + 5, "used up"}};
    std::map<std::string, int> firsts = tally(1000);
    EXPECT_EQ(firsts["p/bob"], 0);
    EXPECT_NEAR(firsts["p/ann"], 500, 80);
    const_cast<Provider*>(snapshot_.find_provider("p/bob"))->credential->holds[0].until = kNow;
    EXPECT_GT(tally(1000)["p/bob"], 200);
}

TEST_F(RankAccounts, AreOneTargetToEveryStrategy) {
    snapshot_.settings.selection_strategy = SelectionStrategy::kRoundRobin;
    std::string own = first(1);
    EXPECT_EQ(first(1), "q");
    EXPECT_EQ(first(1), own) << "the session's account, not the next one";
    snapshot_.settings.selection_strategy = SelectionStrategy::kRandom;
    chance_ = 0.6;
    EXPECT_EQ(first(1), "q");
    chance_ = 0.4;
    EXPECT_EQ(first(1), own);
    snapshot_.settings.selection_strategy = SelectionStrategy::kPriority;
    for (const auto& provider : snapshot_.providers) const_cast<Provider&>(*provider).weight = 1;
    std::map<std::string, int> firsts = tally(2000);
    EXPECT_NEAR(firsts["q"], 1000, 120) << "the weight is the provider's, however many accounts it has";
    EXPECT_NEAR(firsts["p/ann"], 333, 80);
}

TEST_F(RankAccounts, APinOfTheConfiguredNameStandsForAllOfThem) {
    pin_ = "p";
    std::map<std::string, int> firsts = tally(3000);
    for (const char* name : {"p/ann", "p/bob", "p/cid"}) EXPECT_NEAR(firsts[name], 1000, 120) << name;
    sticky_ = StickyTable::provider_hash("p/bob");
    EXPECT_EQ(tally(20), (std::map<std::string, int>{{"p/bob", 20}}));
    bench("p/bob", kNow + 5);
    EXPECT_EQ(tally(20)["p/bob"], 0);
    EXPECT_EQ(plan("m").candidates.back().provider->name, "p/bob") << "benched or not, but then last";
    pin_ = "p/bob";
    EXPECT_EQ(order("m"), "p/bob");
}

TEST_F(Rank, ExactComesBeforePatternsAndThoseInFileOrder) {
    for (const char* name : {"a", "b", "c", "d"}) add(name);
    route("*", {{"a", 1}});
    route("claude-*", {{"b", 1}});
    route("claude-x", {{"c", 1}});
    route("gpt-*", {{"d", 1}});
    EXPECT_EQ(order("claude-x"), "c a b");
    EXPECT_EQ(order("CLAUDE-X"), "a b c");
    EXPECT_EQ(order("other"), "a");
}

TEST_F(Rank, OverflowsToTheNextPatternAndPanicsOnlyWhenAllAreBenched) {
    add("a");
    add("b");
    route("claude-*", {{"a", 1}});
    route("*", {{"b", 1}});
    bench("a", 2'000);
    EXPECT_EQ(order("claude-x"), "b");
    EXPECT_FALSE(plan("claude-x").panic);
    bench("b", 2'000);
    EXPECT_EQ(order("claude-x"), "a b");
    EXPECT_TRUE(plan("claude-x").panic);
    bench("a", 1'000);
    EXPECT_EQ(order("claude-x"), "a");
}

TEST_F(Rank, WeightsShareSessionsAndEachSessionKeepsItsProvider) {
    add("one", 1);
    add("three", 3);
    add("spare", 1);
    route("*", {{"one", 1}, {"three", 1}, {"spare", 2}});
    std::map<std::string, int> first;
    for (SessionKey session = 0; session < 10'000; ++session) {
        std::string names = order("m", session * 0x9e3779b97f4a7c15ULL);
        EXPECT_EQ(names, order("m", session * 0x9e3779b97f4a7c15ULL));
        EXPECT_TRUE(names.ends_with(" spare"));
        ++first[names.substr(0, names.find(' '))];
    }
    EXPECT_NEAR(first["three"], 7'500, 250);
    EXPECT_NEAR(first["one"], 2'500, 250);
}

TEST_F(Rank, RoundRobinAndRandomChooseTheFirstAndKeepTheRest) {
    for (const char* name : {"a", "b", "c"}) add(name);
    route("*", {{"a", 1}, {"b", 2}, {"c", 3}});
    snapshot_.settings.selection_strategy = SelectionStrategy::kRoundRobin;
    EXPECT_EQ(order("m"), "a b c");
    EXPECT_EQ(order("m"), "b a c");
    EXPECT_EQ(order("m"), "c a b");
    EXPECT_EQ(order("m"), "a b c");
    snapshot_.settings.selection_strategy = SelectionStrategy::kRandom;
    chance_ = 0.5;
    EXPECT_EQ(order("m"), "b a c");
    chance_ = 0.999;
    EXPECT_EQ(order("m"), "c a b");
}

TEST_F(Rank, TheSessionsProviderGoesFirstUnlessItIsBenched) {
    add("a");
    add("b");
    route("*", {{"a", 1}, {"b", 2}});
    sticky_ = StickyTable::provider_hash("b");
    EXPECT_EQ(order("m"), "b a");
    bench("b", 2'000);
    EXPECT_EQ(order("m"), "a");
}

TEST_F(Rank, APinIsTheOnlyCandidateWithItsRoutesModel) {
    add("a");
    add("b");
    route("*", {{"a", 1}, {"b", 2}}).targets[1].model = "mapped";
    bench("b", 2'000);
    pin_ = "b";
    Plan pinned = plan("m");
    ASSERT_EQ(pinned.candidates.size(), 1u);
    EXPECT_EQ(pinned.candidates[0].model, "mapped");
    pin_ = "nobody";
    EXPECT_TRUE(plan("m").candidates.empty());
}

TEST_F(Rank, WhoCannotSendACredentialIsSkippedWithTheReason) {
    add("a").credential.reset();
    add("b").credential->expires_at = 999;
    add("c").credential->usable = false;
    Credential& ended = *add("e").credential;
    ended.usable = false;
    ended.holds = {{"", 0, "its access token has ended, and this is why"}};
    add("d").auth_type = AuthType::kPassthrough;
    snapshot_.find_provider("d");
    route("*", {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}});
    Plan made = plan("m");
    ASSERT_EQ(made.candidates.size(), 1u);
    EXPECT_EQ(made.candidates[0].provider->name, "d");
    ASSERT_EQ(made.skipped.size(), 4u);
    EXPECT_EQ(made.skipped[3].why, "its access token has ended, and this is why");
}

TEST_F(Rank, AHalfOpenProviderIsACandidateWhileItsTicketIsFree) {
    add("a");
    add("b");
    route("*", {{"a", 1}, {"b", 2}});
    bench("a", 2'000);
    auto ticket = std::make_shared<ProbeTicket>("p-1", 7);
    condition("a").probe = ticket;
    Plan made = plan("m");
    ASSERT_EQ(made.candidates.size(), 2u);
    EXPECT_EQ(made.candidates[0].probe, ticket.get());
    EXPECT_EQ(made.candidates[1].probe, nullptr);
    may_probe_ = false;
    EXPECT_EQ(order("m"), "b") << "counting tokens proves nothing";
    may_probe_ = true;
    EXPECT_TRUE(ticket->take());
    EXPECT_EQ(order("m"), "b") << "another request tries it already";
    ticket->give_back();
    EXPECT_EQ(order("m"), "a b");
}

TEST_F(Rank, AModelThatIsBenchedLeavesTheOthersOfItsProvider) {
    add("a");
    add("b");
    route("claude-*", {{"a", 1}, {"b", 2}});
    Condition benched;
    benched.benched = true;
    condition("a").models.push_back({"claude-opus", benched});
    EXPECT_EQ(order("claude-opus"), "b");
    EXPECT_EQ(order("claude-haiku"), "a b");
    // What counts is the name that is sent.
    route("mapped", {{"a", 1}, {"b", 2}}).targets[0].model = "claude-opus";
    EXPECT_EQ(order("mapped"), "b");
}

TEST_F(Rank, InARampSessionsComeBackByShareAndKeepTheirPlace) {
    add("a");
    add("b");
    route("*", {{"a", 1}, {"b", 2}});
    auto first_at_a = [&](unsigned percent) {
        condition("a").admit_percent = percent;
        std::vector<SessionKey> in;
        for (SessionKey session = 1; session <= 5'000; ++session) {
            SessionKey key = session * 0x9e3779b97f4a7c15ULL;
            std::string names = order("m", key);
            EXPECT_TRUE(names == "a b" || names == "b a") << names;
            if (names == "a b") in.push_back(key);
        }
        return in;
    };
    std::vector<SessionKey> tenth = first_at_a(10);
    std::vector<SessionKey> half = first_at_a(50);
    EXPECT_NEAR(static_cast<double>(tenth.size()), 500, 100);
    EXPECT_NEAR(static_cast<double>(half.size()), 2'500, 200);
    for (SessionKey key : tenth) {
        EXPECT_TRUE(std::find(half.begin(), half.end(), key) != half.end()) << "it went back out";
    }
    bench("b", 2'000);
    condition("a").admit_percent = 10;
    EXPECT_FALSE(plan("m").panic) << "a provider in its ramp is better than none";
    EXPECT_EQ(order("m", 1), "a");
}

TEST_F(Rank, AProviderInTwoRoutesIsTriedOnce) {
    add("a");
    route("claude-*", {{"a", 1}});
    route("*", {{"a", 1}});
    EXPECT_EQ(order("claude-x"), "a");
}

}  // namespace
}  // namespace balancer::dataplane
