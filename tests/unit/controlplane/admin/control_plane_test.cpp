#include "controlplane/control_plane.hpp"

#include "controlplane/config/edits.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::controlplane {
namespace {

using test::config_yaml;
using test::replaced;

class ControlPlaneTest : public test::ControlPlaneTest {
  protected:
    // beta's circuit is open after this. (alpha is alone on a route, and never taken out.)
    void open_beta() {
        std::string etag = view("beta").provider().etag();
        for (int i = 0; i < 2; ++i) fail("beta", etag);
        ASSERT_EQ(view("beta").health().circuit(), v1::CIRCUIT_OPEN);
    }
};

TEST_F(ControlPlaneTest, PublishesAtTheStart) {
    start(config_yaml());
    EXPECT_TRUE(plane_->publisher().ready());
    v1::GetStatusResponse status = plane_->status();
    EXPECT_EQ(status.head().epoch(), 7U);
    EXPECT_EQ(status.head().store_uuid(), "store-1");
    EXPECT_EQ(status.providers_total(), 2U);
    EXPECT_EQ(status.providers_healthy(), 2U);
    EXPECT_EQ(status.config_sha256().size(), 64U);
}

TEST_F(ControlPlaneTest, ABadFileChangesNothingAndTheReasonIsKept) {
    start(config_yaml());
    std::uint64_t seq = plane_->publisher().head().seq();
    std::string sha256 = plane_->status().config_sha256();
    ReloadOutcome outcome =
        reload(replaced(config_yaml(), "auth_type: api_key", "auth_typ: api_key"));
    EXPECT_EQ(outcome.result, ReloadResult::kRefused);
    ASSERT_FALSE(outcome.problems.empty());
    EXPECT_GT(outcome.problems[0].line, 0U);
    EXPECT_EQ(plane_->publisher().head().seq(), seq);
    v1::GetStatusResponse status = plane_->status();
    EXPECT_EQ(status.config_sha256(), sha256);
    EXPECT_NE(status.last_reload_error().find("auth_typ"), std::string::npos);
    EXPECT_GT(status.last_reload_error_at_ms(), 0);
    EXPECT_EQ(plane_->tally().reloads_refused, 1U);

    EXPECT_EQ(reload(config_yaml()).result, ReloadResult::kUnchanged);
    EXPECT_EQ(plane_->status().last_reload_error(), "") << "the file is good again";
}

TEST_F(ControlPlaneTest, AMissingFileIsRefusedToo) {
    start(config_yaml());
    std::filesystem::remove(file_);
    EXPECT_EQ(plane_->reload("test").result, ReloadResult::kRefused);
    EXPECT_EQ(plane_->status().providers_total(), 2U);
}

TEST_F(ControlPlaneTest, WhoMayUseAccountsIsAChange) {
    start(config_yaml());
    std::string open = replaced(config_yaml(), "settings:\n", "settings:\n  oauth: {allow_other_clients: true}\n");
    EXPECT_EQ(reload(open).result, ReloadResult::kChanged);
    EXPECT_EQ(reload(open).result, ReloadResult::kUnchanged);
}

TEST_F(ControlPlaneTest, SaysWhenTheFileHasNotChanged) {
    start(config_yaml());
    std::uint64_t seq = plane_->publisher().head().seq();
    EXPECT_EQ(reload(config_yaml()).result, ReloadResult::kUnchanged);
    EXPECT_EQ(reload(config_yaml() + "# a comment\n").result, ReloadResult::kUnchanged);
    EXPECT_EQ(plane_->publisher().head().seq(), seq);
    EXPECT_EQ(plane_->tally().reloads_unchanged, 2U);
}

TEST_F(ControlPlaneTest, AChangedSecretIsAChange) {
    start(config_yaml());
    std::uint64_t seq = plane_->publisher().head().seq();
    EXPECT_EQ(
        reload(replaced(config_yaml(), test::kCanaryKey, "sk-another")).result,
        ReloadResult::kChanged
    );
    EXPECT_GT(plane_->publisher().head().seq(), seq);
}

TEST_F(ControlPlaneTest, OverridesShowBesideWhatTheFileSays) {
    start(config_yaml());
    Result<v1::ChangeResponse> answer = set_enabled("alpha", false);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->changed());
    ASSERT_EQ(answer->warnings_size(), 1) << "the route 'solo' has nobody left";
    EXPECT_NE(answer->warnings(0).find("solo"), std::string::npos);
    EXPECT_FALSE(view("alpha").provider().enabled());
    EXPECT_TRUE(view("alpha").enabled_in_file());
    v1::GetStatusResponse status = plane_->status();
    EXPECT_EQ(status.providers_total(), 1U);
    ASSERT_EQ(status.notices_size(), 1);
    EXPECT_NE(status.notices(0).find("because"), std::string::npos);
}

