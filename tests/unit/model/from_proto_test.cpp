#include "model/from_proto.hpp"

#include <gtest/gtest.h>

#include "model/protocol.hpp"

namespace balancer {
namespace {

v1::Provider& add_provider(v1::ConfigSection& config, const std::string& name) {
    v1::Provider& provider = *config.add_providers();
    provider.set_name(name);
    provider.set_type(v1::PROVIDER_TYPE_ANTHROPIC);
    provider.set_auth_type(v1::AUTH_TYPE_API_KEY);
    provider.set_base_url("http://127.0.0.1:1");
    provider.set_credential_ref("provider/" + name);
    provider.set_enabled(true);
    return provider;
}

v1::ConfigSection config_of(std::initializer_list<const char*> names) {
    v1::ConfigSection config;
    config.set_schema(1);
    v1::Route& route = *config.add_routes();
    route.set_pattern("claude-*");
    for (const char* name : names) {
        add_provider(config, name);
        v1::RouteTarget& target = *route.add_targets();
        target.set_provider(name);
        target.set_enabled(true);
    }
    return config;
}

Result<Compiled> compile(const v1::ConfigSection& config, const v1::CredentialSection& credentials = {}) {
    static ProviderSlots slots;
    v1::Version version;
    version.set_seq(7);
    return compile_snapshot(version, config, credentials, slots);
}

TEST(FromProto, CompilesProvidersRoutesAndCredentials) {
    v1::ConfigSection config = config_of({"a", "b"});
    config.mutable_routes(0)->mutable_targets(0)->set_priority(2);
    config.mutable_routes(0)->mutable_targets(1)->set_priority(1);
    v1::CredentialSection credentials;
    v1::Credential& credential = *credentials.add_credentials();
    credential.set_ref("provider/a");
    credential.set_header_name("X-Api-Key");
    credential.set_header_value("v");
    Result<Compiled> compiled = compile(config, credentials);
    ASSERT_TRUE(compiled) << compiled.error().text();
    const Snapshot& snapshot = *compiled->snapshot;
    EXPECT_EQ(snapshot.version.seq, 7u);
    ASSERT_EQ(snapshot.providers.size(), 2u);
    ASSERT_TRUE(snapshot.providers[0]->credential);
    EXPECT_EQ(snapshot.providers[0]->credential->header_name, "x-api-key");
    EXPECT_FALSE(snapshot.providers[1]->credential);
    ASSERT_EQ(snapshot.routes.size(), 1u);
    EXPECT_EQ(snapshot.routes[0].targets[0].provider->name, "b");
    EXPECT_TRUE(snapshot.exact_routes.empty());
}

TEST(FromProto, ACredentialThatCannotBeSentSaysWhy) {
    v1::ConfigSection config = config_of({"a"});
    v1::CredentialSection credentials;
    v1::Credential& credential = *credentials.add_credentials();
    credential.set_ref("provider/a");
    credential.set_state(v1::Credential::REVOKED);
    credential.set_held_why("its access token has ended");
    Result<Compiled> compiled = compile(config, credentials);
    ASSERT_TRUE(compiled);
    const Credential& read = *compiled->snapshot->providers[0]->credential;
    EXPECT_FALSE(read.usable);
    ASSERT_EQ(read.holds.size(), 1U);
    EXPECT_EQ(read.holds[0].why, "its access token has ended");
    EXPECT_EQ(read.held("m", 0), nullptr) << "it holds nothing";
}

TEST(FromProto, WhatAnAccountHasLeftComesWithItsCredential) {
    v1::ConfigSection config = config_of({"a"});
    v1::CredentialSection credentials;
    v1::Credential& credential = *credentials.add_credentials();
    credential.set_ref("provider/a");
    Result<Compiled> untold = compile(config, credentials);
    ASSERT_TRUE(untold);
    EXPECT_EQ(untold->snapshot->providers[0]->credential->headroom, 100U) << "not told";
    EXPECT_EQ(untold->snapshot->providers[0]->credential->held("claude-opus-4", 0), nullptr);
    credential.set_headroom_percent(25);
    v1::ModelHold& hold = *credential.add_model_holds();
    hold.set_family("opus");
    hold.set_until_ms(20);
    hold.set_why("opus");
    Result<Compiled> told = compile(config, credentials);
    ASSERT_TRUE(told);
    EXPECT_EQ(told->snapshot->providers[0]->credential->headroom, 25U);
    EXPECT_EQ(told->snapshot->providers[0]->credential->held("claude-opus-4", 19)->why, "opus");
    EXPECT_EQ(told->snapshot->providers[0]->credential->held("claude-opus-4", 20), nullptr);
    EXPECT_EQ(told->snapshot->providers[0]->credential->held("claude-sonnet-4", 19), nullptr);
    credential.set_held_until_ms(30);
    credential.set_held_why("all");
    Result<Compiled> held = compile(config, credentials);
    ASSERT_TRUE(held);
    EXPECT_EQ(held->snapshot->providers[0]->credential->held("claude-opus-4", 19)->why, "all") << "the longer one";
}

TEST(FromProto, ABadProviderIsQuarantinedAloneWithItsReason) {
    v1::ConfigSection config = config_of({"good", "bad"});
    config.mutable_providers(1)->set_base_url("nonsense");
    Result<Compiled> compiled = compile(config);
    ASSERT_TRUE(compiled);
    EXPECT_EQ(compiled->snapshot->providers.size(), 1u);
    EXPECT_EQ(compiled->snapshot->routes[0].targets.size(), 1u);
    ASSERT_EQ(compiled->quarantined.size(), 1u);
    EXPECT_EQ(compiled->quarantined[0].resource, "provider/bad");
    EXPECT_EQ(compiled->quarantined[0].field_path, "base_url");
    EXPECT_NE(compiled->quarantined[0].message.find("nonsense"), std::string::npos);
}

TEST(FromProto, WhatCannotBeUsedAtAllIsRefused) {
    v1::ConfigSection config = config_of({"a"});
    config.set_schema(2);
    EXPECT_FALSE(compile(config));
    config = config_of({"a", "a"});
    EXPECT_FALSE(compile(config));
    config = config_of({"a"});
    config.mutable_settings()->mutable_health()->add_response_body_patterns("(");
    EXPECT_FALSE(compile(config));
}

TEST(FromProto, DisabledProvidersAndTargetsAreLeftOut) {
    v1::ConfigSection config = config_of({"a", "b"});
    config.mutable_providers(0)->set_enabled(false);
    Result<Compiled> compiled = compile(config);
    ASSERT_TRUE(compiled);
    EXPECT_EQ(compiled->snapshot->find_provider("a"), nullptr);
    EXPECT_EQ(compiled->snapshot->routes[0].targets.size(), 1u);
    config.mutable_routes(0)->mutable_targets(1)->set_enabled(false);
    EXPECT_TRUE(compile(config)->snapshot->routes.empty());
}

TEST(FromProto, AHeaderLineCannotBeSmuggledIn) {
    v1::ConfigSection config = config_of({"a"});
    v1::Header& header = *config.mutable_providers(0)->add_headers();
    header.set_name("x");
    header.set_value("1\r\nauthorization: stolen");
    EXPECT_EQ(compile(config)->quarantined.size(), 1u);
}

TEST(FromProto, SlotsOutliveReloads) {
    Result<Compiled> first = compile(config_of({"slot-x", "slot-y"}));
    Result<Compiled> second = compile(config_of({"slot-y"}));
    EXPECT_EQ(first->snapshot->find_provider("slot-y")->slot, second->snapshot->find_provider("slot-y")->slot);
}

TEST(FromProto, AnOutcomeSurvivesTheWire) {
    AttemptOutcome outcome{"p", "e", "m", "r", false, FailureClass::kQuota, true, 402, 1, 2, 3, "d", "probe-1", 9, true};
    AttemptOutcome back = to_outcome(to_signal(outcome));
    EXPECT_EQ(back.provider, "p");
    EXPECT_EQ(back.failure, FailureClass::kQuota);
    EXPECT_TRUE(back.counted);
    EXPECT_EQ(back.http_status, 402u);
    EXPECT_EQ(back.retry_at, 3);
    EXPECT_EQ(back.probe_id, "probe-1");
    EXPECT_EQ(back.probe_epoch, 9u);
    EXPECT_TRUE(back.local_origin);
    v1::Signal unknown = to_signal(outcome);
    unknown.set_failure(static_cast<v1::FailureClass>(99));
    EXPECT_EQ(to_outcome(unknown).failure, FailureClass::kProtocol);
}

// The control plane's parser refuses a message with a string that is not UTF-8, and one that is too large.
TEST(FromProto, ASignalCanBeParsedWhateverItTells) {
    AttemptOutcome outcome;
    outcome.detail = "\xE6\x9C\xAC cut here: \xE6\x9C";
    outcome.model = std::string(kNameBytesMax - 1, 'm') + "\xE6\x9C\xAC and four megabytes more";
    v1::Signal back;
    ASSERT_TRUE(back.ParseFromString(to_signal(outcome).SerializeAsString()));
    EXPECT_EQ(back.detail(), "\xE6\x9C\xAC cut here: \xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(back.model(), std::string(kNameBytesMax - 1, 'm'));
}

}  // namespace
}  // namespace balancer
