#include "dataplane/models/served_models.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace balancer::dataplane {
namespace {

using Ids = std::vector<std::string>;

// Two providers, and routes by hand.
class ServedModels : public testing::Test {
  protected:
    ServedModels() {
        for (const char* name : {"a", "b"}) {
            auto provider = std::make_unique<Provider>();
            provider->name = name;
            snapshot_.providers.push_back(std::move(provider));
        }
    }

    const Provider* provider(std::size_t at) const { return snapshot_.providers[at].get(); }

    void route(const std::string& pattern, std::vector<RouteTarget> targets) {
        Route made{Glob(pattern), std::move(targets), {}};
        if (!made.pattern.has_star()) snapshot_.exact_routes[pattern] = snapshot_.routes.size();
        snapshot_.routes.push_back(std::move(made));
    }

    static std::shared_ptr<const Models> list(std::initializer_list<const char*> ids) {
        auto models = std::make_shared<Models>();
        for (const char* id : ids) models->push_back({id, std::string("The ") + id, 7, "o"});
        return models;
    }

    Ids served(std::vector<ProviderModels> lists, std::string_view only = {}) const {
        Ids ids;
        for (const auto& model : served_models(snapshot_, lists, only)) ids.push_back(model.id);
        return ids;
    }

    Snapshot snapshot_;
};

TEST_F(ServedModels, NamesOfRoutesAreServedWithoutAnyList) {
    route("x", {{provider(0), "y", 1}});
    route("*", {{provider(0), "", 1}});
    EXPECT_EQ(served({}), Ids{"x"});
    EXPECT_EQ(served({{provider(0), nullptr}}), Ids{"x"});
    EXPECT_EQ(served({}, "x"), Ids{"x"});
    EXPECT_EQ(served({}, "z"), Ids{}) << "nobody has said that there is one";
}

TEST_F(ServedModels, APatternPassesOnOnlyWhatItsProviderLists) {
    route("claude-*", {{provider(0), "", 1}});
    route("gpt-*", {{provider(1), "", 1}});
    EXPECT_EQ(
        served({{provider(0), list({"claude-1", "gpt-1"})}, {provider(1), list({"gpt-2", "claude-2"})}}),
        (Ids{"claude-1", "gpt-2"})
    );
}

TEST_F(ServedModels, ATargetWithANameOfItsOwnServesWhateverItMatches) {
    route("*haiku*", {{provider(1), "small", 1}});
    EXPECT_EQ(served({{provider(0), list({"claude-haiku", "claude-opus"})}}), Ids{"claude-haiku"});
    EXPECT_EQ(served({}, "my-haiku"), Ids{"my-haiku"});
}

TEST_F(ServedModels, EachNameIsThereOnceWithWhatIsKnownOfIt) {
    route("m", {{provider(0), "n", 1}});
    route("*", {{provider(0), "", 1}, {provider(1), "", 2}});
    std::vector<ProviderModels> lists = {{provider(0), list({"m", "k"})}, {provider(1), list({"k", "m"})}};
    EXPECT_EQ(served(lists), (Ids{"m", "k"}));
    Models models = served_models(snapshot_, lists);
    EXPECT_EQ(models[0].display_name, "The m");
    EXPECT_EQ(models[0].created, 7);
}

TEST_F(ServedModels, OnlyProvidersBehindPatternsAreAsked) {
    route("x", {{provider(0), "y", 1}});
    EXPECT_TRUE(providers_to_ask(snapshot_).empty());
    route("*", {{provider(1), "", 1}, {provider(1), "z", 2}});
    EXPECT_EQ(providers_to_ask(snapshot_), std::vector<const Provider*>{provider(1)});
}

TEST_F(ServedModels, WhoServesClaudeCodeOnlyIsNotAsked) {
    auto account = std::make_unique<Provider>();
    account->name = "c/joe";
    account->claude_code_only = true;
    snapshot_.providers.push_back(std::move(account));
    route("*", {{provider(2), "", 1}, {provider(1), "", 2}});
    EXPECT_EQ(providers_to_ask(snapshot_), std::vector<const Provider*>{provider(1)});
}

}  // namespace
}  // namespace balancer::dataplane
