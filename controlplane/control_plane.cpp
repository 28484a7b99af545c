#include "controlplane/control_plane.hpp"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/file.hpp"
#include "controlplane/oauth/expand_accounts.hpp"
#include "controlplane/publish/published_size.hpp"

namespace balancer::controlplane {
namespace {

using google::protobuf::util::MessageDifferencer;

std::string version_text(const v1::Version& version) {
    return fmt::format("{}.{}", version.epoch(), version.seq());
}

v1::Version first_version(const StoreIdentity& identity) {
    v1::Version version;
    version.set_store_uuid(identity.store_uuid);
    version.set_epoch(identity.epoch);
    return version;
}

}  // namespace

ControlPlane::ControlPlane(
    boost::asio::io_context& context, Log& log, Store& store, Options options
)
    : context_(context),
      log_(log),
      store_(store),
      options_(std::move(options)),
      started_at_(unix_now()),
      publisher_(context, log, first_version(store.identity()), store.identity().store_uuid),
      merger_(
          store.identity().epoch,
          [this] { return std::uniform_real_distribution<double>(0, 1)(random_); }
      ),
      ticker_(context),
      health_timer_(context),
      hold_custody_(context, log, store),
      revisions_(store, options_.config_file, options_.environment, [this](const std::string& name) {
          return sealed_key(name);
      }),
      custody_(
          context,
          log,
          &store.sealed(),
          Custody::Options{
              [this](const std::string& cause) { publish_sections(cause); },
              {},
              unix_now,
              {},
              options_.post_program,
              options_.state_dir / "refresh",
          }
      ) {}

Result<void> ControlPlane::start(LoadedConfig loaded) {
    settle_keys();
    Result<Proposal> proposal = revisions_.at_start(std::move(loaded));
    if (!proposal) return proposal.error();
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&*proposal)) {
        return Error{
            make_error_code(boost::system::errc::bad_message),
            fmt::format(
                "revision {}, which was in force, cannot be used any more; mend what it refers to, "
                "or change {} (a comment will do), which then takes its place:\n{}",
                revisions_.head().number,
                options_.config_file.string(),
                to_lines(*problems, problems->size())
            ),
        };
    }
    Result<std::vector<AccountHold>> holds = store_.holds();
    if (!holds) return holds.error();
    holds_to_restore_ = *std::move(holds);
    // So that the accounts are known, which are published with it.
    custody_.configure(std::get<Candidate>(*proposal).loaded.oauth);
    Result<void> in_force = put_in_force(std::get<Candidate>(*std::move(proposal)), "start");
    if (!in_force) return in_force;
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kConfigLoaded,
        revisions_.edited_by_hand()
            ? fmt::format(
                  "revision {} is in force: {} with what was changed by hand",
                  revisions_.head().number,
                  options_.config_file.string()
              )
            : fmt::format("{} is in force", options_.config_file.string()),
        {{"version", version_text(publisher_.head())},
         {"revision", revisions_.head().number},
         {"providers", config_.providers_size()},
         {"enabled", count_enabled(config_)}}
    );
    log_notices();
    tick();
    return {};
}

void ControlPlane::stop() {
    stopped_ = true;
    ticker_.cancel();
    health_timer_.cancel();
    hold_custody_.stop(merger_.holds());
    custody_.stop();
}

ReloadOutcome ControlPlane::reload(std::string_view cause, const v1::ChangeContext& context) {
    LoadResult result = load_config(
        options_.config_file, options_.environment, [this](const std::string& name) { return sealed_key(name); }
    );
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&result)) {
        return refuse(std::move(*problems), cause);
    }
    return take(std::get<LoadedConfig>(std::move(result)), cause, context);
}

void ControlPlane::reload_if_changed(std::string_view cause) {
    Result<std::string> bytes = read_file(options_.config_file);
    if (bytes && revisions_.is_known_file(to_hex(sha256(*bytes)))) return;
    reload(cause);
}

