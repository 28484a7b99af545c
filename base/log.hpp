// The event log of a program: typed events, as a line for people on stderr and as JSONL in a file.
// Not for the request path: access records have their own writer (dataplane/telemetry/access_log).
#pragma once

#include <cstdint>
#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace balancer {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Every event that a program can log. The name in the log is the enumerator in snake_case without the k; the
// table in log.cpp holds it. docs/operations.md says what each asks of an operator.
enum class LogEvent {
    kStarted,
    kStopping,
    kListening,
    kNotice,
    kConfigLoaded,
    kConfigReloaded,
    kConfigRefused,
    kConfigUnchanged,
    kProviderStateChanged,
    kProviderFailure,
    kProviderQuarantined,
    kDataPlaneConnected,
    kDataPlaneDisconnected,
    kDataPlaneRefused,
    kUpdatePublished,
    kUpdateAcknowledged,
    kUpdateRefused,
    kControlPlaneConnected,
    kControlPlaneLost,
    kSnapshotApplied,
    kSnapshotRefused,
    kReportDropped,
    kRequestFailed,
    kClientRefused,
    kAdminCall,
    kDataPlaneSuspect,
    kTaskFailed,
    kSnapshotRestored,
    kLastKnownGoodRefused,
    kLastKnownGoodNotKept,
    kBody,
    kConfigRevision,
    kSealingKeysChanged,
    kSealedRecordUnusable,
    kAccountLoggedIn,
    kAccountRefreshed,
    kAccountRefreshFailed,
    kAccountNeedsLogin,
    kAccountForgotten,
    kAccountHeld,
};

// One named value of an event. Strings are redacted when written.
struct LogField {
    std::string_view name;
    std::variant<std::string_view, std::int64_t, double, bool> value;

    LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
    LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
    LogField(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
    LogField(std::string_view n, bool v) : name(n), value(v) {}
    LogField(std::string_view n, double v) : name(n), value(v) {}
    template <std::integral T>
    LogField(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};

// One event as it was logged: redacted.
struct LogRecord {
    UnixMs at = 0;
    LogLevel level = LogLevel::kInfo;
    LogEvent event = LogEvent::kNotice;
    std::string message;
    std::vector<std::pair<std::string, std::string>> fields;
};

// Thread-safe. Lives as long as the program; passed by reference to what logs.
class Log {
  public:
    // `program` is named on each line. Starts with stderr only, level info.
    explicit Log(std::string program);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    void set_level(LogLevel level);
    void set_color(bool color);

    // Switches the JSONL file; parent folders are made; empty: none. On failure the old one stays.
    Result<void> set_file(const std::string& path);

    bool enabled(LogLevel level) const;

    // Called with each event of level info and above, whatever the log's own level, on the thread that logs. It must
    // not log, and lives until the last event that began before it was replaced; empty: none.
    void set_tap(std::function<void(const LogRecord&)> tap);

    // `message` is one sentence: what happened, to whom, and, when it is bad, what to do.
    void emit(
        LogLevel level,
        LogEvent event,
        std::string_view message,
        std::initializer_list<LogField> fields = {}
    );

  private:
    void tell(
        LogLevel level,
        LogEvent event,
        std::string_view message,
        std::initializer_list<LogField> fields
    ) const;

    struct Sinks;
    std::unique_ptr<Sinks> sinks_;
};

std::string_view name_of(LogEvent event);
std::string_view name_of(LogLevel level);

// Nothing: no event is called so.
std::optional<LogEvent> event_named(std::string_view name);

// Appends `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace balancer
