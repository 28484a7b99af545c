#include "dataplane/exchange/replay.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace balancer::dataplane {
namespace {

wire::RequestHead head_with(std::string_view name, std::string_view value) {
    wire::RequestHead head;
    head.fields.push_back({name, value});
    return head;
}

TEST(SaysItAsksAgain, GoesByTheLibrarysCount) {
    EXPECT_TRUE(says_it_asks_again(head_with("X-Stainless-Retry-Count", "1")));
    EXPECT_TRUE(says_it_asks_again(head_with("x-stainless-retry-count", "10")));
    EXPECT_FALSE(says_it_asks_again(head_with("x-stainless-retry-count", "0")));
    EXPECT_FALSE(says_it_asks_again(head_with("x-stainless-retry-count", "")));
    EXPECT_FALSE(says_it_asks_again(head_with("x-stainless-timeout", "1")));
    EXPECT_FALSE(says_it_asks_again({}));
}

// Two providers, a route for all models and one for another model's exact name.
Snapshot plain() {
    Snapshot snapshot;
    for (const char* name : {"alpha", "beta"}) {
        auto provider = std::make_unique<Provider>();
        provider->name = name;
        provider->etag = std::string("etag of ") + name;
        snapshot.providers.push_back(std::move(provider));
    }
    const Provider* alpha = snapshot.find_provider("alpha");
    const Provider* beta = snapshot.find_provider("beta");
    snapshot.routes.push_back({Glob("*"), {{alpha, "", 1}, {beta, "", 2}}});
    snapshot.routes.push_back({Glob("other"), {{beta, "", 1}}});
    snapshot.exact_routes.emplace("other", 1);
    snapshot.settings.deduplication.enabled = true;
    snapshot.settings.deduplication.replay_window = Milliseconds(1000);
    return snapshot;
}

bool alike_after(const std::function<void(Snapshot&)>& change) {
    Snapshot before = plain();
    Snapshot after = plain();
    change(after);
    return is_served_alike({{}, "alpha", "model-x"}, before, after);
}

Provider& provider(Snapshot& snapshot, std::size_t i) { return const_cast<Provider&>(*snapshot.providers[i]); }

TEST(IsServedAlike, WhateverElseChanges) {
    EXPECT_TRUE(alike_after([](Snapshot&) {}));
    EXPECT_TRUE(alike_after([](Snapshot& s) { provider(s, 0).max_concurrency = 7; }));
    EXPECT_TRUE(alike_after([](Snapshot& s) { provider(s, 0).credential = Credential{"x-api-key", "fresh"}; }));
    EXPECT_TRUE(alike_after([](Snapshot& s) { provider(s, 1).etag = "changed"; }));
    EXPECT_TRUE(alike_after([](Snapshot& s) { s.routes[1].targets[0].model = "y"; }));
    EXPECT_TRUE(alike_after([](Snapshot& s) { s.settings.app_name = "new"; }));
}

TEST(IsServedAlike, NotByAnotherProviderOrAnotherWay) {
    EXPECT_FALSE(alike_after([](Snapshot& s) { provider(s, 0).etag = "changed"; }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { provider(s, 0).name = "renamed"; }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.routes[0].targets[0].model = "y"; }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.routes[0].targets[1].priority = 1; }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.routes[0].targets.pop_back(); }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.routes.erase(s.routes.begin()); s.exact_routes.clear(); }));
    EXPECT_FALSE(alike_after([](Snapshot& s) {
        s.routes.push_back({Glob("model-*"), {{s.find_provider("beta"), "", 1}}});
    }));
}

TEST(IsServedAlike, NotUnderOtherRulesOfSharing) {
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.settings.deduplication.enabled = false; }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.settings.deduplication.include_max_tokens = true; }));
    EXPECT_FALSE(alike_after([](Snapshot& s) { s.settings.deduplication.replay_window = Milliseconds(999); }));
}

}  // namespace
}  // namespace balancer::dataplane
