// Revisions: what runs after which change, restart and reload.
#include "controlplane/revisions.hpp"

#include "tests/unit/controlplane/admin/revisions_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(RevisionsTest, TheFirstStartIsTheFirstRevision) {
    start(config_yaml());
    EXPECT_EQ(number(), 1U);
    EXPECT_FALSE(plane_->status().differs_from_file());
    ASSERT_EQ(store_.revisions.size(), 1U);
    EXPECT_EQ(store_.revisions[0].source, RevisionSource::kStart);
    EXPECT_EQ(store_.revisions[0].yaml, config_yaml());
    start(config_yaml());
    EXPECT_EQ(number(), 1U) << "a restart is no change";
}

TEST_F(RevisionsTest, AnEditIsARevisionThatSaysWhoAndWhy) {
    start(config_yaml());
    std::uint64_t before = seq();
    Result<v1::ChangeResponse> answer = set_weight("alpha", 7);
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_TRUE(answer->changed());
    EXPECT_EQ(answer->revision(), 2U);
    EXPECT_GT(seq(), before);
    EXPECT_EQ(answer->version().seq(), seq());
    EXPECT_EQ(view("alpha").provider().weight(), 7U);
    EXPECT_TRUE(has(answer->diff(), "+    weight: 7\n")) << answer->diff();
    const Revision& head = store_.revisions.back();
    EXPECT_EQ(head.actor, "joe@host");
    EXPECT_EQ(head.reason, "because");
    EXPECT_EQ(head.parent, 1U);
    EXPECT_EQ(head.source, RevisionSource::kCli);
    EXPECT_EQ(head.summary, "provider 'alpha' changed (weight)");
    EXPECT_EQ(file_text(), config_yaml()) << "the file is the operator's";
    EXPECT_TRUE(plane_->status().differs_from_file());
    EXPECT_FALSE(set_weight("alpha", 7)->changed());
    EXPECT_EQ(number(), 2U);
}

TEST_F(RevisionsTest, EditsOutliveARestartWhileTheFileStays) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    ASSERT_TRUE(set_enabled("beta", false));
    start(config_yaml());
    EXPECT_EQ(number(), 3U);
    EXPECT_EQ(view("alpha").provider().weight(), 7U);
    EXPECT_FALSE(view("beta").provider().enabled());
    EXPECT_EQ(plane_->reload("test").result, ReloadResult::kUnchanged);
    EXPECT_EQ(view("alpha").provider().weight(), 7U);
    EXPECT_TRUE(has(notices(), "config save")) << notices();
}

TEST_F(RevisionsTest, AChangedFileWinsAtAStartAndSaysWhatWasLost) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    ASSERT_TRUE(add_delta("sk-canary-delta-key"));
    ASSERT_TRUE(set_enabled("beta", false));
    start(replaced(config_yaml(), "failure_cooldown: 600", "failure_cooldown: 60"));
    EXPECT_EQ(number(), 5U);
    EXPECT_EQ(store_.revisions.back().source, RevisionSource::kFile);
    EXPECT_EQ(view("alpha").provider().weight(), 0U);
    EXPECT_FALSE(view("beta").provider().enabled()) << "enable and disable stay";
    EXPECT_TRUE(has(notices(), "provider 'alpha' changed (weight)")) << notices();
    EXPECT_TRUE(has(notices(), "provider 'delta' added"));
    EXPECT_TRUE(has(notices(), "route '*haiku*' added"));
    EXPECT_TRUE(has(notices(), "rollback 4"));
    EXPECT_FALSE(has(notices(), "canary"));
    ASSERT_TRUE(rollback(4));
    EXPECT_EQ(view("alpha").provider().weight(), 7U);
}

