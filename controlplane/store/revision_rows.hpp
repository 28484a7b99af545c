// Revisions as rows of the SQLite store.
#pragma once

#include <optional>
#include <vector>

#include "controlplane/store/sqlite_handle.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

// Free functions on an open database whose schema is the newest (sqlite_schema). Those that write
// belong inside a transaction.

Result<std::optional<Revision>> read_revision(const SqliteDatabase& database, std::uint64_t number);
Result<std::optional<std::uint64_t>> read_head_number(const SqliteDatabase& database);
Result<std::vector<Revision>> read_history(const SqliteDatabase& database, std::size_t count);
Result<std::optional<std::string>> read_text(
    const SqliteDatabase& database, std::string_view yaml_sha256
);

Result<void> insert_revision(SqliteDatabase& database, const Revision& revision);

// Forgets the revisions up to `newest_gone` and number 0, and the texts that nobody refers to.
Result<void> forget_revisions(SqliteDatabase& database, std::uint64_t newest_gone);

}  // namespace balancer::controlplane
