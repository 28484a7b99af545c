#include "controlplane/store/revision_rows.hpp"

#include <algorithm>
#include <array>

#include "controlplane/store/sealed_rows.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::array<std::string_view, 4> kSourceNames = {"start", "file", "cli", "rollback"};

RevisionSource source_of(std::string_view name) {
    for (std::size_t i = 0; i < kSourceNames.size(); ++i) {
        if (kSourceNames[i] == name) return static_cast<RevisionSource>(i);
    }
    return RevisionSource::kStart;
}

std::int64_t as_number(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

// Columns 0 to 9 of a select on revisions.
constexpr const char* kColumns =
    "number, parent, at_ms, actor, source, reason, summary, yaml_sha256, file_sha256, may_be_empty";

Revision from_columns(const SqliteStatement& row) {
    Revision revision;
    revision.number = static_cast<std::uint64_t>(row.number(0));
    revision.parent = static_cast<std::uint64_t>(row.number(1));
    revision.at = row.number(2);
    revision.actor = row.text(3);
    revision.source = source_of(row.text(4));
    revision.reason = row.text(5);
    revision.summary = row.text(6);
    revision.yaml_sha256 = row.text(7);
    revision.file_sha256 = row.text(8);
    revision.may_be_empty = row.number(9) != 0;
    return revision;
}

Result<std::vector<Override>> read_overrides(
    const SqliteDatabase& database, std::uint64_t revision
) {
    Result<SqliteStatement> rows = database.prepare(
        "SELECT provider, enabled, enabled_in_file, reason, actor, at_ms, drain"
        " FROM revision_overrides WHERE revision = ? ORDER BY provider"
    );
    if (!rows) return rows.error();
    rows->bind(as_number(revision));
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
            rows->number(6) != 0,
        });
    }
}

