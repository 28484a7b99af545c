// What reports of data planes do to accounts.
#include <gtest/gtest.h>

#include <set>

#include "controlplane/http/oauth_status.hpp"
#include "controlplane/publish/registry.hpp"
#include "tests/unit/controlplane/admin/control_plane_fixture.hpp"

namespace balancer::controlplane {
namespace {

constexpr UnixMs kHour = 3'600'000;

// `claude` is served by the account joe, which has no refresh token: nobody is asked for a new one.
class AccountsTest : public test::ControlPlaneTest {
  protected:
    void SetUp() override {
        start(
            "providers:\n"
            "  - {name: claude, type: anthropic, base_url: 'http://127.0.0.1:1', auth_type: oauth}\n"
            "model_routes:\n"
            "  \"*\": [{provider: claude, model: passthrough, priority: 1}]\n"
            "settings: {log_level: ERROR, unhealthy_threshold: 1}\n"
        );
        log_in();
        connect();
    }

    void log_in() {
        TokenGrant grant;
        grant.access_token = SecretBytes("access-token");
        grant.expires_in = Milliseconds(8 * kHour);
        ASSERT_TRUE(plane_->custody().import_account("joe", std::move(grant)));
    }

    const Account& joe() const { return *plane_->custody().find("joe"); }

    v1::Signal& refused(v1::ReportRequest& report, std::uint64_t generation) {
        v1::Signal& signal = *report.add_signals();
        signal.set_provider("claude/joe");
        signal.set_etag(view("claude").provider().etag());
        signal.set_failure(v1::FAILURE_CLASS_AUTH);
        signal.set_http_status(401);
        signal.set_counted(true);
        signal.set_credential_generation(generation);
        signal.set_started_at_ms(unix_now());
        signal.set_at_ms(unix_now());
        return signal;
    }

    void report(const v1::ReportRequest& report) { plane_->on_report("dp-1", "instance-1", report); }
};

TEST_F(AccountsTest, OneAnswerMayTellOfARefusalAndOfAWindow) {
    v1::ReportRequest both;
    v1::AccountUse& use = *refused(both, 1).mutable_account_use();
    use.set_status("rejected");
    use.set_claim("five_hour");
    use.set_reset_ms(unix_now() + kHour);
    refused(both, 1);
    report(both);
    EXPECT_EQ(joe().held_until, use.reset_ms());
    EXPECT_TRUE(joe().unauthorized);
    EXPECT_EQ(plane_->tally().signals_received, 2U);
    EXPECT_EQ(plane_->tally().signals_ignored, 0U);
}

TEST_F(AccountsTest, ARefusalOfATokenThatIsReplacedCountsForNothing) {
    log_in();
    ASSERT_EQ(joe().generation, 2U);
    v1::ReportRequest late;
    refused(late, 1);
    report(late);
    EXPECT_FALSE(joe().unauthorized);
    EXPECT_EQ(plane_->tally().signals_ignored, 1U);
    EXPECT_EQ(view("claude").health().failure_count(), 0U);
}

TEST_F(AccountsTest, ARefusalOfNoKnownTokenCountsForNothing) {
    v1::ReportRequest report_of_an_older_build;
    refused(report_of_an_older_build, 0);
    report(report_of_an_older_build);
    EXPECT_FALSE(joe().unauthorized);
    EXPECT_EQ(view("claude").health().failure_count(), 0U);
}

TEST_F(AccountsTest, AnAccountIsNeitherEnabledNorDisabledByItself) {
    v1::SetProviderEnabledRequest request;
    request.set_name("claude/joe");
    auto refused = plane_->set_provider_enabled(request);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("an account of 'claude'"), std::string::npos) << refused.error().text();
    EXPECT_NE(view("claude").config_etag(), view("claude").provider().etag());
    EXPECT_EQ(view("claude").config_etag(), plane_->config().providers(0).etag());
}

TEST_F(AccountsTest, AResetOfTheProviderIsOneOfItsAccounts) {
    v1::ReportRequest refusal;
    refused(refusal, 1);
    report(refusal);
    ASSERT_EQ(view("claude").health().failure_count(), 1U);
    v1::ResetProviderRequest request;
    request.set_name("claude");
    ASSERT_TRUE(plane_->reset_provider(request));
    EXPECT_EQ(view("claude").health().failure_count(), 0U);
    v1::ReportRequest used_up;
    v1::AccountUse& use = *refused(used_up, 1).mutable_account_use();
    use.set_status("rejected");
    use.set_claim("five_hour");
    use.set_reset_ms(unix_now() + kHour);
    report(used_up);
    ASSERT_NE(joe().held_until, 0);
    ASSERT_TRUE(plane_->reset_provider(request));
    EXPECT_EQ(joe().held_until, 0) << "nor is it held any more";
}

// The credentials that dp-1 was sent last, by reference.
class PublishedCredentialsTest : public test::ControlPlaneTest {
  protected:
    void log_in(const std::string& name) {
        TokenGrant grant;
        grant.access_token = SecretBytes("token-of-" + name);
        grant.expires_in = Milliseconds(8 * kHour);
        ASSERT_TRUE(plane_->custody().import_account(name, std::move(grant)));
    }

    std::set<std::string> published() {
        connect();
        acknowledge();
        std::set<std::string> known;
        for (const v1::Update& update : stream_->updates()) {
            for (const v1::Section& section : update.sections()) {
                if (section.kind() != v1::SECTION_KIND_CREDENTIALS || section.unchanged()) continue;
                v1::CredentialSection credentials;
                EXPECT_TRUE(credentials.ParseFromString(section.payload()));
                known.clear();
                for (const v1::Credential& one : credentials.credentials()) known.insert(one.ref());
            }
        }
        return known;
    }

