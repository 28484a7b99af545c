#include "controlplane/secrets/memory_sealed_store.hpp"

#include "controlplane/secrets/sealed_bounds.hpp"

namespace balancer::controlplane {

Result<std::optional<SealedRecord>> MemorySealedStore::get(SealedKind kind, std::string_view name) const {
    std::optional<SealedRecord> found;
    auto record = records_.find({kind, std::string(name)});
    if (record != records_.end()) {
        found = SealedRecord{record->second.content.copy(), record->second.generation};
    }
    return found;
}

Result<std::vector<SealedEntry>> MemorySealedStore::list(SealedKind kind) const {
    std::vector<SealedEntry> entries;
    for (const auto& [place, record] : records_) {
        if (place.first == kind) entries.push_back(SealedEntry{place.second, record.generation, {}, false});
    }
    return entries;
}

Result<std::uint64_t> MemorySealedStore::put(
    SealedKind kind, std::string_view name, std::string_view content, std::uint64_t if_generation
) {
    if (Result<void> fits = check_sealed_bounds(kind, name, content); !fits) return fits.error();
    auto place = std::make_pair(kind, std::string(name));
    auto record = records_.find(place);
    std::uint64_t stored = record == records_.end() ? 0 : record->second.generation;
    Result<void> expected = check_sealed_generation(kind, name, stored, if_generation);
    if (!expected) return expected.error();
    records_.insert_or_assign(std::move(place), SealedRecord{SecretBytes(content), ++newest_});
    return newest_;
}

Result<void> MemorySealedStore::erase(SealedKind kind, std::string_view name, std::uint64_t if_generation) {
    auto record = records_.find({kind, std::string(name)});
    std::uint64_t stored = record == records_.end() ? 0 : record->second.generation;
    Result<void> expected = check_sealed_generation(kind, name, stored, if_generation);
    if (!expected || stored == 0) return expected;
    records_.erase(record);
    return {};
}

}  // namespace balancer::controlplane
