// Revisions as rows of the SQLite store.
#pragma once

#include <optional>
#include <vector>

#include "controlplane/secrets/sealer.hpp"
#include "controlplane/store/sqlite_handle.hpp"
#include "controlplane/store/store.hpp"

namespace balancer::controlplane {

// Free functions on an open database whose schema is the newest (sqlite_schema). Those that write
// belong inside a transaction.

// Texts may hold literal secrets, so each is a sealed record. One that does not open leaves the revision's `yaml` empty
// and says why in its `text_problem`.
Result<std::optional<Revision>> read_revision(
    const SqliteDatabase& database, const Sealer& sealer, std::uint64_t number
);
Result<std::optional<std::uint64_t>> read_head_number(const SqliteDatabase& database);
Result<std::vector<Revision>> read_history(const SqliteDatabase& database, std::size_t count);
Result<std::optional<std::string>> read_text(
    const SqliteDatabase& database, const Sealer& sealer, std::string_view yaml_sha256
);

Result<void> insert_revision(SqliteDatabase& database, const Sealer& sealer, const Revision& revision);

// Forgets the revisions up to `newest_gone` and number 0, the texts that nobody refers to, and the keys of providers
// that no text refers to (`sealed:NAME`). While a text is locked no key goes: nobody can say what it refers to.
Result<void> forget_revisions(SqliteDatabase& database, const Sealer& sealer, std::uint64_t newest_gone);

// Seals the texts of a database of an older release, which had them in clear. True: there were some, and the file has
// them in its free pages until it is made anew (VACUUM).
Result<bool> seal_old_texts(SqliteDatabase& database, const Sealer& sealer);

}  // namespace balancer::controlplane
