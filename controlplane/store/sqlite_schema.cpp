#include "controlplane/store/sqlite_schema.hpp"

#include <fmt/format.h>

#include <array>

namespace balancer::controlplane {
namespace {

constexpr const char* kIdentityAndOverrides =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE overrides ("
    "  provider TEXT PRIMARY KEY, enabled INTEGER NOT NULL, enabled_in_file INTEGER NOT NULL,"
    "  reason TEXT NOT NULL, actor TEXT NOT NULL, at_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;";

// Texts are apart, since many revisions (an enable, a disable) share one. What the table overrides
// held becomes revision 0, which has no text: the first start gives it the file's.
constexpr const char* kRevisions =
    "CREATE TABLE texts (sha256 TEXT PRIMARY KEY, yaml TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE revisions ("
    "  number INTEGER PRIMARY KEY, parent INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    "  actor TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, summary TEXT NOT NULL,"
    "  yaml_sha256 TEXT NOT NULL, file_sha256 TEXT NOT NULL"
    ");"
    "CREATE TABLE revision_overrides ("
    "  revision INTEGER NOT NULL, provider TEXT NOT NULL, enabled INTEGER NOT NULL,"
    "  enabled_in_file INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,"
    "  at_ms INTEGER NOT NULL, drain INTEGER NOT NULL, PRIMARY KEY (revision, provider)"
    ") WITHOUT ROWID;"
    "CREATE TABLE head (only_row INTEGER PRIMARY KEY CHECK (only_row = 1),"
    "  number INTEGER NOT NULL);"
    "INSERT INTO revision_overrides SELECT 0, provider, enabled, enabled_in_file, reason, actor,"
    "  at_ms, 0 FROM overrides;"
    "INSERT INTO revisions SELECT 0, 0, 0, '', 'start', '', 'kept by an older release', '', ''"
    "  WHERE EXISTS (SELECT 1 FROM overrides);"
    "INSERT INTO head SELECT 1, 0 WHERE EXISTS (SELECT 1 FROM overrides);"
    "DROP TABLE overrides;";

// What an older release has kept without an enabled provider was said with --force as well.
constexpr const char* kHoldsAndEmptiness =
    "ALTER TABLE revisions ADD COLUMN may_be_empty INTEGER NOT NULL DEFAULT 0;"
    "UPDATE revisions SET may_be_empty = 1;"
    "CREATE TABLE holds ("
    "  provider TEXT NOT NULL, model TEXT NOT NULL, etag TEXT NOT NULL, until_ms INTEGER NOT NULL,"
    "  why TEXT NOT NULL, PRIMARY KEY (provider, model)"
    ") WITHOUT ROWID;";

// Secrets, each sealed by itself (secrets/envelope). What the table texts held moves there once the keys are known
// (revision_rows), and then that table goes.
constexpr const char* kSealed =
    "CREATE TABLE sealed ("
    "  kind TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, record BLOB NOT NULL,"
    "  PRIMARY KEY (kind, name)"
    ");";

// Step i brings a store from schema i to i+1. Never edited once released: a new need is a new step.
constexpr std::array<const char*, 4> kSteps = {
    kIdentityAndOverrides, kRevisions, kHoldsAndEmptiness, kSealed};

Result<std::size_t> read_schema(const SqliteDatabase& database) {
    Result<SqliteStatement> statement = database.prepare("PRAGMA user_version");
    if (!statement) return statement.error();
    if (Result<bool> row = statement->step(); !row) return row.error();
    return static_cast<std::size_t>(statement->number(0));
}

}  // namespace

Result<void> migrate(SqliteDatabase& database) {
    Result<std::size_t> schema = read_schema(database);
    if (!schema) return schema.error();
    if (*schema > kSteps.size()) {
        return invalid(fmt::format(
            "the state directory was written by a newer control plane (schema {}, this one knows "
            "{}): run that version, or give this one another --state-dir",
            *schema,
            kSteps.size()
        ));
    }
    for (std::size_t step = *schema; step < kSteps.size(); ++step) {
        if (Result<void> done = database.execute(kSteps[step]); !done) return done;
    }
    return database.execute(fmt::format("PRAGMA user_version={}", kSteps.size()));
}

}  // namespace balancer::controlplane