ReloadOutcome ControlPlane::take(
    LoadedConfig loaded, std::string_view cause, const v1::ChangeContext& context
) {
    const std::string file = options_.config_file.string();
    if (revisions_.is_known_file(loaded.sha256)) {
        Result<void> adopted = revisions_.adopt_file(loaded.sha256);
        if (!adopted)
            return refuse({ConfigProblem{file, 0, 0, "", adopted.error().text(), ""}}, cause);
        return reread(cause);
    }
    std::string reason = context.reason().empty() ? std::string(cause) : context.reason();
    Proposal proposal = revisions_.from_file(
        std::move(loaded), Origin{RevisionSource::kFile, context.actor(), std::move(reason)}
    );
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&proposal)) {
        return refuse(std::move(*problems), cause);
    }
    Candidate& candidate = std::get<Candidate>(proposal);
    if (count_enabled(candidate.config) == 0 && count_enabled(config_) > 0) {
        ConfigProblem problem;
        problem.file = file;
        problem.path = "providers";
        problem.message =
            "no provider would be enabled: what the file enables has been disabled by hand";
        problem.suggestion = "balancerctl providers enable NAME";
        return refuse({std::move(problem)}, cause);
    }
    const bool same =
        MessageDifferencer::Equals(candidate.config, config_) &&
        MessageDifferencer::Equals(candidate.loaded.credentials, revisions_.loaded().credentials) &&
        candidate.loaded.oauth == revisions_.loaded().oauth;
    Result<void> in_force = put_in_force(std::move(candidate), fmt::format("reload: {}", cause));
    if (!in_force) {
        return refuse({ConfigProblem{file, 0, 0, "", in_force.error().text(), ""}}, cause);
    }
    // Other comments or white space are a revision as well: the text can be shown and brought back.
    if (same) return unchanged(file + " says what is in force already", cause);
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
        {{"version", version_text(publisher_.head())},
         {"revision", revisions_.head().number},
         {"cause", cause}}
    );
    log_notices();
    return ReloadOutcome{ReloadResult::kChanged, std::move(message), {}};
}

// The file is the one that runs, or that was changed by hand since: what can be new is behind its
// references.
ReloadOutcome ControlPlane::reread(std::string_view cause) {
    LoadResult again = revisions_.read_again();
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&again)) {
        return refuse(std::move(*problems), cause);
    }
    LoadedConfig& loaded = std::get<LoadedConfig>(again);
    const std::string file = options_.config_file.string();
    v1::ConfigSection config = apply_overrides(loaded.config, revisions_.head().overrides).config;
    bool same = MessageDifferencer::Equals(config, config_) &&
                MessageDifferencer::Equals(loaded.credentials, revisions_.loaded().credentials) &&
                loaded.oauth == revisions_.loaded().oauth;
    if (Result<void> fits = check_size(config, loaded); !fits) {
        return refuse({ConfigProblem{file, 0, 0, "", fits.error().text(), ""}}, cause);
    }
    revisions_.refresh(std::move(loaded));
    custody_.configure(revisions_.loaded().oauth);
    if (same) {
        return unchanged(
            revisions_.edited_by_hand()
                ? fmt::format(
                      "{} has not changed; revision {}, changed by hand since, stays in force",
                      file,
                      revisions_.head().number
                  )
                : file + " says what is in force already",
            cause
        );
    }
    config_ = std::move(config);
    publish_running(fmt::format("reload: {}", cause));
    reload_error_.clear();
    ++tally_.reloads_changed;
    std::string message = file + " has not changed, but what it refers to has; that is in force";
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kConfigReloaded,
        message,
        {{"version", version_text(publisher_.head())}, {"cause", cause}}
    );
    return ReloadOutcome{ReloadResult::kChanged, std::move(message), {}};
}

