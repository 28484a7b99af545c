#include "controlplane/health/ejection_rule.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>

namespace balancer::controlplane {
namespace {

class Ejection : public testing::Test {
  protected:
    v1::ConfigSection config_;
    EjectionRule rule_;
    std::set<std::pair<std::string, std::string>> out_;  // provider, model

    void provider(const std::string& name, bool enabled = true) {
        v1::Provider& provider = *config_.add_providers();
        provider.set_name(name);
        provider.set_enabled(enabled);
    }
    void route(
        const std::string& pattern,
        std::initializer_list<std::pair<const char*, const char*>> targets
    ) {
        v1::Route& route = *config_.add_routes();
        route.set_pattern(pattern);
        for (const auto& [name, model] : targets) {
            v1::RouteTarget& target = *route.add_targets();
            target.set_provider(name);
            target.set_model(model);
            target.set_enabled(true);
        }
    }
    std::string refusal(const char* name, const char* model = "", bool about_the_account = false) {
        rule_.configure(config_);
        std::vector<std::string> models_out;
        for (const auto& [provider, one] : out_) {
            if (!one.empty()) models_out.push_back(one);
        }
        return rule_.refusal(
            name,
            model,
            about_the_account,
            models_out,
            [&](std::string_view p, std::string_view m) {
                return out_.contains({std::string(p), ""}) ||
                       out_.contains({std::string(p), std::string(m)});
            }
        );
    }
};

TEST_F(Ejection, TheLastUsableOfARouteStaysWhateverTheClass) {
    for (const char* name : {"a", "b"}) provider(name);
    provider("c", false);
    route("*", {{"a", ""}, {"b", ""}, {"c", ""}});
    EXPECT_EQ(refusal("a"), "");
    out_ = {{"b", ""}};
    EXPECT_EQ(refusal("a"), "it is the last usable provider of route '*'");
    EXPECT_NE(refusal("a", "", true), "");
}

TEST_F(Ejection, AnyRouteThatItIsAloneOnKeepsIt) {
    for (const char* name : {"a", "b"}) provider(name);
    route("*", {{"a", ""}, {"b", ""}});
    route("solo", {{"a", ""}});
    EXPECT_EQ(refusal("a"), "it is the last usable provider of route 'solo'");
    EXPECT_EQ(refusal("b"), "");
}

TEST_F(Ejection, HalfMayBeOutAndMoreOnlyForTheAccount) {
    for (const char* name : {"a", "b", "c", "d"}) provider(name);
    route("*", {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}});
    out_ = {{"a", ""}};
    EXPECT_EQ(refusal("b"), "");
    out_ = {{"a", ""}, {"b", ""}};
    EXPECT_EQ(refusal("c"), "half of the providers of route '*' are out already");
    EXPECT_EQ(refusal("c", "", true), "");
    out_ = {{"a", ""}, {"b", ""}, {"c", ""}};
    EXPECT_NE(refusal("d", "", true), "");
}

TEST_F(Ejection, AModelIsJudgedByTheRoutesThatSendIt) {
    for (const char* name : {"a", "b"}) provider(name);
    route("claude-opus*", {{"a", ""}, {"b", ""}});
    route("fast", {{"a", "claude-haiku"}});
    EXPECT_EQ(refusal("a", "claude-opus-4"), "");
    EXPECT_NE(refusal("a", "claude-haiku"), "") << "nobody else serves 'fast'";
    out_ = {{"b", "claude-opus-4"}};
    EXPECT_NE(refusal("a", "claude-opus-4"), "");
    EXPECT_EQ(refusal("a", "claude-opus-5"), "");
}

TEST_F(Ejection, AWholeProviderIsKeptForAModelThatTheOthersCannotServe) {
    for (const char* name : {"a", "b"}) provider(name);
    route("*", {{"a", ""}, {"b", ""}});
    out_ = {{"b", "opus"}};
    EXPECT_EQ(refusal("a"), "it is the last usable provider of route '*'");
}

TEST_F(Ejection, TakingOutWhatIsAllowedNeverEmptiesARoute) {
    std::mt19937 random(3);
    auto pick = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
    for (int run = 0; run < 300; ++run) {
        config_.Clear();
        out_.clear();
        std::vector<std::string> names;
        for (int i = 0; i < 2 + pick(4); ++i) {
            names.push_back("p" + std::to_string(i));
            provider(names.back(), pick(4) > 0);
        }
        for (int i = 0; i < 1 + pick(3); ++i) {
            v1::Route& route = *config_.add_routes();
            route.set_pattern(i == 0 ? "*" : "m" + std::to_string(i));
            for (const std::string& name : names) {
                if (pick(2) == 0) continue;
                v1::RouteTarget& target = *route.add_targets();
                target.set_provider(name);
                target.set_enabled(pick(4) > 0);
            }
        }
        std::set<std::string> enabled;
        for (const auto& one : config_.providers()) {
            if (one.enabled()) enabled.insert(one.name());
        }
        for (int i = 0; i < 20; ++i) {
            const std::string& name =
                names[static_cast<std::size_t>(pick(static_cast<int>(names.size()) - 1))];
            const char* model = pick(1) == 0 ? "" : "m1";
            if (refusal(name.c_str(), model, pick(1) == 0).empty()) out_.insert({name, model});
            for (const v1::Route& route : config_.routes()) {
                bool had = false;
                bool has = false;
                for (const v1::RouteTarget& target : route.targets()) {
                    if (!target.enabled() || !enabled.contains(target.provider())) continue;
                    had = true;
                    bool out = out_.contains({target.provider(), ""}) ||
                               out_.contains({target.provider(), "m1"});
                    bool serves_m1 = route.pattern() == "*" || route.pattern() == "m1";
                    has = has || !(serves_m1 ? out : out_.contains({target.provider(), ""}));
                }
                ASSERT_TRUE(has || !had) << "run " << run << " route " << route.pattern();
            }
        }
    }
}

}  // namespace
}  // namespace balancer::controlplane
