// The history: rollback, save, what is shown of it; and changes that take something away.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "controlplane/config/edits.hpp"
#include "tests/unit/controlplane/admin/revisions_fixture.hpp"

namespace balancer::controlplane {
namespace {

TEST_F(RevisionsTest, ARollbackIsTheOldContentUnderANewNumber) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    ASSERT_TRUE(set_enabled("beta", false));
    ASSERT_TRUE(add_delta("passthrough"));
    Result<v1::ChangeResponse> answer = rollback(2, context());
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->revision(), 5U);
    EXPECT_EQ(view("alpha").provider().weight(), 7U);
    EXPECT_TRUE(view("beta").provider().enabled()) << "what was disabled by hand belongs to it";
    EXPECT_FALSE(plane_->list_providers("delta"));
    EXPECT_EQ(store_.revisions.back().source, RevisionSource::kRollback);
    EXPECT_EQ(store_.revisions.back().parent, 4U);
    EXPECT_TRUE(has(store_.revisions.back().summary, "as revision 2: "));
    ASSERT_TRUE(rollback(3));
    EXPECT_FALSE(view("beta").provider().enabled());
    EXPECT_FALSE(rollback(6)->changed()) << "it is in force";
    Result<v1::ChangeResponse> unknown = rollback(99);
    ASSERT_FALSE(unknown);
    EXPECT_TRUE(has(unknown.error().text(), "no revision 99"));
}

TEST_F(RevisionsTest, ARollbackThatIsNoGoodAnyMoreIsRefusedWithTheReason) {
    variables_["DELTA_KEY"] = "sk-canary-delta-1";
    start(config_yaml());
    ASSERT_TRUE(add_delta("${DELTA_KEY}"));
    ASSERT_TRUE(rollback(1));
    variables_.clear();
    std::uint64_t before = seq();
    Result<v1::ChangeResponse> answer = rollback(2);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "DELTA_KEY is not set")) << answer.error().text();
    EXPECT_EQ(seq(), before);
    EXPECT_EQ(number(), 3U);
}

TEST_F(RevisionsTest, SaveWritesWhatRunsAndTheWatchMakesNothingOfIt) {
    start(config_yaml());
    ASSERT_EQ(::chmod(file_.c_str(), 0640), 0);
    ASSERT_TRUE(set_weight("alpha", 7));
    ASSERT_TRUE(set_enabled("beta", false));
    Result<v1::ChangeResponse> answer = save(false, true);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(has(answer->diff(), "+    weight: 7\n"));
    EXPECT_FALSE(has(answer->diff(), "canary"));
    EXPECT_EQ(file_text(), config_yaml()) << "a dry run";
    ASSERT_TRUE(save());
    EXPECT_TRUE(has(file_text(), "    weight: 7\n"));
    EXPECT_TRUE(has(file_text(), test::kCanaryKey)) << "the file is not masked";
    struct stat status {};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0640U);
    EXPECT_EQ(plane_->reload("the file changed").result, ReloadResult::kUnchanged);
    EXPECT_EQ(number(), 3U);
    EXPECT_FALSE(plane_->status().differs_from_file());
    EXPECT_FALSE(save()->changed());
    // Going back to the file of before is a change of the file now.
    EXPECT_EQ(reload(config_yaml()).result, ReloadResult::kChanged);
    EXPECT_EQ(view("alpha").provider().weight(), 0U);
}

TEST_F(RevisionsTest, ASaveThatWasNotNotedIsNoChangeOfTheFile) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    std::string running = store_.revisions.back().yaml;
    start(running);
    EXPECT_EQ(number(), 2U) << "killed between the file and the store";
    EXPECT_FALSE(plane_->status().differs_from_file());
}

TEST_F(RevisionsTest, SaveDoesNotOverwriteAFileThatChangedSinceUnlessForced) {
    start(config_yaml());
    ASSERT_TRUE(set_weight("alpha", 7));
    dir_.write("config.yaml", "providers: 3\n");
    Result<v1::ChangeResponse> answer = save();
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "--force")) << answer.error().text();
    EXPECT_EQ(file_text(), "providers: 3\n");
    ASSERT_TRUE(save(true));
    EXPECT_TRUE(has(file_text(), "weight: 7"));
}

TEST_F(RevisionsTest, SaveWritesThroughASymbolicLink) {
    start(config_yaml());
    std::filesystem::path real = dir_.path() / "real.yaml";
    std::filesystem::rename(file_, real);
    std::filesystem::create_symlink(real, file_);
    ASSERT_TRUE(set_weight("alpha", 7));
    ASSERT_TRUE(save());
    EXPECT_TRUE(std::filesystem::is_symlink(file_));
    EXPECT_TRUE(has(*read_file(real), "weight: 7"));
}

