// Single facts of the SQLite store: its id, its epoch, the newest generation of a sealed record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/store/sqlite_handle.hpp"

namespace balancer::controlplane {

Result<std::optional<std::string>> read_meta(const SqliteDatabase& database, std::string_view key);
// 0: there is none.
Result<std::uint64_t> read_meta_number(const SqliteDatabase& database, std::string_view key);
Result<void> write_meta(SqliteDatabase& database, std::string_view key, std::string_view value);

}  // namespace balancer::controlplane
