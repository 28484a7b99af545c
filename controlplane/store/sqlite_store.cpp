#include "controlplane/store/sqlite_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/file.hpp"
#include "controlplane/store/sqlite_handle.hpp"

namespace balancer::controlplane {
namespace {

// Step i brings a store from schema i to i+1. Never edited once released: a new need is a new step.
constexpr std::array<const char*, 1> kSchemaSteps = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE overrides ("
    "  provider TEXT PRIMARY KEY, enabled INTEGER NOT NULL, enabled_in_file INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, actor TEXT NOT NULL, at_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;",
};

std::string make_uuid() {
    std::string hex = random_hex(16);
    hex[12] = '4';  // RFC 9562: version 4 and its variant
    hex[16] = "89ab"[static_cast<unsigned char>(hex[16]) % 4];
    return fmt::format(
        "{}-{}-{}-{}-{}",
        hex.substr(0, 8),
        hex.substr(8, 4),
        hex.substr(12, 4),
        hex.substr(16, 4),
        hex.substr(20)
    );
}

// An advisory lock that the kernel drops with the process, however it ends.
class DirectoryLock {
  public:
    DirectoryLock() = default;
    DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&&) = delete;
    ~DirectoryLock() {
        if (fd_ >= 0) ::close(fd_);
    }

    static Result<DirectoryLock> take(const std::filesystem::path& state_dir) {
        std::filesystem::path path = state_dir / "lock";
        DirectoryLock lock;
        lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock.fd_ < 0) return system_error("open", path);
        if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) return system_error("lock", path);
            Result<std::string> pid = read_file(path, 64);
            return Error{
                make_error_code(boost::system::errc::device_or_resource_busy),
                fmt::format(
                    "another control plane (pid {}) uses the state directory {}: stop it, or give "
                    "this "
                    "one another --state-dir",
                    pid && !pid->empty() ? *pid : "unknown",
                    state_dir.string()
                ),
            };
        }
        std::string pid = std::to_string(::getpid());
        if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, pid.data(), pid.size(), 0) < 0) {
            return system_error("write", path);
        }
        return lock;
    }

  private:
    static Error system_error(const char* what, const std::filesystem::path& path) {
        ErrorCode code(errno, boost::system::system_category());
        return Error{code, fmt::format("cannot {} {}: {}", what, path.string(), code.message())};
    }

    int fd_ = -1;
};

class SqliteStore final : public Store {
  public:
    SqliteStore(DirectoryLock lock, SqliteDatabase database)
        : lock_(std::move(lock)), database_(std::move(database)) {}

    Result<void> begin_epoch() {
        Result<void> pragmas = database_.execute(
            "PRAGMA busy_timeout=2000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        );
        if (!pragmas) return pragmas;
        return database_.transaction([this]() -> Result<void> {
            if (Result<void> migrated = migrate(); !migrated) return migrated;
            Result<std::optional<std::string>> uuid = read_meta("store_uuid");
            if (!uuid) return uuid.error();
            Result<std::optional<std::string>> epoch = read_meta("epoch");
            if (!epoch) return epoch.error();
            identity_.store_uuid = uuid->value_or(make_uuid());
            identity_.epoch = std::strtoull(epoch->value_or("0").c_str(), nullptr, 10) + 1;
            if (Result<void> kept = write_meta("store_uuid", identity_.store_uuid); !kept)
                return kept;
            return write_meta("epoch", std::to_string(identity_.epoch));
        });
    }

    const StoreIdentity& identity() const override { return identity_; }

    Result<std::vector<Override>> overrides() const override {
        Result<SqliteStatement> rows = database_.prepare(
            "SELECT provider, enabled, enabled_in_file, reason, actor, at_ms FROM overrides ORDER "
            "BY "
            "provider"
        );
        if (!rows) return rows.error();
        std::vector<Override> all;
        for (;;) {
            Result<bool> more = rows->step();
            if (!more) return more.error();
            if (!*more) return all;
            all.push_back(Override{
                rows->text(0),
                rows->number(1) != 0,
                rows->number(2) != 0,
                rows->text(3),
                rows->text(4),
                rows->number(5),
            });
        }
    }

    Result<void> put_override(const Override& row) override {
        Result<SqliteStatement> statement = database_.prepare(
            "INSERT OR REPLACE INTO overrides (provider, enabled, enabled_in_file, reason, actor, "
            "at_ms) "
            "VALUES (?, ?, ?, ?, ?, ?)"
        );
        if (!statement) return statement.error();
        return statement->bind(row.provider)
            .bind(static_cast<std::int64_t>(row.enabled))
            .bind(static_cast<std::int64_t>(row.enabled_in_file))
            .bind(row.reason)
            .bind(row.actor)
            .bind(row.at)
            .run();
    }

    Result<void> drop_override(std::string_view provider) override {
        Result<SqliteStatement> statement =
            database_.prepare("DELETE FROM overrides WHERE provider = ?");
        if (!statement) return statement.error();
        return statement->bind(provider).run();
    }

  private:
    Result<std::size_t> read_schema() const {
        Result<SqliteStatement> statement = database_.prepare("PRAGMA user_version");
        if (!statement) return statement.error();
        if (Result<bool> row = statement->step(); !row) return row.error();
        return static_cast<std::size_t>(statement->number(0));
    }

    Result<void> migrate() {
        Result<std::size_t> schema = read_schema();
        if (!schema) return schema.error();
        if (*schema > kSchemaSteps.size()) {
            return invalid(fmt::format(
                "the state directory was written by a newer control plane (schema {}, this one "
                "knows {}): "
                "run that version, or give this one another --state-dir",
                *schema,
                kSchemaSteps.size()
            ));
        }
        for (std::size_t step = *schema; step < kSchemaSteps.size(); ++step) {
            if (Result<void> done = database_.execute(kSchemaSteps[step]); !done) return done;
        }
        return database_.execute(fmt::format("PRAGMA user_version={}", kSchemaSteps.size()));
    }

    Result<std::optional<std::string>> read_meta(std::string_view key) const {
        Result<SqliteStatement> statement =
            database_.prepare("SELECT value FROM meta WHERE key = ?");
        if (!statement) return statement.error();
        Result<bool> found = statement->bind(key).step();
        if (!found) return found.error();
        std::optional<std::string> value;
        if (*found) value = statement->text(0);
        return value;
    }

    Result<void> write_meta(std::string_view key, std::string_view value) {
        Result<SqliteStatement> statement =
            database_.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
        if (!statement) return statement.error();
        return statement->bind(key).bind(value).run();
    }

    DirectoryLock lock_;  // first: released after the database is closed
    SqliteDatabase database_;
    StoreIdentity identity_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const std::filesystem::path& state_dir) {
    Result<DirectoryLock> lock = DirectoryLock::take(state_dir);
    if (!lock) return lock.error();
    Result<SqliteDatabase> database = SqliteDatabase::open(state_dir / "control-plane.db");
    if (!database) return database.error();
    auto store = std::make_unique<SqliteStore>(std::move(*lock), std::move(*database));
    if (Result<void> begun = store->begin_epoch(); !begun) return begun.error();
    return std::unique_ptr<Store>(std::move(store));
}

}  // namespace balancer::controlplane