TEST_F(RevisionsTest, AChangeThatSendsACredentialElsewhereSaysSo) {
    start(config_yaml());
    const std::string moved = replaced(config_yaml(), "http://127.0.0.1:7001", "https://b.example:8443/x");
    ASSERT_NE(moved, config_yaml());
    const std::string words =
        "the credential of provider 'alpha' will from now on go to https://b.example:8443 rather than to http://127.0.0.1:7001";
    // Before: in the file.
    dir_.write("config.yaml", moved);
    Result<v1::DiffConfigResponse> diff = plane_->diff_config(v1::DiffConfigRequest());
    ASSERT_TRUE(diff);
    ASSERT_EQ(diff->warnings_size(), 1) << diff->ShortDebugString();
    EXPECT_EQ(
        diff->warnings(0),
        "the credential of provider 'alpha': to https://b.example:8443 by " + file_.string() +
            ", to http://127.0.0.1:7001 by revision 1 (running)"
    );
    v1::ValidateConfigResponse checked = plane_->validate(v1::ValidateConfigRequest());
    EXPECT_TRUE(has(checked.ShortDebugString(), "https://b.example:8443 rather than")) << checked.ShortDebugString();
    // When it is taken: a notice, and an event.
    std::vector<std::string> logged;
    log_.set_tap([&](const LogRecord& record) { logged.push_back(record.message); });
    ASSERT_EQ(reload(moved).result, ReloadResult::kChanged);
    EXPECT_EQ(std::count(logged.begin(), logged.end(), words), 1);
    EXPECT_TRUE(has(plane_->status().ShortDebugString(), "https://b.example:8443 rather than"));
    // By hand, tried and done.
    v1::EditConfigRequest edit;
    edit.mutable_context()->set_dry_run(true);
    edit.mutable_update_provider()->mutable_provider()->set_name("alpha");
    edit.mutable_update_provider()->mutable_provider()->set_base_url("https://c.example");
    Result<v1::ChangeResponse> tried = plane_->edit_config(edit);
    ASSERT_TRUE(tried);
    ASSERT_EQ(tried->warnings_size(), 1) << tried->ShortDebugString();
    EXPECT_TRUE(has(tried->warnings(0), "https://c.example rather than to https://b.example:8443"));
    logged.clear();
    edit.mutable_context()->set_dry_run(false);
    ASSERT_TRUE(plane_->edit_config(edit));
    EXPECT_EQ(std::count(logged.begin(), logged.end(), tried->warnings(0)), 1);
    // At a start.
    logged.clear();
    start(config_yaml());
    log_.set_tap({});
    EXPECT_TRUE(has(fmt::format("{}", fmt::join(logged, "\n")), "http://127.0.0.1:7001 rather than to https://c.example"));
    // Another path is the same origin.
    ASSERT_EQ(
        reload(replaced(config_yaml(), "http://127.0.0.1:7001", "http://127.0.0.1:7001/other")).result, ReloadResult::kChanged
    );
    EXPECT_FALSE(has(plane_->status().ShortDebugString(), "rather than"));
}

TEST_F(RevisionsTest, NoViewShowsASecret) {
    start(config_yaml());
    ASSERT_TRUE(add_delta("canary-literal-key"));
    ASSERT_TRUE(add_delta("x").has_error());
    dir_.write("config.yaml", replaced(config_yaml(), test::kCanaryKey, "canary-other-key"));
    std::string all = diff() + diff("1", "2") + diff("file", "1") + diff("running", "1");
    EXPECT_TRUE(has(all, "[redacted "));
    for (std::uint64_t n : {1U, 2U}) {
        Result<v1::ShowConfigResponse> shown = plane_->show_revision(n);
        ASSERT_TRUE(shown);
        EXPECT_TRUE(has(shown->yaml(), "name: alpha"));
        all += shown->yaml();
    }
    all += plane_->list_revisions(v1::ListRevisionsRequest())->ShortDebugString();
    all += plane_->status().ShortDebugString();
    EXPECT_FALSE(has(all, "canary")) << all;
    EXPECT_NE(diff("file", "1"), "") << "another secret is a difference";
    const std::string& kept = store_.revisions.back().yaml;
    EXPECT_TRUE(has(kept, test::kCanaryKey)) << "a secret of the operator's own file is kept as it is";
    EXPECT_TRUE(has(kept, "sealed:delta.")) << kept;
    EXPECT_FALSE(has(kept, "canary-literal-key")) << "a key that was handed over has a sealed record of its own";
}