ReloadOutcome ControlPlane::unchanged(std::string message, std::string_view cause) {
    reload_error_.clear();
    ++tally_.reloads_unchanged;
    log_.emit(LogLevel::kInfo, LogEvent::kConfigUnchanged, message, {{"cause", cause}});
    return ReloadOutcome{ReloadResult::kUnchanged, std::move(message), {}};
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

// From some providers to none is a mistake, whoever makes it, until somebody says that he means it.
Result<void> ControlPlane::check_some_enabled(const v1::ConfigSection& next, bool forced) const {
    if (forced || count_enabled(next) > 0 || count_enabled(config_) == 0) return {};
    return invalid(
        "no provider would be enabled any more, so nobody could answer: enable another one first, "
        "or say --force"
    );
}

// With the accounts as they are now.
Result<void> ControlPlane::check_size(const v1::ConfigSection& config, const LoadedConfig& loaded) const {
    v1::ConfigSection expanded = expand_accounts(config, custody_.accounts(), !loaded.oauth.allow_other_clients);
    v1::CredentialSection credentials = loaded.credentials;
    add_account_credentials(expanded, credentials);
    return check_published_size(expanded, credentials);
}

// A token goes only where a provider wants it.
void ControlPlane::add_account_credentials(const v1::ConfigSection& expanded, v1::CredentialSection& credentials) const {
    std::set<std::string, std::less<>> wanted;
    for (const v1::Provider& provider : expanded.providers()) {
        if (provider.enabled() && !provider.account().empty()) wanted.insert(provider.account());
    }
    custody_.add_credentials(credentials, [&wanted](const std::string& name) { return wanted.contains(name); });
}

// Kept first, published then: what a data plane has seen is never lost by a crash.
Result<void> ControlPlane::put_in_force(
    Candidate candidate, const std::string& cause, bool forced
) {
    Result<void> served = check_some_enabled(candidate.config, forced);
    if (!served) return served;
    if (Result<void> fits = check_size(candidate.config, candidate.loaded); !fits) return fits;
    v1::ConfigSection config = std::move(candidate.config);
    std::vector<std::string> notices = std::move(candidate.notices);
    const bool is_new = !candidate.kept;
    if (is_new) {
        // Once meant, it is meant until somebody can answer again.
        candidate.revision.may_be_empty =
            count_enabled(config) == 0 && (forced || revisions_.head().may_be_empty);
    }
    if (Result<void> kept = revisions_.keep(std::move(candidate)); !kept) return kept;
    const Revision& head = revisions_.head();
    if (is_new) {
        log_.emit(
            LogLevel::kInfo,
            LogEvent::kConfigRevision,
            fmt::format("revision {}: {}", head.number, head.summary),
            {{"source", name_of(head.source)}, {"actor", head.actor}, {"reason", head.reason}}
        );
    }
    for (const std::string& notice : notices) log_.emit(LogLevel::kWarning, LogEvent::kNotice, notice);
    config_ = std::move(config);
    change_notices_ = std::move(notices);
    loaded_at_ = unix_now();
    publish_running(cause);
    return {};
}

void ControlPlane::publish_running(const std::string& cause) {
    apply_log_settings();
    custody_.configure(revisions_.loaded().oauth);
    publish_sections(cause);
}

// CONFIG and CREDENTIALS with what the accounts are now.
void ControlPlane::publish_sections(const std::string& cause) {
    if (loaded_at_ == 0) return;  // nothing is in force yet
    UnixMs at = now();
    v1::ConfigSection expanded = expand_accounts(config_, custody_.accounts(), !custody_.settings().allow_other_clients);
    v1::CredentialSection credentials = revisions_.loaded().credentials;
    add_account_credentials(expanded, credentials);
    // Configurations have been checked before they came into force, so it is the accounts that have become too many.
    if (Result<void> fits = check_published_size(expanded, credentials); !fits) {
        std::string problem = "accounts are as they were for data planes, since " + fits.error().text();
        if (std::exchange(publish_problem_, problem) != problem) log_.emit(LogLevel::kError, LogEvent::kNotice, problem);
        return;
    }
    publish_problem_.clear();
    published_ = std::move(expanded);
    merger_.configure(published_, at);
    if (std::optional<std::vector<AccountHold>> holds = std::exchange(holds_to_restore_, std::nullopt)) {
        merger_.restore(*holds, at);
        hold_custody_.start(*std::move(holds));
    }
    const Revision& head = revisions_.head();
    publisher_.publish_config(
        published_,
        credentials,
        cause,
        {head.number, head.may_be_empty && count_enabled(config_) == 0}
    );
    publish_health(cause);
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

// Those of the last change were logged with it.
void ControlPlane::log_notices() {
    const v1::GetStatusResponse shown = status();
    for (const std::string& notice : shown.notices()) {
        if (std::find(change_notices_.begin(), change_notices_.end(), notice) != change_notices_.end()) continue;
        log_.emit(LogLevel::kWarning, LogEvent::kNotice, notice);
    }
}

}  // namespace balancer::controlplane
