#include "base/log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <mutex>

#include "base/clock.hpp"
#include "base/redact.hpp"
#include "base/utf8.hpp"

namespace balancer {
namespace {

constexpr std::string_view kEventNames[] = {
    "started",
    "stopping",
    "listening",
    "notice",
    "config_loaded",
    "config_reloaded",
    "config_refused",
    "config_unchanged",
    "provider_state_changed",
    "provider_failure",
    "provider_quarantined",
    "data_plane_connected",
    "data_plane_disconnected",
    "data_plane_refused",
    "update_published",
    "update_acknowledged",
    "update_refused",
    "control_plane_connected",
    "control_plane_lost",
    "snapshot_applied",
    "snapshot_refused",
    "report_dropped",
    "request_failed",
    "client_refused",
    "admin_call",
    "data_plane_suspect",
    "task_failed",
    "snapshot_restored",
    "last_known_good_refused",
    "last_known_good_not_kept",
    "body",
    "config_revision",
    "sealing_keys_changed",
    "sealed_record_unusable",
    "account_logged_in",
    "account_refreshed",
    "account_refresh_failed",
    "account_needs_login",
    "account_forgotten",
    "account_held",
};
static_assert(std::size(kEventNames) == static_cast<std::size_t>(LogEvent::kAccountHeld) + 1);

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug: return spdlog::level::debug;
        case LogLevel::kInfo: return spdlog::level::info;
        case LogLevel::kWarning: return spdlog::level::warn;
        case LogLevel::kError: return spdlog::level::err;
    }
    return spdlog::level::info;
}

void append_value(std::string& out, const LogField& field, bool json) {
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
        std::string clean = redact(*text);
        if (json || clean.find_first_of(" \"=\n") != std::string::npos || clean.empty()) {
            append_json_string(out, clean);
        } else {
            out.append(clean);
        }
    } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
        fmt::format_to(std::back_inserter(out), "{}", *number);
    } else if (const auto* real = std::get_if<double>(&field.value)) {
        fmt::format_to(std::back_inserter(out), "{:.3f}", *real);
    } else {
        out.append(std::get<bool>(field.value) ? "true" : "false");
    }
}

std::string timestamp() {
    UnixMs now = unix_now();
    return fmt::format(
        "{:%Y-%m-%dT%H:%M:%S}.{:03d}Z", fmt::gmtime(static_cast<std::time_t>(now / 1000)), now % 1000
    );
}

}  // namespace

std::string_view name_of(LogEvent event) { return kEventNames[static_cast<std::size_t>(event)]; }

std::string_view name_of(LogLevel level) {
    static constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
    return kLevels[static_cast<std::size_t>(level)];
}

std::optional<LogEvent> event_named(std::string_view name) {
    for (std::size_t i = 0; i < std::size(kEventNames); ++i) {
        if (kEventNames[i] == name) return static_cast<LogEvent>(i);
    }
    return std::nullopt;
}

void append_json_string(std::string& out, std::string_view text) {
    out.push_back('"');
    for (std::size_t i = 0; i < text.size();) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(static_cast<char>(c));
            ++i;
        } else if (c < 0x20) {
            switch (c) {
                case '\n': out.append("\\n"); break;
                case '\r': out.append("\\r"); break;
                case '\t': out.append("\\t"); break;
                default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
            }
            ++i;
        } else if (c < 0x80) {
            out.push_back(static_cast<char>(c));
            ++i;
        } else {
            std::size_t length = utf8_size_at(text, i);
            if (length > 0) {
                out.append(text.substr(i, length));
                i += length;
            } else {
                out.append("\xEF\xBF\xBD");
                ++i;
            }
        }
    }
    out.push_back('"');
}

struct Log::Sinks {
    std::string program;
    std::mutex mutex;  // guards the shared_ptrs; each sink has its own lock
    std::shared_ptr<spdlog::logger> people;
    std::shared_ptr<spdlog::logger> file;
    std::shared_ptr<const std::function<void(const LogRecord&)>> tap;
    std::string file_path;
    bool color = true;
    std::atomic<LogLevel> level{LogLevel::kInfo};
};