TEST_F(RevisionsTest, AChangedFileWinsAtAReloadToo) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    ASSERT_TRUE(set_weight("beta", 3));
    // The operator has taken over one of the two.
    std::string yaml = replaced(
        config_yaml(), "    auth_type: auth_token", "    weight: 3\n    auth_type: auth_token"
    );
    EXPECT_EQ(reload(yaml).result, ReloadResult::kChanged);
    EXPECT_EQ(number(), 4U);
    EXPECT_EQ(view("alpha").provider().weight(), 0U);
    EXPECT_EQ(view("beta").provider().weight(), 3U);
    EXPECT_TRUE(has(notices(), "'alpha' changed (weight)")) << notices();
    EXPECT_FALSE(has(notices(), "'beta'")) << notices();
    EXPECT_FALSE(plane_->status().differs_from_file());
}

TEST_F(RevisionsTest, ABadFileAtAReloadLeavesTheEdits) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    EXPECT_EQ(reload("providers: 3\n").result, ReloadResult::kRefused);
    EXPECT_EQ(number(), 2U);
    EXPECT_EQ(view("alpha").provider().weight(), 7U);
}

TEST_F(RevisionsTest, CommentsAloneAreARevisionButNoPublication) {
    start(config_yaml());
    std::uint64_t before = seq();
    EXPECT_EQ(reload(config_yaml() + "# a comment\n").result, ReloadResult::kUnchanged);
    EXPECT_EQ(number(), 2U);
    EXPECT_EQ(store_.revisions.back().summary, "comments or layout only");
    EXPECT_EQ(seq(), before);
}

TEST_F(RevisionsTest, AReloadKeepsWhoAskedForIt) {
    start(config_yaml());
    dir_.write("config.yaml", replaced(config_yaml(), "priority: 2", "priority: 4"));
    EXPECT_EQ(plane_->reload("test", context()).result, ReloadResult::kChanged);
    EXPECT_EQ(store_.revisions.back().actor, "joe@host");
    EXPECT_EQ(store_.revisions.back().reason, "because");
    EXPECT_EQ(reload(config_yaml()).result, ReloadResult::kChanged);
    EXPECT_EQ(store_.revisions.back().actor, "");
    EXPECT_EQ(store_.revisions.back().reason, "test");
}

TEST_F(RevisionsTest, ADryRunShowsAndChangesNothing) {
    start(config_yaml());
    std::uint64_t before = seq();
    v1::ChangeContext dry = context();
    dry.set_dry_run(true);
    Result<v1::ChangeResponse> answer = set_weight("alpha", 7, dry);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->dry_run());
    EXPECT_TRUE(has(answer->diff(), "+    weight: 7\n"));
    EXPECT_FALSE(has(answer->diff(), "canary")) << answer->diff();
    EXPECT_EQ(answer->revision(), 1U);
    EXPECT_EQ(seq(), before);
    EXPECT_EQ(store_.revisions.size(), 1U);
    EXPECT_EQ(view("alpha").provider().weight(), 0U);
}

TEST_F(RevisionsTest, AChangeOfAnotherStateThanTheRunningOneIsRefused) {
    start(config_yaml());
    v1::ChangeContext stale = context();
    stale.set_if_revision(1);
    ASSERT_TRUE(set_weight("alpha", 7, stale));
    Result<v1::ChangeResponse> answer = set_weight("alpha", 8, stale);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "revision 1 is not in force any more, 2 is (by joe@host")
    ) << answer.error().text();
    EXPECT_FALSE(rollback(1, stale));
    v1::SetProviderEnabledRequest disable;
    *disable.mutable_context() = stale;
    disable.set_name("alpha");
    EXPECT_FALSE(plane_->set_provider_enabled(disable));
    EXPECT_EQ(number(), 2U);
    stale.set_if_revision(2);
    EXPECT_TRUE(set_weight("alpha", 8, stale));
}

