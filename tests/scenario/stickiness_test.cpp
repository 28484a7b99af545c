// Which of several providers: strategies, weights, and the session that stays where it was.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

class Strategies : public testing::Test {
  protected:
    std::string yaml(const std::string& strategy, std::vector<std::string> extras = {"", "", ""}) {
        std::string targets;
        for (int i = 0; i < 3; ++i) targets += target(fmt::format("p{}", i), "passthrough", i + 1);
        return to_yaml(
            {{{"p0", a_.base_url(), extras[0]},
              {"p1", b_.base_url(), extras[1]},
              {"p2", c_.base_url(), extras[2]}},
             route("*", targets),
             "  selection_strategy: " + strategy + "\n"}
        );
    }

    // By provider, over sessions of their own.
    static std::map<std::string, int> tally(const Fleet& fleet, int requests) {
        std::map<std::string, int> counts;
        for (int i = 0; i < requests; ++i)
            ++counts[used(fleet.ask(for_model("m", fmt::format("session-{}", i))))];
        return counts;
    }

    FakeProvider a_;
    FakeProvider b_;
    FakeProvider c_;
};

TEST_F(Strategies, PriorityTakesTheFirst) {
    Fleet fleet(yaml("priority"));
    EXPECT_EQ(tally(fleet, 9), (std::map<std::string, int>{{"p0", 9}}));
}

TEST_F(Strategies, RoundRobinTakesTurnsOverAllWorkers) {
    Fleet fleet(yaml("round_robin"));
    EXPECT_EQ(tally(fleet, 12), (std::map<std::string, int>{{"p0", 4}, {"p1", 4}, {"p2", 4}}));
}

TEST_F(Strategies, RandomReachesAll) {
    Fleet fleet(yaml("random", {"    weight: 8\n", "    weight: 1\n", "    weight: 1\n"}));
    std::map<std::string, int> counts = tally(fleet, 120);
    EXPECT_EQ(counts.size(), 3u);
    // 96 expected; seven standard deviations below.
    EXPECT_GT(counts["p0"], 65);
}

TEST_F(Strategies, ASessionStaysUnderEveryStrategy) {
    for (const char* strategy : {"round_robin", "random"}) {
        Fleet fleet(yaml(strategy));
        std::set<std::string> seen;
        for (int i = 0; i < 10; ++i) seen.insert(used(fleet.ask(for_model("m", "the same"))));
        EXPECT_EQ(seen.size(), 1u) << strategy;
    }
}

TEST_F(Strategies, WeightsShareOnePriorityAndEveryDataPlaneAgrees) {
    std::string config = to_yaml(
        {{{"p0", a_.base_url(), "    weight: 3\n"},
          {"p1", b_.base_url(), "    weight: 1\n"},
          {"p2", c_.base_url(), "    weight: 100\n"}},
         route(
             "*",
             target("p0", "passthrough", 1) + target("p1", "passthrough", 1) +
                 target("p2", "passthrough", 2)
         )}
    );
    Fleet fleet(config, {2, 2});
    int first = 0;
    constexpr int kSessions = 120;
    for (int i = 0; i < kSessions; ++i) {
        ClaudeCodeRequest request = for_model("m", fmt::format("weighted-session-{}", i));
        std::string here = used(fleet.ask(request, 0));
        std::string there = used(fleet.ask(request, 1));
        EXPECT_EQ(here, there);
        EXPECT_NE(here, "p2");
        if (here == "p0") ++first;
    }
    // A hash of fixed names, so no chance from run to run: 90 expected, five standard deviations
    // around it.
    EXPECT_GT(first, 66);
    EXPECT_LT(first, 114);
}

class Stickiness : public testing::Test {
  protected:
    std::string yaml(const std::string& settings = {}) {
        return to_yaml(
            {{{"first", first_.base_url()}, {"second", second_.base_url()}},
             {},
             "  unhealthy_threshold: 1000\n" + settings}
        );
    }
    // The first provider fails the next request only.
    void fail_once() { first_.set_script(script_of({status_step(500), Step{}})); }

