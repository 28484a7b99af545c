#include "controlplane/config/settings.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <boost/asio/ip/address.hpp>

#include "controlplane/config/oauth.hpp"
#include "model/ip_address.hpp"

namespace balancer::controlplane {
namespace {

// Each request of one of them is held against all.
constexpr std::size_t kTrustedProxiesMax = 256;

YamlValue empty_map(Position at, std::string path) {
    return YamlValue{YAML::Node(YAML::NodeType::Map), at, std::move(path)};
}

// The map under `key`, or an empty one, so that defaults and known keys stand in one place.
YamlValue map_under(MapReader& parent, std::string_view key) {
    const YamlValue* value = parent.find(key);
    return value != nullptr ? *value : empty_map(parent.at(), join_path(parent.path(), key));
}

bool not_empty(const std::string& pattern, const YamlValue& item, ParseContext& context) {
    if (!pattern.empty()) return true;
    context.problems.add(item.at, item.path, "an empty pattern is found in every text", "remove it");
    return false;
}

void read_patterns(MapReader& reader, v1::HealthPolicy& health, ParseContext& context) {
    if (const YamlValue* words = reader.find("unhealthy_exception_patterns"); words != nullptr) {
        for (const YamlValue& item : as_list(*words, context.problems)) {
            std::optional<std::string> text = as_text(item, context.problems);
            if (text && not_empty(*text, item, context)) health.add_exception_patterns(*std::move(text));
        }
    }
    const YamlValue* patterns = reader.find("unhealthy_response_body_patterns");
    if (patterns == nullptr) return;
    re2::RE2::Options options;
    options.set_case_sensitive(false);
    options.set_log_errors(false);
    options.set_encoding(re2::RE2::Options::EncodingLatin1);
    for (const YamlValue& item : as_list(*patterns, context.problems)) {
        std::optional<std::string> text = as_text(item, context.problems);
        if (!text || !not_empty(*text, item, context)) continue;
        re2::RE2 pattern(*text, options);
        if (pattern.ok()) {
            health.add_response_body_patterns(*std::move(text));
            continue;
        }
        context.problems.add(
            item.at,
            item.path,
            fmt::format("{} is not a regular expression: {}", in_quotes(*text), pattern.error()),
            "RE2 syntax: no look-around, no back references; put a \\ before a special character"
        );
    }
}

void read_health(MapReader& reader, v1::HealthPolicy& health, ParseContext& context) {
    health.set_failure_cooldown_ms(reader.milliseconds("failure_cooldown", 60'000));
    health.set_unhealthy_threshold(reader.integer("unhealthy_threshold", 1, 1'000'000, 2));
    health.set_unhealthy_reset_on_success(reader.boolean("unhealthy_reset_on_success", true));
    std::int64_t reset_timeout = 300'000;
    if (const YamlValue* value = reader.find("unhealthy_reset_timeout"); value != nullptr) {
        // Zero and below switch it off, as in the original.
        reset_timeout = as_milliseconds(*value, -kSecondsMax, kSecondsMax, context.problems)
                            .value_or(reset_timeout);
    }
    health.set_unhealthy_reset_timeout_ms(
        static_cast<std::uint32_t>(std::max<std::int64_t>(reset_timeout, 0))
    );
    read_patterns(reader, health, context);
    const YamlValue* codes = reader.find("unhealthy_http_codes");
    if (codes == nullptr) return;
    for (const YamlValue& item : as_list(*codes, context.problems)) {
        std::optional<std::int64_t> code = as_integer(item, 100, 599, context.problems);
        if (code) health.add_http_codes(static_cast<std::uint32_t>(*code));
    }
}

void read_sticky(MapReader& reader, v1::Settings& settings, ParseContext& context) {
    static constexpr MapReader::Choices<v1::StickyScope, 2> kScopes = {{
        {"session", v1::STICKY_SCOPE_SESSION},
        {"global", v1::STICKY_SCOPE_GLOBAL},
    }};
    settings.set_sticky_scope(reader.choice("sticky_scope", kScopes, v1::STICKY_SCOPE_SESSION));
    std::uint32_t old = reader.milliseconds("idle_recovery_interval", 300'000);
    if (const YamlValue* value = reader.find("idle_recovery_interval"); value != nullptr) {
        bool both = reader.find("sticky_provider_duration") != nullptr;
        context.notices.push_back(fmt::format(
            "{} is the old name of settings.sticky_provider_duration{}",
            value->path,
            both ? ", which is given too and counts" : ""
        ));
    }
    settings.set_sticky_duration_ms(reader.milliseconds("sticky_provider_duration", old));
}

v1::Timeouts read_mode_timeouts(
    const YamlValue& value, std::uint32_t read_default, ParseContext& context
) {
    MapReader reader(value, context.problems);
    v1::Timeouts timeouts;
    timeouts.set_connect_ms(reader.milliseconds("connect_timeout", 30'000));
    std::uint32_t read = reader.milliseconds("read_timeout", read_default);
    // The original's read timeout bounds each single read, so the wait for the head as well as each
    // gap.
    timeouts.set_first_byte_ms(read);
    timeouts.set_idle_ms(read);
    timeouts.set_pool_ms(reader.milliseconds("pool_timeout", 30'000));
    reader.finish();
    return timeouts;
}

void read_timeouts(const YamlValue& value, ParsedSettings& out, ParseContext& context) {
    MapReader reader(value, context.problems);
    out.non_streaming = read_mode_timeouts(map_under(reader, "non_streaming"), 60'000, context);
    out.streaming = read_mode_timeouts(map_under(reader, "streaming"), 120'000, context);
    MapReader caching(map_under(reader, "caching"), context.problems);
    out.settings.mutable_deduplication()->set_timeout_ms(caching.milliseconds("deduplication_timeout", 180'000));
    caching.finish();
    reader.finish();
}

void read_deduplication(const YamlValue& value, v1::Deduplication& out, ProblemList& problems) {
    MapReader reader(value, problems);
    out.set_enabled(reader.boolean("enabled", true));
    out.set_include_max_tokens(reader.boolean("include_max_tokens_in_signature", false));
    out.set_error_delay_ms(reader.milliseconds("sse_error_cleanup_delay", 3'000));
    out.set_replay_window_ms(reader.milliseconds("replay_window", 0));
    reader.removed("cache", "it has no counterpart: replay_window keeps finished answers, for retries only");
    reader.finish();
}

void read_limits(const YamlValue& value, v1::Limits& limits, ParseContext& context) {
    MapReader reader(value, context.problems);
    limits.set_body_bytes(reader.size("body_bytes", 1 << 10, 4ULL << 30, 64 << 20));
    limits.set_body_memory_bytes(reader.size("body_memory_bytes", 1 << 20, 1ULL << 50, 1 << 30));
    limits.set_header_bytes(
        static_cast<std::uint32_t>(reader.size("header_bytes", 4 << 10, 1 << 20, 64 << 10))
    );
    limits.set_connections(reader.integer("connections", 1, 1'000'000, 10'000));
    limits.set_retry_budget_percent(reader.integer("retry_budget_percent", 0, 100, 20));
    limits.set_retry_budget_min_per_s(reader.integer("retry_budget_min_per_second", 0, 100'000, 10)
    );
    limits.set_panic_concurrency(reader.integer("panic_concurrency", 1, 10'000, 4));
    if (limits.body_memory_bytes() < limits.body_bytes()) {
        const YamlValue* given = reader.find("body_memory_bytes");
        if (given == nullptr) given = reader.find("body_bytes");
        context.problems.add(
            given->at,
            join_path(reader.path(), "body_memory_bytes"),
            fmt::format(
                "less than body_bytes, {}: no such body could be accepted", limits.body_bytes()
            )
        );
    }
    reader.finish();
}

void read_log(MapReader& reader, v1::LogSettings& log, ParseContext& context) {
    log.set_level(v1::LOG_LEVEL_INFO);
    if (const YamlValue* value = reader.find("log_level"); value != nullptr) {
        std::string word = as_text(*value, context.problems).value_or("INFO");
        for (char& c : word) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        v1::LogLevel level = v1::LOG_LEVEL_INFO;
        if (word == "WARN") word = "WARNING";
        if (word == "CRITICAL" || word == "FATAL") word = "ERROR";
        if (v1::LogLevel_Parse("LOG_LEVEL_" + word, &level)) {
            log.set_level(level);
        } else {
            context.problems.add(
                value->at,
                value->path,
                in_quotes(word) + " is not one of DEBUG, INFO, WARNING, ERROR",
                did_you_mean(word, {"DEBUG", "INFO", "WARNING", "ERROR"})
            );
        }
    }
    log.set_color(reader.boolean("log_color", true));
    log.set_file_path(reader.text("log_file_path"));
    log.set_log_bodies(reader.boolean("log_bodies", false));
}

void read_listen(MapReader& reader, v1::Settings& settings, ParseContext& context) {
    settings.set_listen_host(reader.text("host", "127.0.0.1"));
    settings.set_listen_port(reader.integer("port", 0, 65535, 9090));
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address(settings.listen_host(), not_an_address);
    const YamlValue* host = reader.find("host");
    if (host == nullptr || !not_an_address || settings.listen_host() == "localhost") return;
    context.problems.add(
        host->at,
        host->path,
        in_quotes(settings.listen_host()) + " is not an address",
        "127.0.0.1 for this machine only, 0.0.0.0 or '::' for every interface"
    );
}

// Peers that are believed whom they ask for.
void read_trusted_proxies(MapReader& reader, v1::Settings& settings, ParseContext& context) {
    const YamlValue* list = reader.find("trusted_proxies");
    if (list == nullptr) return;
    for (const YamlValue& item : as_list(*list, context.problems)) {
        std::optional<std::string> text = as_text(item, context.problems);
        if (!text) continue;
        Result<AddressBlock> block = AddressBlock::parse(*text);
        if (!block) {
            context.problems.add(item.at, item.path, block.error().text());
            continue;
        }
        if (block->is_all()) {
            context.notices.push_back(fmt::format(
                "{} trusts everybody: any client may say which address it comes from", item.path
            ));
        }
        settings.add_trusted_proxies(*std::move(text));
    }
    if (static_cast<std::size_t>(settings.trusted_proxies_size()) > kTrustedProxiesMax) {
        context.problems.add(
            list->at, list->path, fmt::format("more than {} entries", kTrustedProxiesMax), "write blocks, such as 10.0.0.0/8"
        );
    }
}

void read_testing(const YamlValue& value, v1::Testing& testing, ParseContext& context) {
    MapReader reader(value, context.problems);
    testing.set_simulate_delay(reader.boolean("simulate_delay", false));
    testing.set_delay_ms(reader.milliseconds("delay_seconds", 70'000));
    for (std::string& word : reader.texts("delay_trigger_keywords")) {
        testing.add_delay_trigger_keywords(std::move(word));
    }
    reader.finish();
}

// Known keys of the original without a meaning here: checked, and named in the notices.
void read_without_effect(MapReader& reader, ParseContext& context) {
    reader.boolean("reload", false);
    reader.texts("reload_includes");
    for (std::string_view key : {"reload", "reload_includes"}) {
        const YamlValue* value = reader.find(key);
        if (value == nullptr) continue;
        context.notices.push_back(fmt::format("{} has no effect: the file is always watched", value->path));
    }
}

void refuse_removed(MapReader& reader) {
    reader.removed("unhealthy_error_types", "use settings.unhealthy_exception_patterns");
    reader.removed("failover_error_types", "use settings.unhealthy_exception_patterns");
    reader.removed("failover_http_codes", "use settings.unhealthy_http_codes");
    reader.removed("streaming_timeout", "use settings.timeouts.streaming");
    reader.removed("streaming_activity_timeout", "use settings.timeouts.streaming.read_timeout");
    reader.removed("client_disconnect_watchdog", "remove it: a client that leaves is always seen");
}

}  // namespace

ParsedSettings read_settings(const YamlValue& value, ParseContext& context) {
    static constexpr MapReader::Choices<v1::SelectionStrategy, 3> kStrategies = {{
        {"priority", v1::SELECTION_STRATEGY_PRIORITY},
        {"round_robin", v1::SELECTION_STRATEGY_ROUND_ROBIN},
        {"random", v1::SELECTION_STRATEGY_RANDOM},
    }};
    static constexpr MapReader::Choices<v1::FailoverMode, 2> kFailover = {{
        {"immediate", v1::FAILOVER_MODE_IMMEDIATE},
        {"on_unhealthy", v1::FAILOVER_MODE_ON_UNHEALTHY},
    }};
    ParsedSettings out;
    v1::Settings& settings = out.settings;
    MapReader reader(value, context.problems);
    settings.set_selection_strategy(
        reader.choice("selection_strategy", kStrategies, v1::SELECTION_STRATEGY_PRIORITY)
    );
    settings.set_failover(reader.choice("failover", kFailover, v1::FAILOVER_MODE_IMMEDIATE));
    read_health(reader, *settings.mutable_health(), context);
    read_sticky(reader, settings, context);
    read_timeouts(map_under(reader, "timeouts"), out, context);
    read_deduplication(map_under(reader, "deduplication"), *settings.mutable_deduplication(), context.problems);
    read_limits(map_under(reader, "limits"), *settings.mutable_limits(), context);
    *settings.mutable_auth() = read_client_auth(reader, context);
    read_log(reader, *settings.mutable_log(), context);
    read_listen(reader, settings, context);
    read_trusted_proxies(reader, settings, context);
    settings.set_app_name(reader.text("app_name", "Claude Code Provider Balancer"));
    settings.set_app_version(reader.text("app_version", BALANCER_VERSION));
    read_testing(map_under(reader, "testing"), *settings.mutable_testing(), context);
    settings.set_ping_interval_ms(10'000);
    if (const YamlValue* ping = reader.find("ping_interval"); ping != nullptr) {
        // A stream without pings would lose clients behind proxies, so it cannot be switched off.
        settings.set_ping_interval_ms(static_cast<std::uint32_t>(
            as_milliseconds(*ping, 0.01, 3600, context.problems).value_or(10'000)
        ));
    }
    out.oauth = read_oauth(map_under(reader, "oauth"), context);
    read_without_effect(reader, context);
    refuse_removed(reader);
    reader.finish();
    return out;
}

}  // namespace balancer::controlplane