TEST_F(ControlPlaneTest, TheSameChangeTwiceIsNoChange) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false).has_value());
    std::uint64_t seq = plane_->publisher().head().seq();
    Result<v1::ChangeResponse> again = set_enabled("alpha", false);
    ASSERT_TRUE(again.has_value());
    EXPECT_FALSE(again->changed());
    EXPECT_EQ(plane_->publisher().head().seq(), seq);
}

TEST_F(ControlPlaneTest, OverridesSurviveAReloadAndARestart) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false).has_value());
    ASSERT_TRUE(set_enabled("gamma", true).has_value());
    std::string changed = replaced(config_yaml(), "priority: 2", "priority: 3");
    EXPECT_EQ(reload(changed).result, ReloadResult::kChanged);
    EXPECT_FALSE(view("alpha").provider().enabled());
    start(changed);
    EXPECT_FALSE(view("alpha").provider().enabled());
    EXPECT_TRUE(view("gamma").provider().enabled());
}

TEST_F(ControlPlaneTest, AnOverrideEndsWhenTheFilesOwnWordChanges) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("gamma", true).has_value());
    std::string enabled = replaced(config_yaml(), "enabled: false", "enabled: true");
    // The same in the end, so there is nothing to tell the data planes.
    EXPECT_EQ(reload(enabled).result, ReloadResult::kUnchanged);
    EXPECT_TRUE(store_.overrides().empty());
    EXPECT_EQ(reload(config_yaml()).result, ReloadResult::kChanged);
    EXPECT_FALSE(view("gamma").provider().enabled()) << "the file rules again";
}

TEST_F(ControlPlaneTest, GoingBackToTheFilesWordEndsTheOverride) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false).has_value());
    ASSERT_EQ(store_.overrides().size(), 1U);
    ASSERT_TRUE(set_enabled("alpha", true).has_value());
    EXPECT_TRUE(store_.overrides().empty());
    EXPECT_TRUE(view("alpha").provider().enabled());
}

TEST_F(ControlPlaneTest, RefusesToDisableTheLastEnabledProvider) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false).has_value());
    Result<v1::ChangeResponse> answer = set_enabled("beta", false);
    ASSERT_FALSE(answer.has_value());
    EXPECT_NE(answer.error().text().find("last enabled"), std::string::npos);
    EXPECT_TRUE(view("beta").provider().enabled());
}

TEST_F(ControlPlaneTest, RefusesAFileThatLeavesNobodyWithTheOverrides) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false).has_value());
    std::string yaml = replaced(
        config_yaml(), "auth_type: auth_token", "enabled: false\n    auth_type: auth_token"
    );
    EXPECT_EQ(reload(yaml).result, ReloadResult::kRefused);
    EXPECT_TRUE(view("beta").provider().enabled());
}

TEST_F(ControlPlaneTest, StartsWhenTheOverridesLeaveNobodyAndSaysSo) {
    store_.inherit({{"alpha", false, true, "", "", 1}, {"beta", false, true, "", "", 1}});
    start(config_yaml());
    EXPECT_EQ(plane_->status().providers_total(), 2U);
    ASSERT_EQ(plane_->status().notices_size(), 1);
    EXPECT_TRUE(store_.overrides().empty());
}

TEST_F(ControlPlaneTest, AChangeThatCannotBeStoredIsNotMade) {
    start(config_yaml());
    store_.broken = true;
    std::uint64_t seq = plane_->publisher().head().seq();
    EXPECT_FALSE(set_enabled("alpha", false).has_value());
    EXPECT_TRUE(view("alpha").provider().enabled());
    EXPECT_EQ(plane_->publisher().head().seq(), seq);
}

TEST_F(ControlPlaneTest, AStormOfFailuresIsAFewVersionsAndTheLastOneHasItAll) {
    start(config_yaml());
    std::string etag = view("beta").provider().etag();
    std::uint64_t before = plane_->publisher().head().seq();
    SteadyTime began = steady_now();
    for (int i = 0; i < 200; ++i) fail("beta", etag);
    std::uint64_t told = plane_->publisher().head().seq() - before;
    EXPECT_LE(told, 1U + static_cast<std::uint64_t>(elapsed_ms(began, steady_now())) / 50);
    auto current = [&] {
        std::uint64_t seq = plane_->publisher().head().seq();
        plane_->publisher().publish_health(plane_->merger().section(), "is this news?");
        return plane_->publisher().head().seq() == seq;
    };
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_OPEN);
    context_.restart();
    for (int i = 0; i < 5; ++i) context_.run_one_for(Milliseconds(60));
    EXPECT_TRUE(current()) << "what waited has been told";

    // What an operator asks for does not wait.
    v1::ResetProviderRequest reset;
    reset.set_name("beta");
    std::uint64_t seq = plane_->publisher().head().seq();
    fail("beta", etag);
    ASSERT_TRUE(plane_->reset_provider(reset).has_value());
    EXPECT_GT(plane_->publisher().head().seq(), seq);
    EXPECT_TRUE(current());
}

