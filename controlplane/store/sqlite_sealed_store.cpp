#include "controlplane/store/sqlite_sealed_store.hpp"

#include "base/file.hpp"
#include "controlplane/secrets/sealed_bounds.hpp"
#include "controlplane/store/sealed_rows.hpp"

namespace balancer::controlplane {
namespace {

// An error of the database, for who looks at the code only.
Error io(const Error& error) {
    for (SealedErrc ours : {SealedErrc::kConflict, SealedErrc::kRefused}) {
        if (is(error, ours)) return error;
    }
    return sealed_error(SealedErrc::kIo, error.text());
}

}  // namespace

Result<std::optional<SealedRecord>> SqliteSealedStore::get(SealedKind kind, std::string_view name) const {
    Result<std::optional<SealedRow>> row = read_sealed(database_, kind, name);
    if (!row) return io(row.error());
    std::optional<SealedRecord> found;
    if (!*row) return found;
    Result<SecretBytes> content = sealer_.open(**row);
    if (!content) return content.error();
    found = SealedRecord{*std::move(content), (*row)->generation};
    return found;
}

Result<std::vector<SealedEntry>> SqliteSealedStore::list(SealedKind kind) const {
    Result<std::vector<SealedRow>> fronts = read_sealed_fronts(database_, kind);
    if (!fronts) return io(fronts.error());
    std::vector<SealedEntry> entries;
    for (const SealedRow& front : *fronts) {
        std::string_view id = Sealer::key_id(front.record);
        entries.push_back(
            SealedEntry{front.name, front.generation, to_hex(id), sealer_.ring().find(id) == nullptr}
        );
    }
    return entries;
}

Result<void> SqliteSealedStore::replace(
    SealedKind kind,
    std::string_view name,
    std::uint64_t if_generation,
    const std::function<Result<void>()>& change
) {
    Result<void> done = fenced_([&]() -> Result<void> {
        Result<std::optional<SealedRow>> row = read_sealed(database_, kind, name);
        if (!row) return row.error();
        Result<void> expected =
            check_sealed_generation(kind, name, *row ? (*row)->generation : 0, if_generation);
        if (!expected) return expected;
        return change();
    });
    if (!done) return io(done.error());
    return {};
}

Result<std::uint64_t> SqliteSealedStore::put(
    SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
) {
    if (Result<void> fits = check_sealed_bounds(kind, name, content); !fits) return fits.error();
    std::uint64_t generation = 0;
    Result<void> done = replace(kind, name, if_generation, [&]() -> Result<void> {
        Result<std::uint64_t> sealed = insert_sealed(database_, sealer_, kind, name, content);
        if (!sealed) return sealed.error();
        generation = *sealed;
        return {};
    });
    if (!done) return done.error();
    return generation;
}

Result<void> SqliteSealedStore::erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) {
    return replace(kind, name, if_generation, [&] { return erase_sealed(database_, kind, name); });
}

}  // namespace balancer::controlplane