namespace {

std::shared_ptr<spdlog::logger> people_logger(const std::string& program, bool color) {
    auto mode = color ? spdlog::color_mode::automatic : spdlog::color_mode::never;
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode);
    auto logger = std::make_shared<spdlog::logger>(program, std::move(sink));
    logger->set_level(spdlog::level::debug);
    logger->set_pattern("%H:%M:%S.%e %^%-7l%$ %v");
    return logger;
}

}  // namespace

Log::Log(std::string program) : sinks_(std::make_unique<Sinks>()) {
    sinks_->program = std::move(program);
    sinks_->people = people_logger(sinks_->program, sinks_->color);
}

Log::~Log() = default;

void Log::set_level(LogLevel level) { sinks_->level = level; }

// A sink's colour mode must not change while others log to it: a new one takes its place.
void Log::set_color(bool color) {
    std::lock_guard lock(sinks_->mutex);
    if (color == sinks_->color) return;
    sinks_->color = color;
    sinks_->people = people_logger(sinks_->program, color);
}

Result<void> Log::set_file(const std::string& path) {
    std::lock_guard lock(sinks_->mutex);
    if (path == sinks_->file_path) return {};
    if (path.empty()) {
        sinks_->file.reset();
        sinks_->file_path.clear();
        return {};
    }
    try {
        std::filesystem::path parent = std::filesystem::path(path).parent_path();
        if (!parent.empty()) std::filesystem::create_directories(parent);
        // Made here, so that its mode is not the umask's: with log_bodies there are prompts in it.
        int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd >= 0) ::close(fd);
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
        auto logger = std::make_shared<spdlog::logger>(sinks_->program, std::move(sink));
        logger->set_level(spdlog::level::debug);
        logger->set_pattern("%v");
        logger->flush_on(spdlog::level::debug);
        sinks_->file = std::move(logger);
        sinks_->file_path = path;
        return {};
    } catch (const std::exception& problem) {
        return invalid(fmt::format("cannot log to {}: {}", path, problem.what()));
    }
}

bool Log::enabled(LogLevel level) const { return level >= sinks_->level.load(); }

void Log::set_tap(std::function<void(const LogRecord&)> tap) {
    std::lock_guard lock(sinks_->mutex);
    sinks_->tap.reset();
    if (tap) sinks_->tap = std::make_shared<const std::function<void(const LogRecord&)>>(std::move(tap));
}

void Log::tell(
    LogLevel level,
    LogEvent event,
    std::string_view message,
    std::initializer_list<LogField> fields
) const {
    if (level < LogLevel::kInfo) return;
    std::shared_ptr<const std::function<void(const LogRecord&)>> tap;
    {
        std::lock_guard lock(sinks_->mutex);
        tap = sinks_->tap;
    }
    if (!tap) return;
    LogRecord record{unix_now(), level, event, redact(message), {}};
    for (const LogField& field : fields) {
        std::string text;
        if (const auto* words = std::get_if<std::string_view>(&field.value)) {
            text = redact(*words);
        } else {
            append_value(text, field, false);
        }
        record.fields.emplace_back(field.name, std::move(text));
    }
    (*tap)(record);
}

void Log::emit(
    LogLevel level,
    LogEvent event,
    std::string_view message,
    std::initializer_list<LogField> fields
) {
    tell(level, event, message, fields);
    if (!enabled(level)) return;
    std::string clean = redact(message);
    std::string line = fmt::format("{} {}: {}", sinks_->program, name_of(event), clean);
    for (const LogField& field : fields) {
        fmt::format_to(std::back_inserter(line), " {}=", field.name);
        append_value(line, field, false);
    }
    // One event, one line: words of a peer must not look like another one.
    for (char& c : line) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    std::shared_ptr<spdlog::logger> people;
    std::shared_ptr<spdlog::logger> file;
    {
        std::lock_guard lock(sinks_->mutex);
        people = sinks_->people;
        file = sinks_->file;
    }
    people->log(to_spdlog(level), "{}", line);
    if (!file) return;
    std::string json = fmt::format(
        R"({{"timestamp":"{}","level":"{}","program":"{}","event":"{}","message":)",
        timestamp(),
        name_of(level),
        sinks_->program,
        name_of(event)
    );
    append_json_string(json, clean);
    for (const LogField& field : fields) {
        json.push_back(',');
        append_json_string(json, field.name);
        json.push_back(':');
        append_value(json, field, true);
    }
    json.push_back('}');
    file->log(to_spdlog(level), "{}", json);
}

}  // namespace balancer
