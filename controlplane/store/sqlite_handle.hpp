// SQLite's C interface, with owners and Result. Used by sqlite_store only.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace balancer::controlplane {

class SqliteStatement;

// One connection. Not thread-safe; statements must end before it does.
class SqliteDatabase {
  public:
    // Makes the file when there is none. Only its owner can read it and what SQLite keeps beside
    // it.
    static Result<SqliteDatabase> open(const std::filesystem::path& file);

    // Statements without parameters and rows, separated by semicolons.
    Result<void> execute(const std::string& sql);

    Result<SqliteStatement> prepare(std::string_view sql) const;

    // The first bytes of a blob, or all of one that is shorter; what is behind them is not read, as it would be for SQL's
    // substr(). Not of a table without rowids.
    Result<std::string> blob_front(const char* table, const char* column, std::int64_t rowid, std::size_t bytes) const;

    // All of `work` or nothing: BEGIN IMMEDIATE, then COMMIT, or ROLLBACK when it returns an error.
    Result<void> transaction(const std::function<Result<void>()>& work);

    Error error(std::string_view doing) const;

  private:
    struct Close {
        void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
    };
    std::unique_ptr<sqlite3, Close> handle_;
    std::string file_;
};

// One prepared statement: bind every parameter in order, then step. Must not outlive its database.
class SqliteStatement {
  public:
    SqliteStatement& bind(std::string_view text);
    SqliteStatement& bind(std::int64_t number);
    SqliteStatement& bind_blob(std::string_view bytes);

    // True: there is a row. False: no more.
    Result<bool> step();

    // For statements without rows.
    Result<void> run();

    // Columns of the present row, from 0.
    std::string text(int column) const;
    std::string blob(int column) const;
    std::int64_t number(int column) const;

  private:
    friend class SqliteDatabase;
    struct Finalize {
        void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
    };
    SqliteStatement(const SqliteDatabase& database, sqlite3_stmt* handle)
        : database_(&database), handle_(handle) {}

    const SqliteDatabase* database_;
    std::unique_ptr<sqlite3_stmt, Finalize> handle_;
    int bound_ = 0;
    int bind_error_ = SQLITE_OK;
};

}  // namespace balancer::controlplane