TEST_F(RevisionsTest, AChangeOfAnotherGenerationOfAProviderIsRefused) {
    start(config_yaml());
    v1::EditConfigRequest request;
    v1::UpdateProviderEdit& update = *request.mutable_update_provider();
    update.mutable_provider()->set_name("alpha");
    update.mutable_provider()->set_base_url("http://127.0.0.1:1");
    update.set_if_etag(view("alpha").provider().etag());
    ASSERT_TRUE(plane_->edit_config(request));
    update.mutable_provider()->set_base_url("http://127.0.0.1:2");
    Result<v1::ChangeResponse> answer = plane_->edit_config(request);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), view("alpha").provider().etag()));
    EXPECT_EQ(view("alpha").provider().base_url(), "http://127.0.0.1:1");
}

TEST_F(RevisionsTest, WhatTheLoaderRefusesIsToldWithPathAndSuggestion) {
    start(config_yaml());
    std::uint64_t before = seq();
    v1::EditConfigRequest request;
    v1::ProviderEdit& provider = *request.mutable_update_provider()->mutable_provider();
    provider.set_name("beta");
    provider.set_auth_type("api_kee");
    provider.set_weight(5000);
    Result<v1::ChangeResponse> answer = plane_->edit_config(request);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "providers[1].auth_type: 'api_kee' is not one of"))
        << answer.error().text();
    EXPECT_TRUE(has(answer.error().text(), "did you mean 'api_key'?"));
    EXPECT_TRUE(has(answer.error().text(), "providers[1].weight: 5000 is not between"));
    EXPECT_FALSE(has(answer.error().text(), "canary"));
    EXPECT_EQ(seq(), before);
    EXPECT_EQ(store_.revisions.size(), 1U);
}

TEST_F(RevisionsTest, AChangeThatCannotBeKeptIsNotPublished) {
    start(config_yaml());
    std::uint64_t before = seq();
    store_.broken = true;
    Result<v1::ChangeResponse> answer = set_weight("alpha", 7);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "disk full"));
    EXPECT_EQ(seq(), before);
    EXPECT_EQ(view("alpha").provider().weight(), 0U);
    EXPECT_EQ(number(), 1U);
    EXPECT_EQ(
        reload(replaced(config_yaml(), "priority: 2", "priority: 4")).result, ReloadResult::kRefused
    );
    store_.broken = false;
    EXPECT_TRUE(set_weight("alpha", 7));
    EXPECT_EQ(number(), 2U);
}

TEST_F(RevisionsTest, ReferencesStayReferencesAndAreReadAgain) {
    variables_["DELTA_KEY"] = "sk-canary-delta-1";
    start(config_yaml());
    ASSERT_TRUE(add_delta("${DELTA_KEY}"));
    EXPECT_FALSE(has(store_.revisions.back().yaml, "sk-canary-delta"));
    std::string etag = view("delta").provider().etag();
    variables_["DELTA_KEY"] = "sk-canary-delta-2";
    std::uint64_t before = seq();
    EXPECT_EQ(plane_->reload("test").result, ReloadResult::kChanged);
    EXPECT_GT(seq(), before);
    EXPECT_NE(view("delta").provider().etag(), etag);
    EXPECT_EQ(number(), 2U) << "the configuration itself has not changed";
}

TEST_F(RevisionsTest, AHeadThatCannotBeUsedAnyMoreEndsTheStartUntilTheFileChanges) {
    variables_["DELTA_KEY"] = "sk-canary-delta-1";
    start(config_yaml());
    ASSERT_TRUE(add_delta("${DELTA_KEY}"));
    variables_.clear();
    try_start(config_yaml());
    ASSERT_FALSE(started_);
    EXPECT_TRUE(is_bad_config(started_.error()));
    EXPECT_TRUE(has(started_.error().text(), "revision 2")) << started_.error().text();
    EXPECT_TRUE(has(started_.error().text(), "DELTA_KEY is not set"));
    start(config_yaml() + "# a comment\n");
    EXPECT_FALSE(plane_->list_providers("delta"));
}

}  // namespace
}  // namespace balancer::controlplane
