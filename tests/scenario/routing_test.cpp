// Who is asked for what: patterns, overflow, pins.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/scenario/readings.hpp"
#include "tests/scenario/requests.hpp"

namespace balancer::tests {
namespace {

// A fake provider's answer names the model that it was asked for.
std::string model_sent(const RawResponse& answer) {
    auto json = nlohmann::json::parse(answer.body, nullptr, false);
    return json.is_object() ? json.value("model", "none") : "none";
}

// Each route of one table sends its own name upstream.
struct Table {
    std::vector<const char*> patterns;
    std::vector<std::pair<std::string, int>>
        expected;  // model asked for -> which pattern; -1: none
};

void expect_matches(const Table& table) {
    FakeProvider provider;
    std::string routes;
    for (std::size_t i = 0; i < table.patterns.size(); ++i) {
        routes += route(table.patterns[i], target("main", fmt::format("route-{}", i)));
    }
    Fleet fleet(to_yaml({{{"main", provider.base_url()}}, routes}));
    for (const auto& [model, index] : table.expected) {
        SCOPED_TRACE(model);
        RawResponse answer = fleet.ask(for_model(model));
        if (index < 0) {
            EXPECT_EQ(answer.status, 404u) << answer.body;
        } else {
            EXPECT_EQ(model_sent(answer), fmt::format("route-{}", index));
        }
    }
}

TEST(Patterns, ExactGoesFirstThenFileOrder) {
    expect_matches(
        {{"claude-*", "*-opus", "claude-exact", "x-opus", "*opus*"},
         {{"claude-3-opus", 0},
          {"x-opus", 3},
          {"y-opus", 1},
          {"claude-exact", 2},
          // An exact name counts its case; a pattern does not.
          {"Claude-Exact", 0},
          {"X-OPUS", 1},
          {"CLAUDE-7", 0},
          {"an opus here", 4}}}
    );
}

TEST(Patterns, AStarStandsAnywhereForAnything) {
    expect_matches(
        {{"a*b*c", "*middle*", "pre*", "*suf", "**double**star", "one*"},
         {{"abc", 0},
          {"axxbyyc", 0},
          {"abcabc", 0},
          {"abcd", -1},
          {"middle", 1},
          {"the middle of it", 1},
          {"pre", 2},
          {"xpre", -1},
          {"suf", 3},
          {"sufx", -1},
          {"doublestar", 4},
          {"onedouble-star", 4},
          {"one", 5},
          {"on", -1}}}
    );
}

TEST(Patterns, OtherCharactersStandForThemselves) {
    expect_matches(
        {{"claude-3.5", "m[12]", "what?", "a+b", "(x|y)", "^z$", "back\\slash*"},
         {{"claude-3.5", 0},
          {"claude-3x5", -1},
          {"m[12]", 1},
          {"m1", -1},
          {"what?", 2},
          {"whats", -1},
          {"wha", -1},
          {"a+b", 3},
          {"aab", -1},
          {"(x|y)", 4},
          {"x", -1},
          {"^z$", 5},
          {"z", -1},
          {"back\\slash-1", 6}}}
    );
}

TEST(Patterns, AModelWithoutARouteIsNamed) {
    FakeProvider provider;
    Fleet fleet(
        to_yaml({{{"main", provider.base_url()}}, route("claude-*", target("main", "passthrough"))})
    );
    RawResponse answer = fleet.ask(for_model("gpt-\"x\""));
    EXPECT_EQ(answer.status, 404u);
    EXPECT_EQ(answer.header("x-should-retry"), "false");
    auto json = nlohmann::json::parse(answer.body, nullptr, false);
    ASSERT_TRUE(json.is_object()) << answer.body;
    EXPECT_EQ(json["error"]["type"], "not_found_error");
    EXPECT_NE(json["error"]["message"].get<std::string>().find("gpt-\"x\""), std::string::npos);
    EXPECT_EQ(provider.connection_count(), 0u);
}

TEST(Overflow, GoesToTheNextPatternWhenTheFirstIsBenched) {
    FakeProvider first(script_of({status_step(500)}));
    FakeProvider second;
    Fleet fleet(to_yaml(
        {{{"first", first.base_url()}, {"second", second.base_url()}},
         route("claude-*", target("first", "passthrough")) +
             route("*", target("second", "claude-mapped")),
         "  unhealthy_threshold: 1\n"}
    ));
    RawResponse answer = fleet.ask(for_model("claude-1"));
    EXPECT_EQ(used(answer), "second") << "the very request overflows";
    EXPECT_EQ(model_sent(answer), "claude-mapped");
    ASSERT_TRUE(Fleet::eventually([&] {
        std::size_t before = first.request_count();
        EXPECT_EQ(fleet.ask(for_model("claude-1", "new-" + std::to_string(before))).status, 200u);
        return first.request_count() == before;
    }));
    std::size_t before = first.request_count();
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(used(fleet.ask(for_model("claude-1", fmt::format("s{}", i)))), "second");
    }
    EXPECT_EQ(first.request_count(), before) << "a benched provider was asked";
}

class Pins : public testing::Test {
  protected:
    RawResponse ask_pinned(std::string_view provider, std::string_view model) {
        std::string body =
            fmt::format(R"({{"model":"{}","provider":"{}","messages":[]}})", model, provider);
        return exchange_raw(fleet_.port(), claude_code_request(for_model("ignored"), body));
    }