    static std::string body_with(std::string_view members) {
        return fmt::format(R"({{"model":"m",{}}})", members);
    }
    // Without any session header.
    static RawResponse ask_body(const Fleet& fleet, const std::string& body) {
        return exchange_raw(
            fleet.port(),
            fmt::format(
                "POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{}",
                body.size(),
                body
            )
        );
    }

    FakeProvider first_;
    FakeProvider second_;
};

TEST_F(Stickiness, ASessionStaysWithTheProviderThatTookItOverOnEveryWorker) {
    Fleet fleet(yaml());
    fail_once();
    EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "second");
    std::set<std::string> workers;
    for (int i = 0; i < 60 && (i < 10 || workers.size() < 2); ++i) {
        RawResponse answer = fleet.ask(for_model("m", "moved"));
        EXPECT_EQ(used(answer), "second");
        workers.insert(
            access_record(fleet, answer.header("x-balancer-request-id")).value("worker", "")
        );
    }
    EXPECT_EQ(workers.size(), 2u);
    EXPECT_EQ(used(fleet.ask(for_model("m", "new"))), "first");
    EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "second");
}

TEST_F(Stickiness, EndsWithItsDuration) {
    Fleet fleet(yaml("  sticky_provider_duration: 1\n"));
    fail_once();
    EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "second");
    EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "second");
    auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2100);
    ASSERT_TRUE(Fleet::eventually([&] { return std::chrono::steady_clock::now() > until; }));
    EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "first");
}

TEST_F(Stickiness, ADurationOfZeroIsNone) {
    Fleet fleet(yaml("  sticky_provider_duration: 0\n"));
    for (int i = 0; i < 3; ++i) {
        fail_once();
        EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "second");
        EXPECT_EQ(used(fleet.ask(for_model("m", "moved"))), "first");
    }
}

TEST_F(Stickiness, GlobalScopeMovesEverybody) {
    Fleet fleet(yaml("  sticky_scope: global\n"));
    EXPECT_EQ(used(fleet.ask(for_model("m", "a"))), "first");
    fail_once();
    EXPECT_EQ(used(fleet.ask(for_model("m", "b"))), "second");
    for (const char* session : {"a", "b", "c"})
        EXPECT_EQ(used(fleet.ask(for_model("m", session))), "second");
}

TEST_F(Stickiness, KnowsASessionByEveryMarkThatClientsGive) {
    Fleet fleet(yaml());
    struct Case {
        const char* name;
        std::string same;  // two bodies of one session
        std::string again;
        std::string other;  // one of another
    };
    std::string plain = "user_aaaa_account_bbbb_session_";
    for (const Case& one : {
             Case{
                 "metadata.user_id, JSON",
                 body_with(
                     R"("metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s-1\"}"},"n":1)"
                 ),
                 body_with(
                     R"("n":2,"metadata":{"user_id":"{\"session_id\":\"s-1\",\"device_id\":\"x\"}"})"
                 ),
                 body_with(
                     R"("metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s-2\"}"},"n":1)"
                 )
             },
             Case{
                 "metadata.user_id, plain",
                 body_with(fmt::format(R"("metadata":{{"user_id":"{}t-1"}})", plain)),
                 body_with(fmt::format(R"("metadata":{{"user_id":"{}t-1"}},"max_tokens":5)", plain)
                 ),
                 body_with(fmt::format(R"("metadata":{{"user_id":"{}t-2"}})", plain))
             },
             Case{
                 "the conversation's beginning",
                 body_with(R"("system":"S","messages":[{"role":"user","content":"one"}])"),
                 body_with(
                     R"("messages":[{"role":"user","content":"one"},{"role":"assistant","content":"x"}],"system":"S")"
                 ),
                 body_with(R"("system":"S","messages":[{"role":"user","content":"two"}])")
             },
         }) {
        SCOPED_TRACE(one.name);
        fail_once();
        EXPECT_EQ(used(ask_body(fleet, one.same)), "second");
        EXPECT_EQ(used(ask_body(fleet, one.again)), "second");
        EXPECT_EQ(used(ask_body(fleet, one.other)), "first");
    }
}

}  // namespace
}  // namespace balancer::tests