    // So that the next one is sent.
    void acknowledge() {
        const v1::Update update = stream_->updates().back();
        v1::SyncRequest ack;
        ack.mutable_ack()->set_nonce(update.nonce());
        *ack.mutable_ack()->mutable_applied() = update.version();
        plane_->publisher().registry().received(stream_id_, ack);
    }
};

TEST_F(PublishedCredentialsTest, ATokenGoesOnlyWhereAProviderWantsIt) {
    auto yaml = [](const std::string& more) {
        return "providers:\n"
               "  - {name: claude, type: anthropic, base_url: 'http://127.0.0.1:1', auth_type: oauth, accounts: [ann]}\n"
               "  - {name: key, type: anthropic, base_url: 'http://127.0.0.1:2', auth_type: api_key, auth_value: sk-1}\n" + more +
               "model_routes:\n"
               "  \"*\": [{provider: claude, model: passthrough, priority: 1}, {provider: key, model: passthrough, priority: 2}]\n"
               "settings: {log_level: ERROR}\n";
    };
    start(yaml(""));
    for (const char* name : {"ann", "bob"}) log_in(name);
    std::set<std::string> of_ann = published();
    EXPECT_TRUE(of_ann.contains("oauth/ann"));
    EXPECT_FALSE(of_ann.contains("oauth/bob")) << "nobody uses it";
    ASSERT_TRUE(set_enabled("claude", false));
    EXPECT_FALSE(published().contains("oauth/ann"));
    ASSERT_TRUE(set_enabled("claude", true));
    EXPECT_TRUE(published().contains("oauth/ann"));
    ASSERT_EQ(
        reload(yaml("  - {name: all, type: anthropic, base_url: 'http://127.0.0.1:3', auth_type: oauth}\n")).result,
        ReloadResult::kChanged
    );
    EXPECT_TRUE(published().contains("oauth/bob"));
}

TEST_F(AccountsTest, LastUsedIsWhenItWasUsedWhateverItsAnswersTold) {
    auto told = [&](std::uint64_t attempts) {
        v1::ReportRequest counted;
        v1::Counters& counters = *counted.add_counters();
        counters.set_provider("claude/joe");
        counters.set_attempts(attempts);
        counters.set_successes(attempts);
        report(counted);
    };
    auto token = [&] { return oauth_status_json(*plane_, unix_now())["tokens"][0]; };
    EXPECT_EQ(token()["last_used"], "Never");
    told(1);
    const UnixMs before = unix_now();
    told(2);
    EXPECT_NE(token()["last_used"], "Never");
    EXPECT_GE(token()["last_used_timestamp"].get<std::int64_t>(), before / 1000);
    EXPECT_TRUE(token()["windows"].is_null()) << "no answer told of any";
}

// Of three data planes one fails everywhere; what it says of an account is no word of the provider's.
TEST_F(AccountsTest, ASuspectDataPlaneNeitherHoldsAnAccountNorHasItRefreshed) {
    start(
        "providers:\n"
        "  - {name: claude, type: anthropic, base_url: 'http://127.0.0.1:1', auth_type: oauth}\n"
        "  - {name: b, type: anthropic, base_url: 'http://127.0.0.2:1', auth_type: api_key, auth_value: k}\n"
        "  - {name: c, type: anthropic, base_url: 'http://127.0.0.3:1', auth_type: api_key, auth_value: k}\n"
        "model_routes:\n"
        "  \"*\": [{provider: claude, model: passthrough, priority: 1}]\n"
        "settings: {log_level: ERROR, unhealthy_threshold: 1000}\n"
    );
    log_in();
    connect();
    std::vector<std::shared_ptr<FakeStream>> others;
    auto& registry = plane_->publisher().registry();
    for (const char* name : {"dp-2", "dp-3"}) {
        others.push_back(std::make_shared<FakeStream>());
        registry.received(registry.open(others.back(), "ipv4:127.0.0.1:2"), hello_of(name, "instance-1"));
    }
    for (std::uint64_t attempts : {0U, 20U}) {
        for (const char* name : {"dp-1", "dp-2", "dp-3"}) {
            v1::ReportRequest counted;
            for (const char* provider : {"b", "c"}) {
                v1::Counters& counters = *counted.add_counters();
                counters.set_provider(provider);
                counters.set_attempts(attempts);
                if (std::string_view(name) == "dp-1") {
                    (*counters.mutable_failures())[v1::FAILURE_CLASS_CONNECT] = attempts;
                } else {
                    counters.set_successes(attempts);
                }
            }
            plane_->on_report(name, "instance-1", counted);
        }
    }
    SteadyTime until = steady_now() + std::chrono::seconds(20);
    while (plane_->merger().standings().empty() && steady_now() < until) context_.run_one_for(std::chrono::milliseconds(50));
    ASSERT_TRUE(plane_->merger().standings().contains("dp-1"));

    v1::ReportRequest news;
    v1::AccountUse& use = *refused(news, joe().generation).mutable_account_use();
    use.set_status("rejected");
    use.set_claim("five_hour");
    use.set_reset_ms(unix_now() + kHour);
    report(news);
    EXPECT_EQ(joe().held_until, 0);
    EXPECT_FALSE(joe().unauthorized);
    plane_->on_report("dp-2", "instance-1", news);
    EXPECT_EQ(joe().held_until, use.reset_ms());
    EXPECT_TRUE(joe().unauthorized);
}

}  // namespace
}  // namespace balancer::controlplane