TEST_F(ControlPlaneTest, RequestsInFlightDoNotOverflow) {
    start(config_yaml());
    connect();
    v1::SyncRequest heartbeat;
    (*heartbeat.mutable_heartbeat()->mutable_in_flight_at())["alpha"] = ~0U;
    auto& registry = plane_->publisher().registry();
    registry.received(stream_id_, heartbeat);
    auto other = std::make_shared<controlplane::FakeStream>();
    auto id = registry.open(other, "ipv4:127.0.0.1:2");
    registry.received(id, controlplane::hello_of("dp-2", "instance-2"));
    registry.received(id, heartbeat);
    EXPECT_EQ(view("alpha").in_flight(), ~0U);
}

TEST_F(ControlPlaneTest, AnUnknownProviderIsNamedWithThoseThereAre) {
    start(config_yaml());
    Result<v1::ChangeResponse> answer = set_enabled("delta", false);
    ASSERT_FALSE(answer.has_value());
    EXPECT_TRUE(is_unknown_name(answer.error()));
    EXPECT_NE(answer.error().text().find("alpha, beta, gamma"), std::string::npos);
    EXPECT_FALSE(plane_->list_providers("delta").has_value());
}

TEST_F(ControlPlaneTest, ReportsOpenACircuitAndAResetClosesIt) {
    start(config_yaml());
    open_beta();
    EXPECT_EQ(plane_->status().providers_healthy(), 1U);
    EXPECT_FALSE(view("beta").recent_failures().empty());
    v1::ResetProviderRequest request;
    request.set_name("beta");
    std::uint64_t seq = plane_->publisher().head().seq();
    Result<v1::ChangeResponse> answer = plane_->reset_provider(request);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->changed());
    EXPECT_GT(plane_->publisher().head().seq(), seq);
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(view("beta").health().failure_count(), 0U);
}

TEST_F(ControlPlaneTest, AReloadKeepsHealth) {
    start(config_yaml());
    open_beta();
    EXPECT_EQ(
        reload(replaced(config_yaml(), "priority: 2", "priority: 5")).result, ReloadResult::kChanged
    );
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_OPEN);
}

TEST_F(ControlPlaneTest, TheLastProviderOfARouteStaysInUseAndIsShownAsUnhealthy) {
    start(config_yaml());
    std::string etag = view("alpha").provider().etag();
    for (int i = 0; i < 2; ++i) fail("alpha", etag);
    v1::ProviderHealth health = view("alpha").health();
    EXPECT_EQ(health.circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_TRUE(health.spared());
    EXPECT_NE(health.cause().find("route 'solo'"), std::string::npos) << health.cause();
    EXPECT_EQ(plane_->status().providers_healthy(), 1U);
}

TEST_F(ControlPlaneTest, DisablingTheOthersBringsAnOpenProviderBack) {
    start(config_yaml());
    open_beta();
    ASSERT_TRUE(set_enabled("alpha", false).has_value());
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_CLOSED);
    EXPECT_TRUE(view("beta").health().spared());
}

TEST_F(ControlPlaneTest, TheHistoryOfAProviderIsKept) {
    start(config_yaml());
    open_beta();
    v1::ResetProviderRequest request;
    request.set_name("beta");
    ASSERT_TRUE(plane_->reset_provider(request).has_value());
    v1::ProviderView beta = view("beta");
    ASSERT_EQ(beta.health_history_size(), 2);
    EXPECT_EQ(beta.health_history(0).to(), v1::CIRCUIT_CLOSED);
    EXPECT_EQ(beta.health_history(0).cause(), "reset by hand");
    EXPECT_EQ(beta.health_history(1).to(), v1::CIRCUIT_OPEN);
    EXPECT_NE(beta.health_history(1).cause().find("upstream_5xx (HTTP 500)"), std::string::npos);
}

TEST_F(ControlPlaneTest, SignalsOfAnotherGenerationAreIgnored) {
    start(config_yaml());
    for (int i = 0; i < 10; ++i) fail("alpha", "an older etag");
    fail("delta", "x");
    EXPECT_EQ(view("alpha").health().failure_count(), 0U);
    EXPECT_EQ(plane_->tally().signals_received, 11U);
    EXPECT_EQ(plane_->tally().signals_ignored, 11U);
}