Result<void> insert_override(
    SqliteDatabase& database, std::uint64_t revision, const Override& entry
) {
    Result<SqliteStatement> statement = database.prepare(
        "INSERT INTO revision_overrides"
        " (revision, provider, enabled, enabled_in_file, reason, actor, at_ms, drain)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    );
    if (!statement) return statement.error();
    return statement->bind(as_number(revision))
        .bind(entry.provider)
        .bind(static_cast<std::int64_t>(entry.enabled))
        .bind(static_cast<std::int64_t>(entry.enabled_in_file))
        .bind(entry.reason)
        .bind(entry.actor)
        .bind(entry.at)
        .bind(static_cast<std::int64_t>(entry.drain))
        .run();
}

Result<void> insert_text(SqliteDatabase& database, const Sealer& sealer, const Revision& revision) {
    Result<std::optional<SealedRow>> row =
        read_sealed(database, SealedKind::kConfigText, revision.yaml_sha256);
    if (!row) return row.error();
    // One that does not open is replaced: here is its content.
    if (*row && sealer.open(**row)) return {};
    Result<std::uint64_t> sealed = insert_sealed(
        database, sealer, SealedKind::kConfigText, revision.yaml_sha256, revision.yaml
    );
    if (!sealed) return sealed.error();
    return {};
}

// The keys that no text refers to. Their names are unlike everything else (config/sealed_key), so that looking for them
// in the text is enough.
Result<void> forget_provider_keys(SqliteDatabase& database, const Sealer& sealer) {
    Result<std::vector<SealedRow>> keys = read_sealed_fronts(database, SealedKind::kProviderKey);
    if (!keys) return keys.error();
    Result<std::vector<SealedRow>> texts = read_sealed_fronts(database, SealedKind::kConfigText);
    if (!texts) return texts.error();
    for (const SealedRow& text : *texts) {
        if (keys->empty()) return {};
        Result<std::optional<SealedRow>> row = read_sealed(database, SealedKind::kConfigText, text.name);
        if (!row) return row.error();
        if (!*row) continue;
        Result<SecretBytes> yaml = sealer.open(**row);
        if (!yaml) return {};
        std::erase_if(*keys, [&](const SealedRow& key) {
            return yaml->view().find("sealed:" + key.name) != std::string_view::npos;
        });
    }
    for (const SealedRow& key : *keys) {
        Result<void> erased = erase_sealed(database, SealedKind::kProviderKey, key.name);
        if (!erased) return erased;
    }
    return {};
}

Result<void> insert_row(SqliteDatabase& database, const Revision& revision) {
    Result<SqliteStatement> statement = database.prepare(
        std::string("INSERT INTO revisions (") + kColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    if (!statement) return statement.error();
    return statement->bind(as_number(revision.number))
        .bind(as_number(revision.parent))
        .bind(revision.at)
        .bind(revision.actor)
        .bind(name_of(revision.source))
        .bind(revision.reason)
        .bind(revision.summary)
        .bind(revision.yaml_sha256)
        .bind(revision.file_sha256)
        .bind(static_cast<std::int64_t>(revision.may_be_empty))
        .run();
}

}  // namespace

std::string_view name_of(RevisionSource source) {
    return kSourceNames[static_cast<std::size_t>(source)];
}

Result<std::optional<Revision>> read_revision(
    const SqliteDatabase& database, const Sealer& sealer, std::uint64_t number
) {
    Result<SqliteStatement> row =
        database.prepare(std::string("SELECT ") + kColumns + " FROM revisions WHERE number = ?");
    if (!row) return row.error();
    Result<bool> found = row->bind(as_number(number)).step();
    if (!found) return found.error();
    std::optional<Revision> revision;
    if (!*found) return revision;
    revision = from_columns(*row);
    Result<std::optional<std::string>> yaml = read_text(database, sealer, revision->yaml_sha256);
    if (yaml) {
        revision->yaml = yaml->value_or("");
    } else if (is(yaml.error(), SealedErrc::kLocked) || is(yaml.error(), SealedErrc::kTampered)) {
        revision->text_problem = yaml.error().text();
    } else {
        return yaml.error();
    }
    Result<std::vector<Override>> overrides = read_overrides(database, number);
    if (!overrides) return overrides.error();
    revision->overrides = *std::move(overrides);
    return revision;
}

Result<std::optional<std::uint64_t>> read_head_number(const SqliteDatabase& database) {
    Result<SqliteStatement> row = database.prepare("SELECT number FROM head");
    if (!row) return row.error();
    Result<bool> found = row->step();
    if (!found) return found.error();
    std::optional<std::uint64_t> number;
    if (*found) number = static_cast<std::uint64_t>(row->number(0));
    return number;
}

Result<std::vector<Revision>> read_history(const SqliteDatabase& database, std::size_t count) {
    Result<SqliteStatement> rows = database.prepare(
        std::string("SELECT ") + kColumns +
        " FROM revisions WHERE number > 0 ORDER BY number DESC LIMIT ?"
    );
    if (!rows) return rows.error();
    rows->bind(static_cast<std::int64_t>(count));
    std::vector<Revision> all;
    for (;;) {
        Result<bool> more = rows->step();
        if (!more) return more.error();
        if (!*more) return all;
        all.push_back(from_columns(*rows));
    }
}

Result<std::optional<std::string>> read_text(
    const SqliteDatabase& database, const Sealer& sealer, std::string_view yaml_sha256
) {
    Result<std::optional<SealedRow>> row = read_sealed(database, SealedKind::kConfigText, yaml_sha256);
    if (!row) return row.error();
    std::optional<std::string> yaml;
    if (!*row) return yaml;
    Result<SecretBytes> content = sealer.open(**row);
    if (!content) return content.error();
    yaml = std::string(content->view());
    return yaml;
}

Result<void> insert_revision(SqliteDatabase& database, const Sealer& sealer, const Revision& revision) {
    if (Result<void> kept = insert_text(database, sealer, revision); !kept) return kept;
    if (Result<void> kept = insert_row(database, revision); !kept) return kept;
    for (const Override& entry : revision.overrides) {
        Result<void> kept = insert_override(database, revision.number, entry);
        if (!kept) return kept;
    }
    Result<SqliteStatement> head =
        database.prepare("INSERT OR REPLACE INTO head (only_row, number) VALUES (1, ?)");
    if (!head) return head.error();
    return head->bind(as_number(revision.number)).run();
}

Result<void> forget_revisions(SqliteDatabase& database, const Sealer& sealer, std::uint64_t newest_gone) {
    for (const char* sql : {
             "DELETE FROM revision_overrides WHERE revision <= ?",
             "DELETE FROM revisions WHERE number <= ?",
         }) {
        Result<SqliteStatement> statement = database.prepare(sql);
        if (!statement) return statement.error();
        Result<void> done = statement->bind(as_number(newest_gone)).run();
        if (!done) return done;
    }
    Result<void> forgotten = database.execute(
        "DELETE FROM sealed WHERE kind = 'config_text'"
        " AND name NOT IN (SELECT yaml_sha256 FROM revisions)"
        " AND name NOT IN (SELECT file_sha256 FROM revisions)"
    );
    if (!forgotten) return forgotten;
    return forget_provider_keys(database, sealer);
}

Result<bool> seal_old_texts(SqliteDatabase& database, const Sealer& sealer) {
    bool some = false;
    {
        Result<SqliteStatement> table =
            database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'texts'");
        if (!table) return table.error();
        Result<bool> there = table->step();
        if (!there) return there.error();
        if (!*there) return false;
    }
    {
        Result<SqliteStatement> rows = database.prepare("SELECT sha256, yaml FROM texts");
        if (!rows) return rows.error();
        for (;;) {
            Result<bool> more = rows->step();
            if (!more) return more.error();
            if (!*more) break;
            some = true;
            Result<std::uint64_t> sealed =
                insert_sealed(database, sealer, SealedKind::kConfigText, rows->text(0), rows->text(1));
            if (!sealed) return sealed.error();
        }
    }
    if (Result<void> gone = database.execute("DROP TABLE texts"); !gone) return gone.error();
    return some;
}

}  // namespace balancer::controlplane
