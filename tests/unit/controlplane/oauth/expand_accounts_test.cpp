// One provider for each account, in the provider's place.
#include "controlplane/oauth/expand_accounts.hpp"

#include <gtest/gtest.h>

namespace balancer::controlplane {
namespace {

v1::ConfigSection config(std::vector<std::string> accounts = {}) {
    v1::ConfigSection out;
    out.set_schema(1);
    out.mutable_settings()->set_app_name("x");
    v1::Provider& key = *out.add_providers();
    key.set_name("key");
    key.set_auth_type(v1::AUTH_TYPE_API_KEY);
    v1::Provider& claude = *out.add_providers();
    claude.set_name("claude");
    claude.set_auth_type(v1::AUTH_TYPE_OAUTH);
    claude.set_enabled(true);
    claude.set_etag("E");
    for (std::string& name : accounts) claude.add_accounts(std::move(name));
    v1::Route& route = *out.add_routes();
    route.set_pattern("*");
    for (const char* name : {"claude", "key"}) {
        v1::RouteTarget& target = *route.add_targets();
        target.set_provider(name);
        target.set_model("m");
        target.set_priority(target.provider() == "key" ? 2 : 1);
    }
    return out;
}

struct Accounts {
    std::vector<Account> kept;
    std::vector<const Account*> list;
    explicit Accounts(std::vector<std::string> names) : kept(names.size()) {
        for (std::size_t i = 0; i < names.size(); ++i) {
            kept[i].name = names[i];
            list.push_back(&kept[i]);
        }
    }
};

std::string targets_of(const v1::ConfigSection& config) {
    std::string out;
    for (const v1::RouteTarget& target : config.routes(0).targets()) {
        out += target.provider() + ":" + target.model() + ":" + std::to_string(target.priority()) + " ";
    }
    return out;
}

TEST(ExpandAccounts, AllThatAreLoggedInUnlessTheConfigurationNamesThem) {
    Accounts two({"ann", "bob"});
    v1::ConfigSection all = expand_accounts(config(), two.list, true);
    ASSERT_EQ(all.providers_size(), 3);
    EXPECT_EQ(targets_of(all), "claude/ann:m:1 claude/bob:m:1 key:m:2 ");
    const v1::Provider& ann = all.providers(1);
    EXPECT_EQ(ann.group(), "claude");
    EXPECT_EQ(ann.account(), "ann");
    EXPECT_EQ(ann.credential_ref(), "oauth/ann");
    EXPECT_TRUE(ann.claude_code_only());
    EXPECT_TRUE(ann.enabled());
    EXPECT_NE(ann.etag(), all.providers(2).etag());
    EXPECT_EQ(all.settings().app_name(), "x");

    // In their order, whether or not somebody is logged in.
    v1::ConfigSection named = expand_accounts(config({"bob", "zoe"}), two.list, false);
    EXPECT_EQ(targets_of(named), "claude/bob:m:1 claude/zoe:m:1 key:m:2 ");
    EXPECT_EQ(named.providers(1).accounts_size(), 0);
    EXPECT_FALSE(named.providers(1).claude_code_only());
}

TEST(ExpandAccounts, AProviderWithoutAnyStays) {
    v1::ConfigSection none = expand_accounts(config(), {}, true);
    EXPECT_EQ(targets_of(none), "claude:m:1 key:m:2 ");
    EXPECT_EQ(none.providers(1).credential_ref(), "");
}

TEST(ExpandAccounts, AnotherTrustIsAnotherGenerationOfTheProvider) {
    Accounts one({"ann"});
    std::string before = expand_accounts(config(), one.list, true).providers(1).etag();
    one.kept[0].generation = 7;
    EXPECT_EQ(expand_accounts(config(), one.list, true).providers(1).etag(), before);
    one.kept[0].trust = 1;
    EXPECT_NE(expand_accounts(config(), one.list, true).providers(1).etag(), before);
}

}  // namespace
}  // namespace balancer::controlplane
