#include "controlplane/store/sealed_rows.hpp"

#include <array>

#include "controlplane/store/meta_rows.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::array kKinds = {SealedKind::kOAuthAccount, SealedKind::kProviderKey, SealedKind::kConfigText};
static_assert(kKinds.size() == kSealedKinds);

constexpr const char* kNewestGeneration = "sealed_generation";

SealedRow from_columns(SealedKind kind, const SqliteStatement& row) {
    return SealedRow{kind, row.text(0), static_cast<std::uint64_t>(row.number(1)), row.blob(2)};
}

}  // namespace

Result<std::optional<SealedRow>> read_sealed(
    const SqliteDatabase& database, SealedKind kind, std::string_view name
) {
    Result<SqliteStatement> row =
        database.prepare("SELECT name, generation, record FROM sealed WHERE kind = ? AND name = ?");
    if (!row) return row.error();
    Result<bool> there = row->bind(name_of(kind)).bind(name).step();
    if (!there) return there.error();
    std::optional<SealedRow> found;
    if (*there) found = from_columns(kind, *row);
    return found;
}

Result<std::vector<SealedRow>> read_sealed_fronts(const SqliteDatabase& database, SealedKind kind) {
    Result<SqliteStatement> rows = database.prepare("SELECT rowid, name, generation FROM sealed WHERE kind = ? ORDER BY name");
    if (!rows) return rows.error();
    rows->bind(name_of(kind));
    std::vector<SealedRow> all;
    for (;;) {
        Result<bool> more = rows->step();
        if (!more) return more.error();
        if (!*more) return all;
        Result<std::string> front = database.blob_front("sealed", "record", rows->number(0), kSealedFrontBytes);
        if (!front) return front.error();
        all.push_back(SealedRow{kind, rows->text(1), static_cast<std::uint64_t>(rows->number(2)), *std::move(front)});
    }
}

Result<std::uint64_t> insert_sealed(
    SqliteDatabase& database, const Sealer& sealer, SealedKind kind, std::string_view name, std::string_view content
) {
    Result<std::uint64_t> newest = read_meta_number(database, kNewestGeneration);
    if (!newest) return newest.error();
    SealedRow row{kind, std::string(name), *newest + 1, {}};
    sealer.seal(row, content);
    Result<void> counted = write_meta(database, kNewestGeneration, std::to_string(row.generation));
    if (!counted) return counted.error();
    if (Result<void> written = write_sealed(database, row); !written) return written.error();
    return row.generation;
}

Result<void> write_sealed(SqliteDatabase& database, const SealedRow& row) {
    Result<SqliteStatement> statement = database.prepare(
        "INSERT OR REPLACE INTO sealed (kind, name, generation, record) VALUES (?, ?, ?, ?)"
    );
    if (!statement) return statement.error();
    return statement->bind(name_of(row.kind))
        .bind(row.name)
        .bind(static_cast<std::int64_t>(row.generation))
        .bind_blob(row.record)
        .run();
}

Result<void> erase_sealed(SqliteDatabase& database, SealedKind kind, std::string_view name) {
    Result<SqliteStatement> statement = database.prepare("DELETE FROM sealed WHERE kind = ? AND name = ?");
    if (!statement) return statement.error();
    return statement->bind(name_of(kind)).bind(name).run();
}

Result<void> each_sealed(
    const SqliteDatabase& database, const std::function<Result<void>(SealedRow row)>& visit
) {
    for (SealedKind kind : kKinds) {
        // Names first: a row that is written while a statement runs over the table may be met twice.
        Result<std::vector<SealedRow>> fronts = read_sealed_fronts(database, kind);
        if (!fronts) return fronts.error();
        for (const SealedRow& front : *fronts) {
            Result<std::optional<SealedRow>> row = read_sealed(database, kind, front.name);
            if (!row) return row.error();
            if (!*row) continue;
            if (Result<void> visited = visit(**std::move(row)); !visited) return visited;
        }
    }
    return {};
}

}  // namespace balancer::controlplane
