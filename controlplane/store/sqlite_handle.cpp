#include "controlplane/store/sqlite_handle.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace balancer::controlplane {
namespace {

Error sqlite_error(const std::string& file, std::string_view doing, const char* why) {
    return Error{
        make_error_code(boost::system::errc::io_error),
        fmt::format("cannot {} {}: {}", doing, file, why)
    };
}

}  // namespace

Result<SqliteDatabase> SqliteDatabase::open(const std::filesystem::path& file) {
    SqliteDatabase database;
    database.file_ = file.string();
    // Before SQLite makes it: its own mode would be the umask's, and the files beside it (-wal,
    // -shm) take the mode of this one.
    int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made >= 0) {
        ::fchmod(made, 0600);
        ::close(made);
    }
    sqlite3* handle = nullptr;
    int code = sqlite3_open_v2(
        file.c_str(),
        &handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
        nullptr
    );
    database.handle_.reset(handle);  // SQLite wants it closed after a failure too
    if (code != SQLITE_OK) return sqlite_error(database.file_, "open", sqlite3_errstr(code));
    return database;
}

Result<void> SqliteDatabase::execute(const std::string& sql) {
    if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        return error("write");
    }
    return {};
}

Result<SqliteStatement> SqliteDatabase::prepare(std::string_view sql) const {
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(
        handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr
    );
    if (code != SQLITE_OK) return error("read");
    return SqliteStatement(*this, statement);
}

Result<void> SqliteDatabase::transaction(const std::function<Result<void>()>& work) {
    Result<void> begun = execute("BEGIN IMMEDIATE");
    if (!begun) return begun;
    Result<void> done = work();
    if (done) done = execute("COMMIT");
    if (!done) {
        // The first error is the one that tells something; a failed COMMIT may have rolled back
        // already.
        [[maybe_unused]] Result<void> undone = execute("ROLLBACK");
    }
    return done;
}

Result<std::string> SqliteDatabase::blob_front(
    const char* table, const char* column, std::int64_t rowid, std::size_t bytes
) const {
    sqlite3_blob* opened = nullptr;
    int code = sqlite3_blob_open(handle_.get(), "main", table, column, rowid, 0, &opened);
    std::unique_ptr<sqlite3_blob, int (*)(sqlite3_blob*)> blob(opened, sqlite3_blob_close);
    if (code != SQLITE_OK) return error("read");
    std::string front(std::min(bytes, static_cast<std::size_t>(sqlite3_blob_bytes(opened))), '\0');
    if (sqlite3_blob_read(opened, front.data(), static_cast<int>(front.size()), 0) != SQLITE_OK) return error("read");
    return front;
}

Error SqliteDatabase::error(std::string_view doing) const {
    return sqlite_error(file_, doing, sqlite3_errmsg(handle_.get()));
}

SqliteStatement& SqliteStatement::bind(std::string_view text) {
    int code = sqlite3_bind_text(
        handle_.get(), ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT
    );
    if (code != SQLITE_OK) bind_error_ = code;
    return *this;
}

SqliteStatement& SqliteStatement::bind(std::int64_t number) {
    int code = sqlite3_bind_int64(handle_.get(), ++bound_, number);
    if (code != SQLITE_OK) bind_error_ = code;
    return *this;
}

SqliteStatement& SqliteStatement::bind_blob(std::string_view bytes) {
    int code = sqlite3_bind_blob(
        handle_.get(), ++bound_, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT
    );
    if (code != SQLITE_OK) bind_error_ = code;
    return *this;
}

Result<bool> SqliteStatement::step() {
    if (bind_error_ != SQLITE_OK) return database_->error("write");
    int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return database_->error("use");
}

Result<void> SqliteStatement::run() {
    Result<bool> stepped = step();
    if (!stepped) return stepped.error();
    return {};
}

std::string SqliteStatement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
    if (bytes == nullptr) return {};
    return std::string(
        bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))
    );
}

std::string SqliteStatement::blob(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
    if (bytes == nullptr) return {};
    return std::string(
        bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))
    );
}

std::int64_t SqliteStatement::number(int column) const {
    return sqlite3_column_int64(handle_.get(), column);
}

}  // namespace balancer::controlplane