TEST_F(ControlPlaneTest, ValidatesTextWithoutUsingIt) {
    start(config_yaml());
    v1::ValidateConfigRequest request;
    request.set_file_name("new.yaml");
    request.set_yaml("providers: 3\n");
    v1::ValidateConfigResponse bad = plane_->validate(request);
    EXPECT_FALSE(bad.ok());
    ASSERT_FALSE(bad.problems().empty());
    EXPECT_EQ(bad.problems(0).file(), "new.yaml");
    EXPECT_TRUE(plane_->validate(v1::ValidateConfigRequest()).ok()) << "its own file";
    EXPECT_EQ(plane_->status().providers_total(), 2U);
}

TEST_F(ControlPlaneTest, WhatAProviderSaidOfItsAccountIsKeptOverARestart) {
    start(config_yaml());
    fail("beta", view("beta").provider().etag(), v1::FAILURE_CLASS_AUTH, 401);
    ASSERT_EQ(view("beta").health().circuit(), v1::CIRCUIT_OPEN);
    plane_->stop();
    start(config_yaml());
    ASSERT_EQ(store_.kept_holds().size(), 1U);
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_OPEN);
    EXPECT_EQ(store_.holds_written(), 1);
    // An operator's word is kept at once.
    v1::ResetProviderRequest request;
    request.set_name("beta");
    ASSERT_TRUE(plane_->reset_provider(request));
    ASSERT_TRUE(store_.await_holds_written(2));
    EXPECT_TRUE(store_.kept_holds().empty());
    start(config_yaml());
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_CLOSED);
}

TEST_F(ControlPlaneTest, ADiskThatHangsHoldsUpNobodysHealth) {
    start(config_yaml());
    store_.hang_disk(true);
    fail("beta", view("beta").provider().etag(), v1::FAILURE_CLASS_AUTH, 401);
    // The publication may wait for its turn; the write that goes with it hangs.
    for (int i = 0; i < 5; ++i) context_.run_one_for(Milliseconds(60));
    ASSERT_TRUE(store_.await_holds_begun(1));
    const std::uint64_t before = plane_->publisher().head().seq();
    v1::ResetProviderRequest request;
    request.set_name("beta");
    EXPECT_TRUE(plane_->reset_provider(request));
    EXPECT_GT(plane_->publisher().head().seq(), before);
    EXPECT_EQ(store_.holds_written(), 0);
    // What changed meanwhile is one write, and the last word is written before the end.
    plane_->stop();
    store_.hang_disk(false);
    plane_.reset();
    EXPECT_EQ(store_.holds_written(), 2);
    EXPECT_TRUE(store_.kept_holds().empty());
}

TEST_F(ControlPlaneTest, AStartThatFailsForgetsNoHold) {
    start(config_yaml());
    fail("beta", view("beta").provider().etag(), v1::FAILURE_CLASS_AUTH, 401);
    plane_->stop();
    plane_.reset();
    ASSERT_EQ(store_.kept_holds().size(), 1U);
    store_.broken = true;
    try_start(config_yaml() + "# a new revision, which cannot be kept\n");
    ASSERT_FALSE(started_.has_value());
    store_.broken = false;
    plane_->stop();
    plane_.reset();
    EXPECT_EQ(store_.kept_holds().size(), 1U);
}

TEST_F(ControlPlaneTest, OrdinaryBenchesAreNotWritten) {
    start(config_yaml());
    open_beta();
    plane_->stop();
    plane_.reset();
    EXPECT_EQ(store_.holds_written(), 0);
}

TEST_F(ControlPlaneTest, AHoldThatCannotBeKeptIsInForceAllTheSame) {
    start(config_yaml());
    store_.broken = true;
    fail("beta", view("beta").provider().etag(), v1::FAILURE_CLASS_QUOTA, 402);
    EXPECT_EQ(view("beta").health().circuit(), v1::CIRCUIT_OPEN);
    plane_->stop();
    plane_.reset();
    EXPECT_TRUE(store_.kept_holds().empty());
}

TEST_F(ControlPlaneTest, AnEmptySetIsMarkedAsMeantUntilItIsEmptyNoMore) {
    start(config_yaml());
    ASSERT_TRUE(set_enabled("alpha", false));
    EXPECT_FALSE(store_.revisions.back().may_be_empty);
    v1::SetProviderEnabledRequest last;
    last.set_name("beta");
    EXPECT_FALSE(plane_->set_provider_enabled(last));
    last.mutable_context()->set_force(true);
    ASSERT_TRUE(plane_->set_provider_enabled(last));
    EXPECT_TRUE(store_.revisions.back().may_be_empty);
    start(config_yaml());
    ASSERT_TRUE(set_enabled("beta", true));
    EXPECT_FALSE(store_.revisions.back().may_be_empty);
}

}  // namespace
}  // namespace balancer::controlplane
