#include "controlplane/control_plane.hpp"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "base/file.hpp"
#include "model/from_proto.hpp"

namespace balancer::controlplane {
namespace {

using google::protobuf::util::MessageDifferencer;

// How often circuits are looked at for an end of their time.
constexpr std::chrono::seconds kTick{1};

std::string version_text(const v1::Version& version) {
    return fmt::format("{}.{}", version.epoch(), version.seq());
}

std::string_view circuit_name(v1::Circuit circuit) {
    switch (circuit) {
        case v1::CIRCUIT_OPEN:
            return "open";
        case v1::CIRCUIT_HALF_OPEN:
            return "half-open";
        case v1::CIRCUIT_RAMP:
            return "ramp";
        default:
            return "closed";
    }
}

v1::Version first_version(const StoreIdentity& identity) {
    v1::Version version;
    version.set_store_uuid(identity.store_uuid);
    version.set_epoch(identity.epoch);
    return version;
}

bool says_the_same(const LoadedConfig& a, const LoadedConfig& b) {
    return MessageDifferencer::Equals(a.config, b.config) &&
           MessageDifferencer::Equals(a.credentials, b.credentials);
}

const v1::ProviderHealth* find_health(
    const v1::HealthSection& section, const v1::ProviderHealth& like
) {
    for (const v1::ProviderHealth& entry : section.providers()) {
        if (entry.provider() == like.provider() && entry.model() == like.model()) return &entry;
    }
    return nullptr;
}

}  // namespace

ControlPlane::ControlPlane(
    boost::asio::io_context& context, Log& log, Store& store, Options options
)
    : log_(log),
      store_(store),
      options_(std::move(options)),
      started_at_(unix_now()),
      publisher_(context, log, first_version(store.identity()), store.identity().store_uuid),
      ticker_(context) {}

Result<void> ControlPlane::start(LoadedConfig loaded) {
    Result<std::vector<Override>> stored = store_.overrides();
    if (!stored) return stored.error();
    Effective effective = apply_overrides(loaded.config, *stored);
    if (count_enabled(effective.config) == 0) {
        // A start cannot be refused for this: only a running control plane can take an override
        // back.
        effective = Effective{loaded.config, {}, *stored};
        start_notices_.push_back(
            "every enable and disable by hand has ended: with them no provider would be enabled"
        );
    }
    overrides_ = *std::move(stored);
    Result<void> in_force = put_in_force(std::move(loaded), std::move(effective), "start");
    if (!in_force) return in_force;
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kConfigLoaded,
        fmt::format("{} is in force", options_.config_file.string()),
        {{"version", version_text(publisher_.head())},
         {"providers", config_.providers_size()},
         {"enabled", count_enabled(config_)}}
    );
    log_notices();
    tick();
    return {};
}

void ControlPlane::stop() {
    ticker_.cancel();
}

ReloadOutcome ControlPlane::reload(std::string_view cause) {
    LoadResult result = load_config(options_.config_file, options_.environment);
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&result)) {
        return refuse(std::move(*problems), cause);
    }
    return take(std::get<LoadedConfig>(std::move(result)), cause);
}

void ControlPlane::reload_if_changed(std::string_view cause) {
    Result<std::string> bytes = read_file(options_.config_file);
    if (bytes && to_hex(sha256(*bytes)) == loaded_.sha256) return;
    reload(cause);
}

ReloadOutcome ControlPlane::take(LoadedConfig loaded, std::string_view cause) {
    const std::string file = options_.config_file.string();
    if (says_the_same(loaded, loaded_)) {
        // A file with other comments or white space is in force as well: status names its digest.
        if (loaded.sha256 != loaded_.sha256) loaded_at_ = unix_now();
        loaded_ = std::move(loaded);
        reload_error_.clear();
        ++tally_.reloads_unchanged;
        std::string message = file + " says what is in force already";
        log_.emit(LogLevel::kInfo, LogEvent::kConfigUnchanged, message, {{"cause", cause}});
        return ReloadOutcome{ReloadResult::kUnchanged, std::move(message), {}};
    }
    Effective effective = apply_overrides(loaded.config, overrides_);
    if (count_enabled(effective.config) == 0) {
        ConfigProblem problem;
        problem.file = file;
        problem.path = "providers";
        problem.message =
            "no provider would be enabled: what the file enables has been disabled by hand";
        problem.suggestion = "balancerctl providers enable NAME";
        return refuse({std::move(problem)}, cause);
    }
    Result<void> in_force =
        put_in_force(std::move(loaded), std::move(effective), fmt::format("reload: {}", cause));
    if (!in_force) {
        ConfigProblem problem;
        problem.file = file;
        problem.message = in_force.error().text();
        return refuse({std::move(problem)}, cause);
    }
    reload_error_.clear();
    ++tally_.reloads_changed;
    std::string message = fmt::format(
        "{} is in force: {} providers, {} enabled",
        file,
        config_.providers_size(),
        count_enabled(config_)
    );
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kConfigReloaded,
        message,
        {{"version", version_text(publisher_.head())}, {"cause", cause}}
    );
    log_notices();
    return ReloadOutcome{ReloadResult::kChanged, std::move(message), {}};
}

