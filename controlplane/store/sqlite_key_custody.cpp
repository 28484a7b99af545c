#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/file.hpp"
#include "controlplane/store/meta_rows.hpp"
#include "controlplane/store/sealed_rows.hpp"
#include "controlplane/store/sqlite_sealed_store.hpp"

namespace balancer::controlplane {
namespace {

constexpr std::array kKinds = {SealedKind::kOAuthAccount, SealedKind::kProviderKey, SealedKind::kConfigText};
constexpr const char* kActiveKey = "sealing_key";
constexpr const char* kActiveSince = "sealing_key_since_ms";

SealedProblem problem_of(const SealedRow& row, const Error& error) {
    SealedErrc code = is(error, SealedErrc::kLocked) ? SealedErrc::kLocked : SealedErrc::kTampered;
    return SealedProblem{row.kind, row.name, code, error.text()};
}

}  // namespace

Result<std::vector<KeyUse>> SqliteKeyCustody::keys() const {
    std::vector<KeyUse> uses;
    for (const KeyRing::Entry& entry : sealer_.ring().entries()) {
        uses.push_back(KeyUse{entry.id, entry.source, entry.active, 0, {}});
    }
    Result<std::uint64_t> since = read_meta_number(database_, kActiveSince);
    if (!since) return since.error();
    uses.front().active_since = static_cast<UnixMs>(*since);
    for (SealedKind kind : kKinds) {
        Result<std::vector<SealedRow>> fronts = read_sealed_fronts(database_, kind);
        if (!fronts) return fronts.error();
        for (const SealedRow& front : *fronts) {
            const std::string id = to_hex(Sealer::key_id(front.record));
            auto use = std::find_if(uses.begin(), uses.end(), [&](const KeyUse& key) { return key.id == id; });
            if (use == uses.end()) use = uses.insert(uses.end(), KeyUse{id, std::nullopt, false, 0, {}});
            ++use->records[static_cast<std::size_t>(kind)];
        }
    }
    return uses;
}

Result<std::vector<SealedProblem>> SqliteKeyCustody::problems() const {
    std::vector<SealedProblem> found;
    Result<void> seen = each_sealed(database_, [&](const SealedRow& row) -> Result<void> {
        Result<SecretBytes> content = sealer_.open(row);
        if (!content) found.push_back(problem_of(row, content.error()));
        return {};
    });
    if (!seen) return seen.error();
    return found;
}

// Which key is active, and since when, whatever it comes from.
Result<void> SqliteKeyCustody::note_active() {
    const std::string id = to_hex(sealer_.ring().active().id());
    Result<std::optional<std::string>> before = read_meta(database_, kActiveKey);
    if (!before) return before.error();
    if (*before == id) return {};
    if (Result<void> kept = write_meta(database_, kActiveKey, id); !kept) return kept;
    return write_meta(database_, kActiveSince, std::to_string(unix_now()));
}

Result<bool> SqliteKeyCustody::all_active() const {
    Result<std::optional<std::string>> noted = read_meta(database_, kActiveKey);
    if (!noted) return noted.error();
    if (*noted != to_hex(sealer_.ring().active().id())) return false;
    for (SealedKind kind : kKinds) {
        Result<std::vector<SealedRow>> fronts = read_sealed_fronts(database_, kind);
        if (!fronts) return fronts.error();
        for (const SealedRow& front : *fronts) {
            if (Sealer::key_id(front.record) != sealer_.ring().active().id()) return false;
        }
    }
    return true;
}

Result<Rewrapped> SqliteKeyCustody::rewrap() {
    Rewrapped done;
    Result<bool> nothing_to_do = all_active();
    if (!nothing_to_do) return nothing_to_do.error();
    if (*nothing_to_do) return done;
    Result<void> written = fenced_([&]() -> Result<void> {
        if (Result<void> noted = note_active(); !noted) return noted;
        return each_sealed(database_, [&](SealedRow row) -> Result<void> {
            if (Sealer::key_id(row.record) == sealer_.ring().active().id()) return {};
            if (Result<void> again = sealer_.rewrap(row); !again) {
                done.left.push_back(problem_of(row, again.error()));
                return {};
            }
            ++done.records;
            return write_sealed(database_, row);
        });
    });
    if (!written) return written.error();
    return done;
}

Result<Rewrapped> SqliteKeyCustody::rotate() {
    if (Result<void> made = sealer_.ring().rotate(); !made) return made.error();
    return rewrap();
}

Result<void> SqliteKeyCustody::retire(std::string_view id) {
    Result<std::vector<KeyUse>> uses = keys();
    if (!uses) return uses.error();
    for (const KeyUse& use : *uses) {
        if (use.id != id || use.active || use.total() == 0) continue;
        return invalid(fmt::format(
            "{} records are sealed with {} still: `balancerctl keys rotate` brings them under a new key{}",
            use.total(),
            id,
            use.source ? "" : ", once this one is back"
        ));
    }
    return sealer_.ring().retire(id);
}

}  // namespace balancer::controlplane
