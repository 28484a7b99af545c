#include <gmock/gmock.h>

#include "base/file.hpp"
#include "config_fixture.hpp"
#include "model/capability_table.hpp"

namespace balancer::controlplane {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// The shape of the original's own file: every key it knows, none of ours.
constexpr const char* kOriginal = R"yaml(
providers:
  - name: "GAC"
    type: "anthropic"
    base_url: "https://gac.example/anthropic/"
    auth_type: "auth_token"
    auth_value: "token-1"
    enabled: true
    proxy: null
    streaming_mode: "background"
  - name: "Claude Code Official"
    type: anthropic
    base_url: https://api.anthropic.com
    auth_type: oauth
    auth_value: "oauth"
    enabled: true
    proxy: "http://127.0.0.1:10808"
  - name: relay
    type: openai
    base_url: https://relay.example/api/v1
    auth_type: api_key
    auth_value: passthrough
    enabled: false
model_routes:
  "*haiku*":
    - provider: GAC
      model: passthrough
      priority: 1
    - provider: relay
      model: anthropic/claude-haiku
      priority: 2
      enabled: false
  claude-3-5-sonnet:
    - {provider: "Claude Code Official", model: passthrough, priority: 1}
settings:
  selection_strategy: "round_robin"
  failure_cooldown: 300
  unhealthy_threshold: 3
  unhealthy_reset_on_success: false
  unhealthy_reset_timeout: -1
  unhealthy_exception_patterns: [connection, timeout]
  unhealthy_response_body_patterns:
    - "\"error\"\\s*:\\s*\"[^\"]*(insufficient)"
  unhealthy_http_codes: [402, 500, 524]
  sticky_provider_duration: 60
  timeouts:
    non_streaming: {connect_timeout: 5, read_timeout: 120, pool_timeout: 7}
    streaming: {connect_timeout: 6.5, read_timeout: 90, pool_timeout: 8}
    caching: {deduplication_timeout: 180}
  deduplication: {enabled: true, include_max_tokens_in_signature: false, sse_error_cleanup_delay: 3}
  oauth: {enable_persistence: true, service_name: x, enable_auto_refresh: true, proxy: "http://127.0.0.1:10808"}
  auth:
    enabled: true
    api_key: "client-key"
    exempt_paths: ["/health"]
  log_level: "debug"
  log_color: false
  log_file_path: "logs/logs.jsonl"
  host: "0.0.0.0"
  port: 8080
  app_name: "Mine"
  app_version: "9.9"
  reload: true
  reload_includes: ["config.yaml", "*.py"]
  testing: {simulate_delay: true, delay_seconds: 10, delay_trigger_keywords: [a, b]}
)yaml";

