#include "controlplane/secrets/sealer.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/file.hpp"

namespace balancer::controlplane {
namespace {

Error named(const SealedRow& row, const Error& error) {
    return Error{
        error.code,
        fmt::format("sealed {} '{}' cannot be used: {}", name_of(row.kind), row.name, error.text())
    };
}

}  // namespace

SealedPlace Sealer::place(const SealedRow& row) const {
    BALANCER_CHECK(!store_uuid_.empty());
    return SealedPlace{store_uuid_, row.kind, row.name, row.generation};
}

Result<const SealingKey*> Sealer::key_of(const SealedRow& row, std::string_view id) const {
    const SealingKey* key = ring_.find(id);
    if (key != nullptr) return key;
    return sealed_error(
        SealedErrc::kLocked,
        fmt::format(
            "sealed {} '{}' is locked: its key {} is not there; put that key back (docs/operations.md, Keys of the "
            "sealed store)",
            name_of(row.kind),
            row.name,
            to_hex(id)
        )
    );
}

void Sealer::seal(SealedRow& row, std::string_view content) const {
    row.record = seal_record(place(row), content, ring_.active());
}

Result<SecretBytes> Sealer::open(const SealedRow& row) const {
    Result<SealedParts> parts = parse_sealed(row.record);
    if (!parts) return named(row, parts.error());
    Result<const SealingKey*> key = key_of(row, parts->key_id);
    if (!key) return key.error();
    return open_record(place(row), *parts, **key);
}

Result<void> Sealer::rewrap(SealedRow& row) const {
    Result<SealedParts> parts = parse_sealed(row.record);
    if (!parts) return named(row, parts.error());
    Result<const SealingKey*> key = key_of(row, parts->key_id);
    if (!key) return key.error();
    Result<std::string> again = rewrap_record(place(row), row.record, **key, ring_.active());
    if (!again) return again.error();
    row.record = *std::move(again);
    return {};
}

std::string_view Sealer::key_id(std::string_view record) {
    if (record.size() < kSealedFrontBytes) return {};
    return record.substr(kSealedFrontBytes - AeadKey::kIdBytes, AeadKey::kIdBytes);
}

}  // namespace balancer::controlplane
