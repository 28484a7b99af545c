// Sealed records as rows of the SQLite store.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "controlplane/secrets/sealer.hpp"
#include "controlplane/store/sqlite_handle.hpp"

namespace balancer::controlplane {

// Free functions on an open database whose schema is the newest (sqlite_schema). Those that write belong inside a
// transaction.

Result<std::optional<SealedRow>> read_sealed(
    const SqliteDatabase& database, SealedKind kind, std::string_view name
);

// By name; of each record the front only.
Result<std::vector<SealedRow>> read_sealed_fronts(const SqliteDatabase& database, SealedKind kind);

// Seals the content under the store's next generation, over what is there. Returns that generation.
Result<std::uint64_t> insert_sealed(
    SqliteDatabase& database, const Sealer& sealer, SealedKind kind, std::string_view name, std::string_view content
);

// The same row with other bytes.
Result<void> write_sealed(SqliteDatabase& database, const SealedRow& row);

Result<void> erase_sealed(SqliteDatabase& database, SealedKind kind, std::string_view name);

// Calls `visit` with each row, whole, one after the other; it may write it. The first error ends it.
Result<void> each_sealed(
    const SqliteDatabase& database, const std::function<Result<void>(SealedRow row)>& visit
);

}  // namespace balancer::controlplane