ReloadOutcome ControlPlane::refuse(std::vector<ConfigProblem> problems, std::string_view cause) {
    ++tally_.reloads_refused;
    reload_error_ = to_lines(problems, 20);
    reload_error_at_ = unix_now();
    std::string message = fmt::format(
        "{} was refused ({} problem{}); the running configuration stays in force",
        options_.config_file.string(),
        problems.size(),
        problems.size() == 1 ? "" : "s"
    );
    log_.emit(
        LogLevel::kError,
        LogEvent::kConfigRefused,
        message,
        {{"cause", cause}, {"problems", reload_error_}}
    );
    return ReloadOutcome{ReloadResult::kRefused, std::move(message), std::move(problems)};
}

Result<void> ControlPlane::put_in_force(
    LoadedConfig loaded, Effective effective, const std::string& cause
) {
    for (const Override& ended : effective.ended) {
        Result<void> dropped = store_.drop_override(ended.provider);
        if (!dropped) return dropped;
    }
    loaded_ = std::move(loaded);
    config_ = std::move(effective.config);
    overrides_ = std::move(effective.kept);
    loaded_at_ = unix_now();
    apply_log_settings();
    merger_.configure(config_);
    publisher_.publish_config(config_, loaded_.credentials, cause);
    publish_health(cause);
    return {};
}

void ControlPlane::on_report(
    const std::string& dp_id, const std::string& instance_id, const v1::ReportRequest& report
) {
    UnixMs now = unix_now();
    bool changed = false;
    for (const v1::Signal& signal : report.signals()) {
        ++tally_.signals_received;
        const v1::Provider* provider = find_provider(config_, signal.provider());
        if (provider == nullptr || provider->etag() != signal.etag()) {
            ++tally_.signals_ignored;
            continue;
        }
        if (!signal.ok()) {
            log_.emit(
                LogLevel::kDebug,
                LogEvent::kProviderFailure,
                signal.detail(),
                {{"provider", signal.provider()},
                 {"class", name_of(to_outcome(signal).failure)},
                 {"status", signal.http_status()},
                 {"data_plane", dp_id},
                 {"request_id", signal.request_id()}}
            );
        }
        if (merger_.signal(dp_id, signal, now)) changed = true;
    }
    merger_.counters(dp_id, instance_id, report.counters());
    if (changed) publish_health(fmt::format("report of {}", dp_id));
}

void ControlPlane::publish_health(const std::string& cause) {
    v1::HealthSection section = merger_.section(unix_now());
    log_circuits(section);
    health_ = section;
    publisher_.publish_health(section, cause);
}

void ControlPlane::log_circuits(const v1::HealthSection& now) const {
    for (const v1::ProviderHealth& entry : now.providers()) {
        const v1::ProviderHealth* before = find_health(health_, entry);
        v1::Circuit was = before == nullptr ? v1::CIRCUIT_CLOSED : before->circuit();
        if (was == entry.circuit()) continue;
        bool closed = entry.circuit() == v1::CIRCUIT_CLOSED;
        log_.emit(
            closed ? LogLevel::kInfo : LogLevel::kWarning,
            LogEvent::kProviderStateChanged,
            fmt::format(
                "provider '{}' went from {} to {}",
                entry.provider(),
                circuit_name(was),
                circuit_name(entry.circuit())
            ),
            {{"provider", entry.provider()},
             {"circuit", circuit_name(entry.circuit())},
             {"until_ms", entry.until_ms()},
             {"cause", entry.cause()}}
        );
    }
}

void ControlPlane::apply_log_settings() {
    const v1::LogSettings& settings = config_.settings().log();
    log_.set_level([&] {
        switch (settings.level()) {
            case v1::LOG_LEVEL_DEBUG:
                return LogLevel::kDebug;
            case v1::LOG_LEVEL_WARNING:
                return LogLevel::kWarning;
            case v1::LOG_LEVEL_ERROR:
                return LogLevel::kError;
            default:
                return LogLevel::kInfo;
        }
    }());
    log_.set_color(settings.color());
    std::string path;
    if (!settings.file_path().empty()) path = options_.state_dir / settings.file_path();
    if (Result<void> opened = log_.set_file(path); !opened) {
        log_.emit(LogLevel::kWarning, LogEvent::kNotice, opened.error().text());
    }
}

void ControlPlane::log_notices() {
    const v1::GetStatusResponse shown = status();
    for (const std::string& notice : shown.notices()) {
        log_.emit(LogLevel::kWarning, LogEvent::kNotice, notice);
    }
}

void ControlPlane::tick() {
    ticker_.expires_after(kTick);
    ticker_.async_wait([this](ErrorCode ec) {
        if (ec) return;
        if (merger_.age(unix_now())) publish_health("time passed");
        tick();
    });
}

}  // namespace balancer::controlplane
