#include "controlplane/store/sqlite_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/file.hpp"
#include "controlplane/store/hold_rows.hpp"
#include "controlplane/store/meta_rows.hpp"
#include "controlplane/store/revision_rows.hpp"
#include "controlplane/store/sqlite_handle.hpp"
#include "controlplane/store/sqlite_schema.hpp"
#include "controlplane/store/sqlite_sealed_store.hpp"

namespace balancer::controlplane {
namespace {

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
    SqliteStore(DirectoryLock lock, SqliteDatabase database, SqliteDatabase hold_database, KeyRing ring)
        : lock_(std::move(lock)),
          database_(std::move(database)),
          hold_database_(std::move(hold_database)),
          sealer_(std::move(ring)),
          sealed_(database_, sealer_, [this](const auto& work) { return fenced(database_, work); }),
          keys_(database_, sealer_, [this](const auto& work) { return fenced(database_, work); }) {}

    Result<void> begin_epoch() {
        for (SqliteDatabase* each : {&database_, &hold_database_}) {
            Result<void> pragmas = each->execute(
                "PRAGMA busy_timeout=2000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA secure_delete=ON;"
            );
            if (!pragmas) return pragmas;
        }
        Result<void> begun = database_.transaction([this]() -> Result<void> {
            if (Result<void> migrated = migrate(database_); !migrated) return migrated;
            Result<std::optional<std::string>> uuid = read_meta(database_, "store_uuid");
            if (!uuid) return uuid.error();
            Result<std::uint64_t> epoch = read_meta_number(database_, "epoch");
            if (!epoch) return epoch.error();
            identity_.store_uuid = uuid->value_or(make_uuid());
            identity_.epoch = *epoch + 1;
            Result<void> kept = write_meta(database_, "store_uuid", identity_.store_uuid);
            if (!kept) return kept;
            kept = write_meta(database_, "epoch", std::to_string(identity_.epoch));
            if (!kept) return kept;
            sealer_.set_store(identity_.store_uuid);
            Result<bool> sealed = seal_old_texts(database_, sealer_);
            if (!sealed) return sealed.error();
            return *sealed ? write_meta(database_, kLeftInClear, "1") : Result<void>();
        });
        if (!begun) return begun;
        return remove_what_was_in_clear();
    }

    const StoreIdentity& identity() const override { return identity_; }

    Result<std::optional<Revision>> head() const override {
        Result<std::optional<std::uint64_t>> number = read_head_number(database_);
        if (!number) return number.error();
        if (!*number) return std::optional<Revision>();
        return read_revision(database_, sealer_, **number);
    }

    Result<std::optional<Revision>> revision(std::uint64_t number) const override {
        if (number == 0) return std::optional<Revision>();
        return read_revision(database_, sealer_, number);
    }

    Result<std::vector<Revision>> history(std::size_t count) const override {
        return read_history(database_, count);
    }

    Result<std::optional<std::string>> text(std::string_view yaml_sha256) const override {
        return read_text(database_, sealer_, yaml_sha256);
    }

    Result<std::uint64_t> append(const Revision& next) override {
        Revision numbered = next;
        numbered.number = next.parent + 1;
        Result<void> done = fenced(database_, [&]() -> Result<void> {
            Result<std::optional<std::uint64_t>> head = read_head_number(database_);
            if (!head) return head.error();
            if (head->value_or(0) != next.parent) {
                return invalid(fmt::format(
                    "revision {} is not the newest any more: revision {} is",
                    next.parent,
                    head->value_or(0)
                ));
            }
            if (Result<void> kept = insert_revision(database_, sealer_, numbered); !kept) return kept;
            std::uint64_t gone =
                numbered.number > kRevisionsKept ? numbered.number - kRevisionsKept : 0;
            return forget_revisions(database_, sealer_, gone);
        });
        if (!done) return done.error();
        return numbered.number;
    }

    Result<void> set_head_file(std::string_view file_sha256) override {
        return fenced(database_, [&]() -> Result<void> {
            Result<SqliteStatement> statement = database_.prepare(
                "UPDATE revisions SET file_sha256 = ? WHERE number = (SELECT number FROM head)"
            );
            if (!statement) return statement.error();
            return statement->bind(file_sha256).run();
        });
    }

    Result<void> keep_holds(const std::vector<AccountHold>& holds) override {
        return fenced(hold_database_, [&] { return replace_holds(hold_database_, holds); });
    }

    Result<std::vector<AccountHold>> holds() const override { return read_holds(database_); }

    SealedStore& sealed() override { return sealed_; }
    KeyCustody& keys() override { return keys_; }

  private:
    static constexpr const char* kLeftInClear = "left_in_clear";

    Result<void> fenced(SqliteDatabase& database, const std::function<Result<void>()>& work) {
        return database.transaction([&]() -> Result<void> {
            if (Result<void> ours = check_epoch(database); !ours) return ours;
            return work();
        });
    }

    // Pages that are free now still hold the texts of an older release, and so does the journal. Remembered until it is
    // done: a full disk, or a backup that reads meanwhile, keeps nobody from starting.
    Result<void> remove_what_was_in_clear() {
        Result<std::optional<std::string>> left = read_meta(database_, kLeftInClear);
        if (!left) return left.error();
        if (!*left) return {};
        if (!database_.execute("VACUUM")) return {};
        Result<SqliteStatement> checkpoint = database_.prepare("PRAGMA wal_checkpoint(TRUNCATE)");
        if (!checkpoint) return {};
        Result<bool> row = checkpoint->step();
        const bool busy = !row || !*row || checkpoint->number(0) != 0;
        if (busy) return {};
        return database_.execute("DELETE FROM meta WHERE key = 'left_in_clear'");
    }

    // The lock keeps a second process out. This is for what a lock does not see: a folder that was
    // copied or moved under a running process, a file system whose locks do not work.
    Result<void> check_epoch(const SqliteDatabase& database) const {
        Result<std::optional<std::string>> epoch = read_meta(database, "epoch");
        if (!epoch) return epoch.error();
        if (epoch->value_or("") == std::to_string(identity_.epoch)) return {};
        return invalid(fmt::format(
            "another control plane has opened this state directory (epoch {}, this one has {}): "
            "stop one of the two",
            epoch->value_or("none"),
            identity_.epoch
        ));
    }

    DirectoryLock lock_;  // first: released after the database is closed
    SqliteDatabase database_;
    SqliteDatabase hold_database_;  // the same file; a write of holds is waited for on another thread
    StoreIdentity identity_;
    Sealer sealer_;
    SqliteSealedStore sealed_;
    SqliteKeyCustody keys_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(
    const std::filesystem::path& state_dir, std::optional<KeyPlaces> keys
) {
    Result<DirectoryLock> lock = DirectoryLock::take(state_dir);
    if (!lock) return lock.error();
    Result<SqliteDatabase> database = SqliteDatabase::open(state_dir / "control-plane.db");
    if (!database) return database.error();
    Result<SqliteDatabase> hold_database = SqliteDatabase::open(state_dir / "control-plane.db");
    if (!hold_database) return hold_database.error();
    Result<KeyRing> ring = KeyRing::open(keys ? *std::move(keys) : KeyPlaces::in(state_dir, {}));
    if (!ring) return ring.error();
    auto store = std::make_unique<SqliteStore>(
        std::move(*lock), std::move(*database), std::move(*hold_database), std::move(*ring)
    );
    if (Result<void> begun = store->begin_epoch(); !begun) return begun.error();
    return std::unique_ptr<Store>(std::move(store));
}

}  // namespace balancer::controlplane
