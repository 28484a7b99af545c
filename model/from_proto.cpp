#include "model/from_proto.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/fnv.hpp"
#include "base/utf8.hpp"
#include "model/capability_table.hpp"
#include "model/protocol.hpp"

namespace balancer {
namespace {

Timeouts to_timeouts(const v1::Timeouts& in) {
    return Timeouts{
        Milliseconds(in.connect_ms()),
        Milliseconds(in.first_byte_ms()),
        Milliseconds(in.idle_ms()),
        Milliseconds(in.total_ms()),
        Milliseconds(in.pool_ms()),
    };
}

LogLevel to_level(v1::LogLevel level) {
    switch (level) {
        case v1::LOG_LEVEL_DEBUG: return LogLevel::kDebug;
        case v1::LOG_LEVEL_WARNING: return LogLevel::kWarning;
        case v1::LOG_LEVEL_ERROR: return LogLevel::kError;
        default: return LogLevel::kInfo;
    }
}

std::vector<WindowHold> to_holds(const v1::Credential& in) {
    std::vector<WindowHold> holds;
    // One that cannot be sent says why, and no end: such a hold holds nothing.
    if (in.held_until_ms() != 0 || !in.held_why().empty()) holds.push_back({{}, in.held_until_ms(), in.held_why()});
    for (const v1::ModelHold& hold : in.model_holds()) holds.push_back({hold.family(), hold.until_ms(), hold.why()});
    return holds;
}

Error field_error(std::string field, std::string message) {
    return invalid(field + ": " + std::move(message));
}

// The table of a provider, and what passes of `anthropic-beta`.
void compile_capabilities(const v1::Provider& in, Provider& out) {
    out.capabilities = capabilities_of(in);
    if (out.type != ProviderType::kAnthropic) return;
    if (in.has_capabilities() && in.capabilities().has_beta_headers()) {
        out.beta_headers.emplace();
        for (const std::string& pattern : in.capabilities().beta_headers().patterns()) {
            out.beta_headers->emplace_back(pattern);
        }
    }
    out.limited = out.beta_headers || out.capabilities != anthropic_capabilities();
    // Letters and digits whatever the issuer is called: it stands in a header of a signature.
    if (!in.signatures().empty()) {
        out.signature_mark = fmt::format("{}{:016x}-", kSignatureMark, fnv1a(in.signatures()));
    }
}

Result<std::unique_ptr<Provider>> compile_provider(
    const v1::Provider& in, const v1::CredentialSection& credentials, ProviderSlots& slots
) {
    auto out = std::make_unique<Provider>();
    out->name = in.name();
    switch (in.type()) {
        case v1::PROVIDER_TYPE_ANTHROPIC: out->type = ProviderType::kAnthropic; break;
        case v1::PROVIDER_TYPE_OPENAI: out->type = ProviderType::kOpenai; break;
        default: return field_error("type", "this build does not know it");
    }
    switch (in.auth_type()) {
        case v1::AUTH_TYPE_API_KEY: out->auth_type = AuthType::kApiKey; break;
        case v1::AUTH_TYPE_AUTH_TOKEN: out->auth_type = AuthType::kAuthToken; break;
        case v1::AUTH_TYPE_PASSTHROUGH: out->auth_type = AuthType::kPassthrough; break;
        case v1::AUTH_TYPE_OAUTH: out->auth_type = AuthType::kOauth; break;
        default: return field_error("auth_type", "this build does not know it");
    }
    Result<Endpoint> endpoint = parse_base_url(in.base_url());
    if (!endpoint) return field_error("base_url", endpoint.error().text());
    out->endpoint = *std::move(endpoint);
    if (!in.proxy_url().empty()) {
        Result<ProxySpec> proxy = parse_proxy_url(in.proxy_url());
        if (!proxy) return field_error("proxy", proxy.error().text());
        out->proxy = *std::move(proxy);
    }
    for (const v1::Credential& credential : credentials.credentials()) {
        if (in.credential_ref().empty() || credential.ref() != in.credential_ref()) continue;
        out->credential = Credential{
            to_lower(credential.header_name()),
            credential.header_value(),
            credential.generation(),
            credential.expires_at_ms(),
            credential.state() == v1::Credential::OK || credential.state() == v1::Credential::REFRESHING,
            to_holds(credential),
            credential.headroom_percent() == 0 ? 100U : std::min(credential.headroom_percent(), 100U),
        };
    }
    out->background_bytes = in.background_bytes();
    switch (in.streaming_mode()) {
        case v1::STREAMING_MODE_DIRECT: out->streaming_mode = StreamingMode::kDirect; break;
        case v1::STREAMING_MODE_BACKGROUND: out->streaming_mode = StreamingMode::kBackground; break;
        default: out->streaming_mode = StreamingMode::kAuto; break;
    }
    for (const v1::Header& header : in.headers()) {
        if (header.name().find_first_of(":\r\n \t") != std::string::npos || header.name().empty() ||
            header.value().find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
            return field_error("headers", fmt::format("'{}' is not a header line", header.name()));
        }
        out->headers.emplace_back(to_lower(header.name()), header.value());
    }
    out->weight = in.weight();
    out->streaming_timeouts = to_timeouts(in.streaming_timeouts());
    out->non_streaming_timeouts = to_timeouts(in.non_streaming_timeouts());
    out->max_concurrency = in.max_concurrency();
    out->ca_pem = in.ca_pem();
    compile_capabilities(in, *out);
    out->etag = in.etag();
    out->account = in.account();
    out->group = in.group();
    out->claude_code_only = in.claude_code_only();
    out->slot = slots.slot_of(in.name());
    return out;
}

Result<void> compile_settings(const v1::Settings& in, Settings& out) {
    out.selection_strategy = in.selection_strategy() == v1::SELECTION_STRATEGY_ROUND_ROBIN
                                 ? SelectionStrategy::kRoundRobin
                             : in.selection_strategy() == v1::SELECTION_STRATEGY_RANDOM
                                 ? SelectionStrategy::kRandom
                                 : SelectionStrategy::kPriority;
    out.sticky_scope = in.sticky_scope() == v1::STICKY_SCOPE_GLOBAL ? StickyScope::kGlobal
                                                                    : StickyScope::kSession;
    out.sticky_duration = Milliseconds(in.sticky_duration_ms());
    out.failover = in.failover() == v1::FAILOVER_MODE_ON_UNHEALTHY ? FailoverMode::kOnUnhealthy
                                                                   : FailoverMode::kImmediate;
    out.health = to_policy(in.health());
    for (const std::string& text : in.health().exception_patterns()) {
        out.exception_patterns.push_back(to_lower(text));
    }
    if (in.health().response_body_patterns_size() > 0) {
        re2::RE2::Options options;
        options.set_case_sensitive(false);
        options.set_log_errors(false);
        options.set_encoding(re2::RE2::Options::EncodingLatin1);  // bodies are bytes
        auto set = std::make_unique<re2::RE2::Set>(options, re2::RE2::UNANCHORED);
        for (const std::string& text : in.health().response_body_patterns()) {
            std::string problem;
            if (set->Add(text, &problem) < 0) {
                return field_error("settings.unhealthy_response_body_patterns", text + ": " + problem);
            }
            out.body_pattern_texts.push_back(text);
        }
        if (!set->Compile()) {
            return field_error("settings.unhealthy_response_body_patterns", "too large together");
        }
        out.body_patterns = std::move(set);
    }
    for (std::uint32_t code : in.health().http_codes()) out.http_codes.insert(code);

    const v1::Limits& limits = in.limits();
    out.body_bytes = limits.body_bytes();
    out.body_memory_bytes = limits.body_memory_bytes();
    out.header_bytes = limits.header_bytes();
    out.connections = limits.connections();
    out.retry_budget_percent = limits.retry_budget_percent();
    out.retry_budget_min_per_s = limits.retry_budget_min_per_s();
    out.panic_concurrency = limits.panic_concurrency();
    out.ping_interval = Milliseconds(in.ping_interval_ms());
    const v1::Deduplication& deduplication = in.deduplication();
    out.deduplication.enabled = deduplication.enabled();
    out.deduplication.include_max_tokens = deduplication.include_max_tokens();
    out.deduplication.timeout = Milliseconds(deduplication.timeout_ms());
    out.deduplication.error_delay = Milliseconds(deduplication.error_delay_ms());
    out.deduplication.replay_window = Milliseconds(deduplication.replay_window_ms());

    out.auth_enabled = in.auth().enabled();
    for (const v1::ClientKey& key : in.auth().keys()) {
        out.client_keys.push_back(ClientKey{key.name(), key.sha256()});
    }
    for (const std::string& path : in.auth().exempt_paths()) out.exempt_paths.insert(path);

    out.log_level = to_level(in.log().level());
    out.log_color = in.log().color();
    out.log_file_path = in.log().file_path();
    out.log_bodies = in.log().log_bodies();
    out.listen_host = in.listen_host();
    out.listen_port = static_cast<std::uint16_t>(in.listen_port());
    for (const std::string& text : in.trusted_proxies()) {
        Result<AddressBlock> block = AddressBlock::parse(text);
        if (!block) return field_error("settings.trusted_proxies", block.error().text());
        out.trusted_proxies.push_back(*block);
    }
    out.app_name = in.app_name();
    out.app_version = in.app_version();
    out.simulate_delay = in.testing().simulate_delay();
    out.delay = Milliseconds(in.testing().delay_ms());
    for (const std::string& word : in.testing().delay_trigger_keywords()) {
        out.delay_trigger_keywords.push_back(to_lower(word));
    }
    return {};
}

// Why nobody is sent to this provider; `quarantined` are those of this snapshot.
std::string absence_of(std::string_view provider, const std::vector<Quarantined>& quarantined) {
    for (const Quarantined& item : quarantined) {
        if (item.resource.substr(item.resource.find('/') + 1) != provider) continue;
        return fmt::format("this data plane cannot use it: {}: {}", item.field_path, item.message);
    }
    return "it is disabled or drained";
}

void compile_routes(
    const v1::ConfigSection& config, const std::vector<Quarantined>& quarantined, Snapshot& snapshot
) {
    for (const v1::Route& in : config.routes()) {
        Route route{Glob(in.pattern()), {}};
        for (const v1::RouteTarget& target : in.targets()) {
            const Provider* provider = snapshot.find_provider(target.provider());
            if (!target.enabled() || provider == nullptr) {
                std::string why = target.enabled() ? absence_of(target.provider(), quarantined)
                                                   : "this target of the route is disabled";
                route.left_out.push_back({target.provider(), target.model(), std::move(why)});
                continue;
            }
            route.targets.push_back(RouteTarget{provider, target.model(), target.priority()});
        }
        if (route.targets.empty()) {
            snapshot.deserted_routes.push_back(std::move(route));
            continue;
        }
        std::stable_sort(route.targets.begin(), route.targets.end(), [](const auto& a, const auto& b) {
            return a.priority < b.priority;
        });
        if (!route.pattern.has_star()) {
            snapshot.exact_routes.emplace(in.pattern(), snapshot.routes.size());
        }
        snapshot.routes.push_back(std::move(route));
    }
}

}  // namespace

Result<Compiled> compile_snapshot(
    const v1::Version& version,
    const v1::ConfigSection& config,
    const v1::CredentialSection& credentials,
    ProviderSlots& slots,
    std::uint64_t revision
) {
    if (config.schema() != 1) {
        return field_error(
            "schema", fmt::format("{} is not 1, the only one this build knows", config.schema())
        );
    }
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->version = SnapshotVersion{version.store_uuid(), version.epoch(), version.seq()};
    snapshot->revision = revision;
    Result<void> settings = compile_settings(config.settings(), snapshot->settings);
    if (!settings) return settings.error();

    Compiled compiled;
    std::unordered_set<std::string_view> names;
    for (const v1::Provider& in : config.providers()) {
        if (!names.insert(in.name()).second) {
            return field_error("providers", fmt::format("two are named '{}'", in.name()));
        }
        if (!in.enabled()) continue;
        Result<std::unique_ptr<Provider>> provider = compile_provider(in, credentials, slots);
        if (provider) {
            bool foreign = (*provider)->type == ProviderType::kOpenai || !(*provider)->signature_mark.empty();
            snapshot->mixes_issuers = snapshot->mixes_issuers || foreign;
            snapshot->providers.push_back(*std::move(provider));
            continue;
        }
        const std::string& detail = provider.error().detail;
        std::size_t colon = detail.find(": ");
        compiled.quarantined.push_back(Quarantined{
            "provider/" + in.name(), detail.substr(0, colon), detail.substr(colon + 2)
        });
    }
    compile_routes(config, compiled.quarantined, *snapshot);
    compiled.snapshot = std::move(snapshot);
    return compiled;
}

HealthPolicy to_policy(const v1::HealthPolicy& in) {
    return HealthPolicy{
        Milliseconds(in.failure_cooldown_ms()),
        in.unhealthy_threshold(),
        in.unhealthy_reset_on_success(),
        Milliseconds(in.unhealthy_reset_timeout_ms()),
    };
}

CircuitState circuit_from_proto(v1::Circuit circuit) {
    if (circuit < v1::CIRCUIT_CLOSED || circuit > v1::CIRCUIT_RAMP) return CircuitState::kClosed;
    return static_cast<CircuitState>(circuit);
}

v1::AccountUse to_proto(const AccountUse& in) {
    v1::AccountUse out;
    out.set_status(to_utf8(in.status));
    out.set_claim(to_utf8(in.claim));
    out.set_reset_ms(in.reset);
    if (in.five_hour) out.set_five_hour(*in.five_hour);
    out.set_five_hour_reset_ms(in.five_hour_reset);
    if (in.seven_day) out.set_seven_day(*in.seven_day);
    out.set_seven_day_reset_ms(in.seven_day_reset);
    return out;
}

namespace {

AccountUse from_proto(const v1::AccountUse& in) {
    AccountUse out;
    out.status = in.status();
    out.claim = in.claim();
    out.reset = in.reset_ms();
    if (in.has_five_hour()) out.five_hour = in.five_hour();
    out.five_hour_reset = in.five_hour_reset_ms();
    if (in.has_seven_day()) out.seven_day = in.seven_day();
    out.seven_day_reset = in.seven_day_reset_ms();
    return out;
}

}  // namespace

v1::Signal to_signal(const AttemptOutcome& outcome) {
    v1::Signal signal;
    signal.set_provider(outcome.provider);
    signal.set_etag(outcome.etag);
    signal.set_model(std::string(utf8_prefix(outcome.model, kNameBytesMax)));
    signal.set_ok(outcome.ok);
    signal.set_failure(static_cast<v1::FailureClass>(outcome.failure));
    signal.set_http_status(outcome.http_status);
    signal.set_retry_at_ms(outcome.retry_at);
    signal.set_started_at_ms(outcome.started_at);
    signal.set_at_ms(outcome.at);
    signal.set_detail(to_utf8(outcome.detail));
    signal.set_counted(outcome.counted);
    signal.set_request_id(outcome.request_id);
    signal.set_probe_id(outcome.probe_id);
    signal.set_probe_epoch(outcome.probe_epoch);
    signal.set_local_origin(outcome.local_origin);
    signal.set_credential_generation(outcome.credential_generation);
    if (!outcome.account_use.status.empty()) *signal.mutable_account_use() = to_proto(outcome.account_use);
    return signal;
}

AttemptOutcome to_outcome(const v1::Signal& signal) {
    AttemptOutcome outcome;
    outcome.provider = signal.provider();
    outcome.etag = signal.etag();
    outcome.model = signal.model();
    outcome.request_id = signal.request_id();
    outcome.ok = signal.ok();
    auto number = static_cast<std::size_t>(signal.failure());
    outcome.failure = number < kFailureClasses ? static_cast<FailureClass>(number)
                                               : FailureClass::kProtocol;
    outcome.counted = signal.counted();
    outcome.http_status = signal.http_status();
    outcome.started_at = signal.started_at_ms();
    outcome.at = signal.at_ms();
    outcome.retry_at = signal.retry_at_ms();
    outcome.detail = signal.detail();
    outcome.probe_id = signal.probe_id();
    outcome.probe_epoch = signal.probe_epoch();
    outcome.local_origin = signal.local_origin();
    outcome.credential_generation = signal.credential_generation();
    if (signal.has_account_use()) outcome.account_use = from_proto(signal.account_use());
    return outcome;
}

}  // namespace balancer