    FakeProvider first_;
    FakeProvider second_;
    Fleet fleet_{to_yaml(
        {{{"first", first_.base_url()},
          {"second", second_.base_url()},
          {"off", second_.base_url(), "    enabled: false\n"}},
         route("claude-*", target("first", "passthrough") + target("second", "second-name", 2)),
         "  unhealthy_threshold: 1\n"}
    )};
};

TEST_F(Pins, AKnownProviderIsAskedUnderItsOwnModelName) {
    RawResponse answer = ask_pinned("second", "claude-1");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(used(answer), "second");
    EXPECT_EQ(model_sent(answer), "second-name");
    // No route names it for this model: the client's name goes.
    EXPECT_EQ(model_sent(ask_pinned("second", "unrouted")), "unrouted");
    // A pin says nothing about where the session belongs.
    EXPECT_EQ(used(fleet_.ask(for_model("claude-1", "ignored"))), "first");
    EXPECT_EQ(used(fleet_.ask(for_model("claude-1"))), "first");
}

TEST_F(Pins, AnUnknownOrDisabledProviderIs404) {
    for (const char* name : {"nobody", "off", "FIRST"}) {
        SCOPED_TRACE(name);
        RawResponse answer = ask_pinned(name, "claude-1");
        EXPECT_EQ(answer.status, 404u);
        EXPECT_NE(answer.body.find(fmt::format("'{}'", name)), std::string::npos) << answer.body;
        EXPECT_NE(answer.body.find("PROVIDER_NOT_FOUND"), std::string::npos);
        EXPECT_EQ(answer.header("x-should-retry"), "false");
    }
    EXPECT_EQ(first_.request_count() + second_.request_count(), 0u);
}

TEST_F(Pins, APinIsNeverFailedOver) {
    first_.set_script(script_of({status_step(529, {{"retry-after", "3"}})}));
    for (int i = 0; i < 3; ++i) {
        RawResponse answer = ask_pinned("first", "claude-1");
        EXPECT_EQ(answer.status, 529u);
        EXPECT_EQ(answer.header("retry-after"), "3");
        EXPECT_EQ(used(answer), "first");
    }
    EXPECT_EQ(first_.request_count(), 3u) << "benched or not, it is the only one";
    EXPECT_EQ(second_.request_count(), 0u);
}

}  // namespace
}  // namespace balancer::tests