TEST(GoodFiles, LoadTheOriginalsProvidersAndRoutes) {
    LoadedConfig loaded = good(parse(kOriginal));
    ASSERT_EQ(loaded.config.providers_size(), 3);
    const v1::Provider& gac = loaded.config.providers(0);
    EXPECT_EQ(gac.base_url(), "https://gac.example/anthropic");
    EXPECT_EQ(gac.auth_type(), v1::AUTH_TYPE_AUTH_TOKEN);
    EXPECT_EQ(gac.credential_ref(), "provider/GAC");
    EXPECT_EQ(gac.streaming_mode(), v1::STREAMING_MODE_BACKGROUND);
    EXPECT_EQ(gac.background_bytes(), 256U << 10);
    EXPECT_EQ(gac.streaming_timeouts().connect_ms(), 6'500U);
    EXPECT_EQ(gac.streaming_timeouts().first_byte_ms(), 90'000U);
    EXPECT_EQ(gac.streaming_timeouts().idle_ms(), 90'000U);
    EXPECT_EQ(gac.streaming_timeouts().total_ms(), 0U);
    EXPECT_EQ(gac.non_streaming_timeouts().first_byte_ms(), 120'000U);
    EXPECT_EQ(gac.non_streaming_timeouts().pool_ms(), 7'000U);
    EXPECT_EQ(loaded.config.providers(1).auth_type(), v1::AUTH_TYPE_OAUTH);
    EXPECT_EQ(loaded.config.providers(1).proxy_url(), "http://127.0.0.1:10808");
    EXPECT_EQ(loaded.config.providers(2).auth_type(), v1::AUTH_TYPE_PASSTHROUGH);
    EXPECT_FALSE(loaded.config.providers(2).enabled());

    ASSERT_EQ(loaded.credentials.credentials_size(), 1);
    EXPECT_EQ(loaded.credentials.credentials(0).header_name(), "authorization");
    EXPECT_EQ(loaded.credentials.credentials(0).header_value(), "Bearer token-1");
    EXPECT_EQ(loaded.credentials.credentials(0).generation(), 1U);

    ASSERT_EQ(loaded.config.routes_size(), 2);
    const v1::Route& haiku = loaded.config.routes(0);
    EXPECT_EQ(haiku.pattern(), "*haiku*");
    EXPECT_EQ(haiku.targets(0).model(), "");
    EXPECT_EQ(haiku.targets(1).model(), "anthropic/claude-haiku");
    EXPECT_FALSE(haiku.targets(1).enabled());
}

TEST(GoodFiles, LoadTheOriginalsSettings) {
    LoadedConfig loaded = good(parse(kOriginal));
    const v1::Settings& settings = loaded.config.settings();
    EXPECT_EQ(settings.selection_strategy(), v1::SELECTION_STRATEGY_ROUND_ROBIN);
    EXPECT_EQ(settings.health().failure_cooldown_ms(), 300'000U);
    EXPECT_EQ(settings.health().unhealthy_threshold(), 3U);
    EXPECT_FALSE(settings.health().unhealthy_reset_on_success());
    EXPECT_EQ(settings.health().unhealthy_reset_timeout_ms(), 0U);
    EXPECT_THAT(settings.health().http_codes(), ElementsAre(402, 500, 524));
    EXPECT_EQ(settings.health().response_body_patterns_size(), 1);
    EXPECT_EQ(settings.sticky_duration_ms(), 60'000U);
    EXPECT_TRUE(settings.auth().enabled());
    ASSERT_EQ(settings.auth().keys_size(), 1);
    EXPECT_EQ(settings.auth().keys(0).name(), "default");
    EXPECT_EQ(settings.auth().keys(0).sha256(), sha256("client-key"));
    EXPECT_THAT(settings.auth().exempt_paths(), ElementsAre("/health"));
    EXPECT_EQ(settings.log().level(), v1::LOG_LEVEL_DEBUG);
    EXPECT_EQ(settings.listen_port(), 8080U);
    EXPECT_EQ(settings.app_version(), "9.9");
    EXPECT_EQ(settings.testing().delay_ms(), 10'000U);
    EXPECT_TRUE(settings.deduplication().enabled());
    EXPECT_FALSE(settings.deduplication().include_max_tokens());
    EXPECT_EQ(settings.deduplication().timeout_ms(), 180'000U);
    EXPECT_EQ(settings.deduplication().error_delay_ms(), 3'000U);
    EXPECT_EQ(settings.deduplication().replay_window_ms(), 0U);
}

TEST(GoodFiles, LoadTheSettingsOfLogins) {
    OAuthSettings original = good(parse(kOriginal)).oauth;
    EXPECT_TRUE(original.persist);
    EXPECT_TRUE(original.auto_refresh);
    EXPECT_FALSE(original.allow_other_clients);
    EXPECT_EQ(original.service_name, "x");
    ASSERT_TRUE(original.proxy);
    EXPECT_EQ(original.proxy->port, 10808);
    EXPECT_EQ(original.token_url, "https://console.anthropic.com/v1/oauth/token");

    std::string yaml = minimal(
        "    accounts: [bob, ann]\n",
        "settings: {oauth: {token_url: 'http://127.0.0.1:1/t', client_id: c, scope: s, redirect_uri: 'http://localhost/callback', "
        "authorize_url: 'https://a/b', timeout: 7, allow_other_clients: true, enable_persistence: false, proxy: ''}}\n"
    );
    const std::string key = "auth_type: api_key\n    auth_value: key-of-a";
    yaml.replace(yaml.find(key), key.size(), "auth_type: oauth");
    LoadedConfig own = good(parse(yaml));
    EXPECT_EQ(own.oauth.token_url, "http://127.0.0.1:1/t");
    EXPECT_EQ(own.oauth.client_id, "c");
    EXPECT_EQ(own.oauth.redirect_uri, "http://localhost/callback");
    EXPECT_EQ(own.oauth.timeout, Milliseconds(7'000));
    EXPECT_TRUE(own.oauth.allow_other_clients);
    EXPECT_FALSE(own.oauth.persist);
    EXPECT_FALSE(own.oauth.proxy);
    EXPECT_THAT(own.config.providers(0).accounts(), ElementsAre("bob", "ann"));
    EXPECT_THAT(own.notices, Contains(HasSubstr("access tokens of your accounts go to")));
}

TEST(GoodFiles, NameEachKeyThatHasNoEffect) {
    LoadedConfig loaded = good(parse(kOriginal));
    for (const char* path : {"settings.reload", "settings.reload_includes"}) {
        EXPECT_THAT(loaded.notices, Contains(HasSubstr(std::string(path) + " has no effect")));
    }
    EXPECT_EQ(loaded.notices.size(), 2U);
}

TEST(GoodFiles, MayKeepAnswersForRetries) {
    LoadedConfig loaded = good(parse(minimal("", "settings: {deduplication: {replay_window: 5}}\n")));
    EXPECT_TRUE(loaded.notices.empty());
    EXPECT_EQ(loaded.config.settings().deduplication().replay_window_ms(), 5'000U);
}

TEST(GoodFiles, HaveTheOriginalsDefaults) {
    LoadedConfig loaded = good(parse(minimal()));
    EXPECT_TRUE(loaded.notices.empty());
    EXPECT_EQ(loaded.config.schema(), 1U);
    const v1::Settings& settings = loaded.config.settings();
    EXPECT_EQ(settings.selection_strategy(), v1::SELECTION_STRATEGY_PRIORITY);
    EXPECT_EQ(settings.sticky_scope(), v1::STICKY_SCOPE_SESSION);
    EXPECT_EQ(settings.sticky_duration_ms(), 300'000U);
    EXPECT_EQ(settings.failover(), v1::FAILOVER_MODE_IMMEDIATE);
    EXPECT_EQ(settings.health().failure_cooldown_ms(), 60'000U);
    EXPECT_EQ(settings.health().unhealthy_threshold(), 2U);
    EXPECT_TRUE(settings.health().unhealthy_reset_on_success());
    EXPECT_EQ(settings.health().unhealthy_reset_timeout_ms(), 300'000U);
    EXPECT_EQ(settings.health().http_codes_size(), 0);
    EXPECT_EQ(settings.limits().body_bytes(), 64ULL << 20);
    EXPECT_EQ(settings.limits().body_memory_bytes(), 1ULL << 30);
    EXPECT_EQ(settings.limits().header_bytes(), 65536U);
    EXPECT_EQ(settings.limits().connections(), 10'000U);
    EXPECT_EQ(settings.limits().retry_budget_percent(), 20U);
    EXPECT_EQ(settings.limits().retry_budget_min_per_s(), 10U);
    EXPECT_EQ(settings.limits().panic_concurrency(), 4U);
    EXPECT_FALSE(settings.auth().enabled());
    EXPECT_THAT(
        settings.auth().exempt_paths(), ElementsAre("/health", "/docs", "/redoc", "/openapi.json")
    );
    EXPECT_EQ(settings.log().level(), v1::LOG_LEVEL_INFO);
    EXPECT_TRUE(settings.log().color());
    EXPECT_FALSE(settings.log().log_bodies());
    EXPECT_EQ(settings.listen_host(), "127.0.0.1");
    EXPECT_EQ(settings.listen_port(), 9090U);
    EXPECT_EQ(settings.testing().delay_ms(), 70'000U);
    EXPECT_EQ(settings.ping_interval_ms(), 10'000U);
    const v1::Provider& provider = loaded.config.providers(0);
    EXPECT_TRUE(provider.enabled());
    EXPECT_EQ(provider.weight(), 0U);
    EXPECT_EQ(provider.streaming_timeouts().idle_ms(), 120'000U);
    EXPECT_EQ(provider.non_streaming_timeouts().idle_ms(), 60'000U);
    EXPECT_EQ(provider.streaming_timeouts().connect_ms(), 30'000U);
    EXPECT_EQ(provider.streaming_timeouts().pool_ms(), 30'000U);
    EXPECT_EQ(loaded.credentials.credentials(0).header_name(), "x-api-key");
    EXPECT_EQ(loaded.sha256, to_hex(sha256(minimal())));
}

TEST(GoodFiles, LoadTheNewKeys) {
    LoadedConfig loaded = good(parse(minimal(
        "    weight: 3\n"
        "    max_concurrency: 8\n"
        "    headers: {X-Team: platform}\n"
        "    timeouts: {connect: 0.25, total: 600}\n",
        "settings:\n"
        "  sticky_scope: global\n"
        "  failover: on_unhealthy\n"
        "  ping_interval: 2.5\n"
        "  log_bodies: yes\n"
        "  limits: {body_bytes: 1_000_000, header_bytes: 32 KiB, body_memory_bytes: 2GB}\n"
        "  auth: {enabled: true, api_key: k0, api_keys: [{name: alice, key: k1}]}\n"
    )));
    const v1::Provider& provider = loaded.config.providers(0);
    EXPECT_EQ(provider.weight(), 3U);
    EXPECT_EQ(provider.max_concurrency(), 8U);
    EXPECT_EQ(provider.headers(0).name(), "x-team");
    EXPECT_EQ(provider.headers(0).value(), "platform");
    for (const v1::Timeouts& mode :
         {provider.streaming_timeouts(), provider.non_streaming_timeouts()}) {
        EXPECT_EQ(mode.connect_ms(), 250U);
        EXPECT_EQ(mode.total_ms(), 600'000U);
    }
    EXPECT_EQ(provider.streaming_timeouts().idle_ms(), 120'000U);
    EXPECT_EQ(provider.non_streaming_timeouts().idle_ms(), 60'000U);
    const v1::Settings& settings = loaded.config.settings();
    EXPECT_EQ(settings.sticky_scope(), v1::STICKY_SCOPE_GLOBAL);
    EXPECT_EQ(settings.failover(), v1::FAILOVER_MODE_ON_UNHEALTHY);
    EXPECT_EQ(settings.ping_interval_ms(), 2'500U);
    EXPECT_TRUE(settings.log().log_bodies());
    EXPECT_EQ(settings.limits().body_bytes(), 1'000'000U);
    EXPECT_EQ(settings.limits().header_bytes(), 32'768U);
    EXPECT_EQ(settings.limits().body_memory_bytes(), 2'000'000'000U);
    ASSERT_EQ(settings.auth().keys_size(), 2);
    EXPECT_EQ(settings.auth().keys(1).name(), "alice");
    EXPECT_EQ(settings.auth().keys(1).sha256(), sha256("k1"));
    EXPECT_THAT(loaded.notices, testing::IsEmpty());
}

TEST(GoodFiles, ACapabilityTableIsWholeWhateverTheFileSays) {
    auto provider = [](const std::string& more) { return good(parse(minimal(more))).config.providers(0); };
    v1::Provider plain = provider("");
    EXPECT_EQ(capabilities_of(plain), anthropic_capabilities());
    EXPECT_FALSE(plain.capabilities().has_beta_headers());
    EXPECT_EQ(plain.signatures(), "");

    v1::Provider less = provider(
        "    capabilities: {context_management: false, output_tokens_max: 8192, beta_headers: [claude-code-*, x]}\n"
        "    signatures: own\n"
    );
    Capabilities expected = anthropic_capabilities();
    expected.context_management = false;
    expected.output_tokens_max = 8192;
    EXPECT_EQ(capabilities_of(less), expected);
    EXPECT_THAT(less.capabilities().beta_headers().patterns(), ElementsAre("claude-code-*", "x"));
    EXPECT_EQ(less.signatures(), "provider " + less.name());
    EXPECT_EQ(provider("    signatures: moonshot\n").signatures(), "issuer moonshot");
    EXPECT_EQ(provider("    signatures: anthropic\n").signatures(), "");

    v1::Provider none = provider("    capabilities: {beta_headers: none}\n");
    EXPECT_TRUE(none.capabilities().has_beta_headers());
    EXPECT_EQ(none.capabilities().beta_headers().patterns_size(), 0);
    EXPECT_FALSE(provider("    capabilities: {beta_headers: all}\n").capabilities().has_beta_headers());

    std::string openai = minimal();
    openai.replace(openai.find("type: anthropic"), 15, "type: openai");
    EXPECT_EQ(capabilities_of(good(parse(openai)).config.providers(0)), Capabilities{});
}

TEST(GoodFiles, TakeTheOldPlacesOfSettings) {
    LoadedConfig loaded = good(parse(minimal(
        "    priority: 3\n",
        "settings:\n"
        "  idle_recovery_interval: 42\n"
        "  auth_enabled: true\n"
        "  auth_api_key: old\n"
        "  auth_exempt_paths: [/x]\n"
        "  auth: {}\n"
    )));
    const v1::Settings& settings = loaded.config.settings();
    EXPECT_EQ(settings.sticky_duration_ms(), 42'000U);
    EXPECT_TRUE(settings.auth().enabled());
    EXPECT_EQ(settings.auth().keys(0).sha256(), sha256("old"));
    EXPECT_THAT(settings.auth().exempt_paths(), ElementsAre("/x"));
    EXPECT_THAT(loaded.notices, Contains(HasSubstr("settings.idle_recovery_interval is the old")));
    EXPECT_THAT(loaded.notices, Contains(HasSubstr("providers[0].priority is not used")));
}

TEST(GoodFiles, PreferTheAuthMapOverTheOldScalars) {
    LoadedConfig loaded = good(parse(
        minimal("", "settings: {auth_enabled: true, auth_api_key: old, auth: {enabled: false}}\n")
    ));
    EXPECT_FALSE(loaded.config.settings().auth().enabled());
    EXPECT_EQ(loaded.config.settings().auth().keys_size(), 0);
    EXPECT_THAT(loaded.notices, Contains(HasSubstr("settings.auth_api_key is not used")));
}

TEST(GoodFiles, MayUseAnchorsAliasesAndMerges) {
    LoadedConfig loaded =
        good(parse("x-common: &common\n"
                   "  type: anthropic\n"
                   "  auth_type: api_key\n"
                   "  weight: 2\n"
                   "providers:\n"
                   "  - <<: *common\n"
                   "    name: a\n"
                   "    base_url: https://a.example\n"
                   "    auth_value: ka\n"
                   "  - name: b\n"
                   "    base_url: https://b.example\n"
                   "    auth_value: kb\n"
                   "    weight: 5\n"
                   "    <<: [*common]\n"
                   "model_routes:\n"
                   "  one: &targets\n"
                   "    - {provider: a, model: m, priority: 1}\n"
                   "  two: *targets\n"));
    EXPECT_EQ(loaded.config.providers(0).weight(), 2U);
    EXPECT_EQ(loaded.config.providers(1).weight(), 5U);
    EXPECT_EQ(loaded.config.providers(1).type(), v1::PROVIDER_TYPE_ANTHROPIC);
    EXPECT_EQ(loaded.config.routes(1).targets(0).provider(), "a");
}

TEST(GoodFiles, AdviseAboutRoutesThatServeNobody) {
    LoadedConfig loaded = good(parse(
        "providers:\n"
        "  - {name: a, type: anthropic, base_url: 'https://a.example/v1', auth_type: api_key, "
        "auth_value: k}\n"
        "  - {name: off, type: anthropic, base_url: 'https://b.example', auth_type: api_key, "
        "auth_value: k, enabled: false}\n"
        "model_routes:\n"
        "  good: [{provider: a, model: m, priority: 1}]\n"
        "  no-provider: [{provider: off, model: m, priority: 1}]\n"
        "  no-target: [{provider: a, model: m, priority: 1, enabled: false}]\n"
        "  none: []\n"
        "  '.*opus.*': [{provider: a, model: m, priority: 1}]\n"
    ));
    EXPECT_THAT(
        loaded.notices,
        ElementsAre(
            HasSubstr("providers[0].base_url ends in a part"),
            HasSubstr("model_routes.no-provider has no enabled"),
            HasSubstr("model_routes.no-target has no enabled"),
            HasSubstr("model_routes.none has no enabled"),
            HasSubstr("only * is a wildcard")
        )
    );
}

TEST(GoodFiles, KeepNamesThatDifferByCaseApart) {
    LoadedConfig loaded = good(parse(minimal() + "  Model-X: []\n  model-x: []\n"));
    EXPECT_EQ(loaded.config.routes_size(), 3);
}

TEST(GoodFiles, IncludeTheShippedExample) {
    LoadedConfig loaded = good(load_config(BALANCER_EXAMPLE_CONFIG, environment_of({})));
    EXPECT_EQ(loaded.config.providers_size(), 3);
    EXPECT_EQ(loaded.config.routes_size(), 4);
    EXPECT_THAT(loaded.notices, Not(Contains(HasSubstr("no enabled"))));

    // Where the example does not say otherwise, it shows the defaults.
    v1::Settings shown = loaded.config.settings();
    v1::Settings defaults = good(parse(minimal())).config.settings();
    for (v1::Settings* each : {&shown, &defaults}) {
        each->mutable_health()->clear_http_codes();
        each->mutable_health()->clear_exception_patterns();
        each->mutable_health()->clear_response_body_patterns();
        each->mutable_auth()->clear_keys();
    }
    EXPECT_EQ(shown.DebugString(), defaults.DebugString());
}

TEST(Etag, ChangesOnlyWithWhatDecidesWhoAnswers) {
    auto etag = [](const std::string& yaml) {
        LoadedConfig loaded = good(parse(yaml));
        return loaded.config.providers(0).etag();
    };
    const std::string base = etag(minimal());
    EXPECT_EQ(base.size(), 16U);
    EXPECT_EQ(base, etag("# a comment\n" + minimal("", "settings: {log_level: DEBUG}\n")));
    for (const char* same :
         {"    weight: 2\n", "    max_concurrency: 5\n", "    streaming_mode: direct\n", "    timeouts: {idle: 7}\n",
          "    capabilities: {thinking: false}\n", "    signatures: own\n"}) {
        EXPECT_EQ(base, etag(minimal(same))) << same;
    }
    EXPECT_EQ(
        base, etag(minimal("", "settings: {timeouts: {streaming: {read_timeout: 121}}}\n"))
    );
    for (const char* other : {"    proxy: http://127.0.0.1:1\n", "    headers: {x-a: b}\n"}) {
        EXPECT_NE(base, etag(minimal(other))) << other;
    }
    std::string other_key = minimal();
    other_key.replace(other_key.find("key-of-a"), 8, "key-of-b");
    EXPECT_NE(base, etag(other_key));
}

}  // namespace
}  // namespace balancer::controlplane