TEST_F(RevisionsTest, ADiffNamesItsSidesAndRefusesOthers) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("beta", false));
    EXPECT_TRUE(has(diff("1", "2"), "+# provider 'beta' is disabled by hand")) << diff("1", "2");
    EXPECT_EQ(diff(), "") << "the file has nothing to say about it";
    v1::DiffConfigRequest request;
    request.set_from("yesterday");
    EXPECT_FALSE(plane_->diff_config(request));
    request.set_from("17");
    EXPECT_FALSE(plane_->diff_config(request));
}

TEST_F(RevisionsTest, TheLastProviderGoesByForceOnly) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false));
    v1::SetProviderEnabledRequest request;
    request.set_name("beta");
    request.set_drain(true);
    EXPECT_FALSE(plane_->set_provider_enabled(request));
    EXPECT_EQ(number(), 2U);
    request.mutable_context()->set_force(true);
    ASSERT_TRUE(plane_->set_provider_enabled(request));
    EXPECT_EQ(plane_->status().providers_total(), 0U);
    start(config_yaml());
    EXPECT_EQ(plane_->status().providers_total(), 0U) << "it was meant";
    EXPECT_EQ(
        reload(replaced(config_yaml(), "priority: 2", "priority: 4")).result, ReloadResult::kChanged
    );
    ASSERT_TRUE(set_enabled("alpha", true));
    EXPECT_FALSE(rollback(3)) << "from some to none, once more";
}

TEST_F(RevisionsTest, ADrainIsADisableThatSaysSo) {
    start(config_yaml());
    v1::SetProviderEnabledRequest request;
    request.set_name("alpha");
    request.set_drain(true);
    Result<v1::ChangeResponse> answer = plane_->set_provider_enabled(request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->message(), "'alpha' is drained");
    EXPECT_TRUE(view("alpha").draining());
    EXPECT_FALSE(view("alpha").provider().enabled());
    EXPECT_FALSE(plane_->set_provider_enabled(request)->changed());
    EXPECT_TRUE(has(notices(), "'alpha' is drained by hand"));
    request.set_drain(false);
    EXPECT_TRUE(plane_->set_provider_enabled(request)->changed());
    EXPECT_FALSE(view("alpha").draining());
    ASSERT_TRUE(set_enabled("alpha", true));
    EXPECT_TRUE(store_.overrides().empty());
}

TEST_F(RevisionsTest, RemovesAProviderAndItsRoutes) {
    start(config_yaml());
    v1::EditConfigRequest request;
    request.mutable_remove_provider()->set_name("alpha");
    Result<v1::ChangeResponse> answer = plane_->edit_config(request);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "--with-routes"));
    request.mutable_remove_provider()->set_with_routes(true);
    answer = plane_->edit_config(request);
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->warnings_size(), 2);
    EXPECT_FALSE(plane_->list_providers("alpha"));
    EXPECT_EQ(plane_->list_routes().routes_size(), 1);
    request.mutable_remove_provider()->set_name("delta");
    answer = plane_->edit_config(request);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(is_unknown_name(answer.error()));
    EXPECT_FALSE(plane_->edit_config(v1::EditConfigRequest()));
}

TEST_F(RevisionsTest, RemovingTheLastEnabledOneNeedsForceAndIsNoGoodConfigurationAnyway) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("beta", false));
    v1::EditConfigRequest request;
    request.mutable_remove_provider()->set_name("alpha");
    request.mutable_remove_provider()->set_with_routes(true);
    Result<v1::ChangeResponse> answer = plane_->edit_config(request);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(has(answer.error().text(), "--force")) << answer.error().text();
    EXPECT_TRUE(plane_->list_providers("alpha"));
}

TEST_F(RevisionsTest, LosesCommentsOnlyWhereItMustAndSaysSo) {
    start(replaced(config_yaml(), "settings:", "x-none: &none {connect: 1}\nsettings:"));
    v1::EditConfigRequest request;
    v1::TargetEdit& target = *request.mutable_set_target();
    target.set_pattern("*sonnet*");
    target.set_provider("alpha");
    target.set_priority(4);
    Result<v1::ChangeResponse> answer = plane_->edit_config(request);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->warnings_size(), 0);
    ASSERT_EQ(
        reload("providers: [{name: a, type: anthropic, base_url: 'http://a', auth_type: api_key, "
               "auth_value: "
               "passthrough}] # flow\nmodel_routes: {'*': [{provider: a, model: m, priority: 1}]}\n"
        )
            .result,
        ReloadResult::kChanged
    );
    target.set_pattern("new");
    target.set_provider("a");
    answer = plane_->edit_config(request);
    ASSERT_TRUE(answer) << answer.error().text();
    ASSERT_EQ(answer->warnings_size(), 1);
    EXPECT_TRUE(has(answer->warnings(0), "comments are lost"));
    EXPECT_EQ(plane_->list_routes().routes_size(), 2);
}

}  // namespace
}  // namespace balancer::controlplane
